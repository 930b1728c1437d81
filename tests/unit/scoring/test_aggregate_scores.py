"""How sub-scores become a score."""

import numpy as np
import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.scoring.aggregate import forgive, total, with_extended_comfort
from diffdrive.scoring.rules import EPDMS, EPDMS_PREFIX, METRICS, PDMS, rules_of
from diffdrive.scoring.scores import NONE, Scores, Verdict


def ones(rules: object, **changes: float) -> dict[str, torch.Tensor]:
    values = dict.fromkeys(rules.sub_scores, 1.0) | changes  # type: ignore[attr-defined]
    return {name: torch.tensor([[value]], dtype=torch.float64) for name, value in values.items()}


def scores_of(metric: str, filtered: dict[str, torch.Tensor], unfiltered: dict[str, torch.Tensor]) -> Scores:
    shape = next(iter(filtered.values())).shape
    return Scores(
        metric=metric,
        tokens=("a",) * shape[0],
        total=torch.zeros(shape, dtype=torch.float64),
        verdicts={name: Verdict.of(value) for name, value in filtered.items()},
        unfiltered=unfiltered,
        states=torch.zeros(*shape, 41, 11),
        is_valid=torch.ones(shape, dtype=torch.bool),
    )


def test_pdms_is_the_product_times_the_mean_over_twelve() -> None:
    values = ones(PDMS, no_at_fault_collisions=0.5, ego_progress=0.4, comfort=0.0, driving_direction_compliance=0.0)
    assert float(total(PDMS, values)) == pytest.approx(0.5 * (5 * 0.4 + 5) / 12)


def test_epdms_leaves_out_an_unknown_extended_comfort() -> None:
    values = ones(EPDMS, ego_progress=0.5, traffic_light_compliance=1.0, extended_comfort=float("nan"))
    assert float(total(EPDMS, values)) == pytest.approx((2.5 + 5 + 2 + 2) / 14)
    values = ones(EPDMS, ego_progress=0.5, extended_comfort=0.0)
    assert float(total(EPDMS, values)) == pytest.approx((2.5 + 5 + 2 + 2) / 16)


@pytest.mark.parametrize("name", EPDMS.multipliers)
def test_every_multiplier_can_take_everything(name: str) -> None:
    assert float(total(EPDMS, ones(EPDMS, **{name: 0.0}))) == 0.0


def test_the_filter_forgives_what_the_human_lost_entirely() -> None:
    values = ones(EPDMS, driving_direction_compliance=0.0, drivable_area_compliance=0.0, lane_keeping=0.0, ego_progress=0.0)
    human = ones(EPDMS, driving_direction_compliance=0.5, drivable_area_compliance=0.0, ego_progress=0.0)
    forgiven = forgive(values, human, torch.tensor([True]))
    assert float(forgiven["drivable_area_compliance"]) == 1.0
    assert float(forgiven["driving_direction_compliance"]) == 0.0, "a half is not forgiven"
    assert float(forgiven["lane_keeping"]) == 0.0, "the human kept the lane"
    assert float(forgiven["ego_progress"]) == 0.0, "progress is never forgiven"
    untouched = forgive(values, human, torch.tensor([False]))
    assert float(untouched["drivable_area_compliance"]) == 0.0, "nobody to compare with"


def test_before_the_fix_the_filter_did_not_reach_the_total() -> None:
    before = ones(EPDMS, drivable_area_compliance=0.0)
    after = ones(EPDMS)
    known = torch.tensor([True])
    verdict = Verdict.of(torch.ones(1, 1, dtype=torch.float64))
    assert float(with_extended_comfort(scores_of("epdms", after, before), verdict, known).total) == 1.0
    assert float(with_extended_comfort(scores_of("epdms_prefix", after, before), verdict, known).total) == 0.0
    assert EPDMS_PREFIX.weights == EPDMS.weights


def test_extended_comfort_counts_where_it_is_known() -> None:
    two = {name: value.expand(2, 1) for name, value in ones(EPDMS).items()}
    verdict = Verdict.of(torch.zeros(2, 1, dtype=torch.float64), step=torch.full((2, 1), 7))
    scores = with_extended_comfort(scores_of("epdms", two, two), verdict, torch.tensor([True, False]))
    assert scores.total[:, 0].tolist() == pytest.approx([14 / 16, 1.0])
    assert scores["extended_comfort"][0, 0] == 0 and scores["extended_comfort"][1, 0].isnan()
    assert scores.verdicts["extended_comfort"].step[:, 0].tolist() == [7, NONE]


def test_pdms_has_no_extended_comfort() -> None:
    verdict = Verdict.of(torch.ones(1, 1))
    with pytest.raises(InputError, match="no extended comfort"):
        with_extended_comfort(scores_of("pdms", ones(PDMS), ones(PDMS)), verdict, torch.tensor([True]))


def test_is_forgiven_tells_raised_sub_scores() -> None:
    scores = scores_of("epdms", ones(EPDMS), ones(EPDMS, time_to_collision=0.0))
    assert bool(scores.is_forgiven("time_to_collision")) and not bool(scores.is_forgiven("lane_keeping"))


def test_a_verdict_gives_reasons_only_for_what_was_lost() -> None:
    verdict = Verdict.of(torch.tensor([[1.0, 0.5]]), step=torch.tensor([[3, 4]]), agent=torch.tensor([[0, 1]]))
    assert verdict.step.tolist() == [[NONE, 4]] and verdict.agent.tolist() == [[NONE, 1]]
    assert verdict.corner.tolist() == [[NONE, NONE]]


def test_metrics_are_found_by_name() -> None:
    assert all(rules_of(name).name == name for name in METRICS)
    with pytest.raises(InputError, match="no metric 'pdm'"):
        rules_of("pdm")
    assert np.isclose(sum(PDMS.weights.values()), 12) and np.isclose(sum(EPDMS.weights.values()), 16)
