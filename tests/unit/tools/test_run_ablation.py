"""The ablation: what its plan promises, how rows are compared, and one decoder trained as its processes train them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from encoded_views import write_views
from tiny_planner import TINY_PLANNER

from diffdrive.configuration import load_yaml
from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, planner_config
from diffdrive.model.checkpoint import load_checkpoint, save_checkpoint
from diffdrive.training.config import DecoderStageConfig, load_training_config
from diffdrive.training.encoded_scenes import EncodedScenes

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

from ablation_measure import Measured, plan_all
from ablation_plan import Published, Row, load_plan
from ablation_table import line, markdown
from ablation_train import DecoderJob, train_decoder

NANO = Path(__file__).resolve().parents[3] / "configs" / "ablation" / "nano.yaml"
FIGURES = ("no_at_fault_collisions", "drivable_area_compliance", "ego_progress", "time_to_collision", "comfort")


def test_the_shipped_plan_holds_what_the_paper_compares() -> None:
    plan = load_plan(NANO)
    seeds = {row.name: len(row.seeds) for row in plan.rows}
    assert {seeds[name] for name in ("regression", "vanilla", "truncated", "full", "full_ddim")} == {3}
    assert {row.published.table for row in plan.rows if row.published} == {2, 3, 4, 5, 6}
    assert {row.name for row, _ in plan.trainings} == {row.name for row in plan.rows if not (row.trained_as or row.planner)}
    for row in (row for row, _ in plan.trainings):
        config = load_training_config(plan.path(row.variant))
        planner_config(config.preset, config.planner)
    for name, file in plan.perceptions.items():
        if plan.is_trained(name):
            assert load_training_config(plan.path(file)).max_steps is not None
        else:
            assert load_checkpoint(plan.path(file)).config.targets == planner_config("nano").targets
    order = [seed for _, seed in plan.trainings]
    assert order == sorted(order), "every row is there once before any is there twice"


@pytest.mark.parametrize(("trained", "expected"), [(1, [0, 0, 0]), (2, [0, 1, 0]), (3, [0, 1, 2])])
def test_decoders_take_the_trainings_of_their_perception_in_turn(trained: int, expected: list[int], tmp_path: Path) -> None:
    rows = [
        {"name": "full", "title": "", "variant": "a", "perception": "short", "seeds": [0, 1, 2]},
        {"name": "given", "title": "", "variant": "a", "seeds": [0, 1]},
    ]
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(load_yaml(NANO) | {"rows": rows, "perception_seeds": trained}))
    plan = load_plan(path)
    runs = [(row.name, plan.perception_run(row, seed)) for row, seed in plan.trainings]
    assert [run for name, run in runs if name == "full"] == [("short", seed) for seed in expected]
    assert [run for name, run in runs if name == "given"] == [("shared", 0)] * 2, "what is given was trained once"
    assert set(plan.perception_runs) == {("shared", 0), *(("short", seed) for seed in range(trained))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "nobody"}, "is not a row"),
        ({"perception_seeds": 0}, "perception_seeds must be at least 1, got 0"),
        ({"perceptions": {"other": "x.yaml"}}, "names the perception 'shared'"),
        ({"rows": [{"name": "full", "title": "", "variant": "a", "trained_as": "it"}]}, "takes the weights of 'it'"),
        ({"rows": [{"name": "full", "title": ""}]}, "either a variant"),
        ({"rows": [{"name": "full", "title": "", "variant": "a", "compared_with": "it"}]}, "compared with 'it'"),
        ({"rows": [{"name": "full", "title": "", "variant": "a"}] * 2}, "names of their own"),
    ],
)
def test_plans_that_contradict_themselves_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(load_yaml(NANO) | change))
    with pytest.raises(InputError, match=message):
        load_plan(path)


def measured(pdms: list[float]) -> Measured:
    ones = np.ones(len(pdms))
    return Measured(
        values={"pdms": np.array(pdms), **dict.fromkeys(FIGURES, ones), "ade": ones, "min_ade": ones, "diversity": 0.5 * ones}
    )


def test_rows_are_compared_scene_by_scene_and_seed_by_seed() -> None:
    row = Row(name="better", title="a better one", variant=Path("x"), published=Published(table=2, pdms=88.1, note="larger"))
    ours = {0: measured([0.5, 0.9, 0.7]), 1: measured([0.6, 1.0, 0.8])}
    theirs = {0: measured([0.4, 0.8, 0.6]), 1: measured([0.5, 0.9, 0.7]), 2: measured([0.0, 0.0, 0.0])}
    found = line(row, ours, theirs, ["a", "b", "c"], parameters=4_200_000, milliseconds=12.0)
    assert found.means["pdms"] == pytest.approx(75.0)
    assert found.spread == pytest.approx(np.std([70.0, 80.0], ddof=1))
    assert found.difference is not None
    # Every scene differs by ten points, so every bootstrap sample does.
    assert (found.difference.low, found.difference.mean, found.difference.high) == pytest.approx((10.0, 10.0, 10.0))
    text = markdown([found])
    assert "| a better one | 2 | 75.0 ± 7.1 | +10.0 (+10.0 .. +10.0) |" in text
    assert "table 2, 88.1, larger" in text
    json.dumps(found.as_json())


def test_a_decoder_is_trained_on_what_a_perception_sees(tmp_path: Path) -> None:
    config = planner_config("nano", TINY_PLANNER)
    torch.manual_seed(0)
    seeing = PlannerModel(config, torch.zeros(config.anchor_shape))
    save_checkpoint(tmp_path / "perception", seeing)
    variant = tmp_path / "variant.yaml"
    variant.write_text(yaml.safe_dump({"preset": "nano", "planner": TINY_PLANNER}))
    for part in ("train", "held"):
        write_views(tmp_path / "encoded" / part, seeing)
    job = DecoderJob(
        name="tiny",
        variant=variant,
        perception=tmp_path / "perception",
        encoded=tmp_path / "encoded",
        decoder=DecoderStageConfig(steps=3, batch_size=4),
        seed=0,
        out=tmp_path / "out",
    )
    assert not job.is_done
    train_decoder(job)
    assert job.is_done
    trained = load_checkpoint(job.out)
    shared = {name: value for name, value in seeing.state_dict().items() if name.startswith(("backbone", "neck.layers"))}
    assert shared
    assert all(torch.equal(trained.state_dict()[name], value) for name, value in shared.items())
    assert float(trained.anchors.abs().max()) > 0, "anchors are clustered from what was driven"
    scenes = EncodedScenes.load(tmp_path / "encoded" / "held")
    proposals, logits = plan_all(trained, None, scenes)
    assert proposals.shape == (12, 4, 8, 3)
    assert logits.shape == (12, 4)
    assert np.array_equal(proposals, plan_all(trained, None, scenes)[0])
