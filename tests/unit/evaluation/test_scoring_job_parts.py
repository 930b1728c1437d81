"""Names of planners, chunks of scenes, fingerprints, rows and columns."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scoring_job_helpers import LOG_NAMES, SIMPLE, job, town

from diffdrive.assets import CHECKPOINTS
from diffdrive.contracts import InputError
from diffdrive.evaluation.names import PlannerName, parse_planners
from diffdrive.evaluation.scoring import Entrant, SceneScore, SubScore, entrants, frames, future_needed_s
from diffdrive.evaluation.scoring.chunks import Place, cut
from diffdrive.evaluation.scoring.columns import column_types, from_columns, to_columns
from diffdrive.evaluation.scoring.digest import scene_digest
from diffdrive.evaluation.scoring.entrants import NetworkOptions, PlansObservations
from diffdrive.runtime import Planner
from diffdrive.runtime.latency import FrameSizes, synthetic_observations
from diffdrive.runtime.noise import NoiseKind, noise_for, scene_key
from diffdrive.scoring.rules import EPDMS, Protocol


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("constant-velocity", "constant_velocity"),
        ("constant_turn_rate", "constant_turn_rate"),
        ("ego-mlp", "ego_status_mlp"),
        ("ego_status_mlp", "ego_status_mlp"),
        ("PDM-Closed", "pdm_closed"),
        ("human", "human"),
        ("network", "network"),
    ],
)
def test_planners_are_known_by_any_spelling(word: str, kind: str) -> None:
    assert PlannerName.parse(word) == PlannerName(kind)


def test_a_folder_is_a_network_and_commas_separate(tmp_path: Path) -> None:
    assert parse_planners([f"human,{tmp_path}", "network"]) == (
        PlannerName("human"),
        PlannerName("network", tmp_path),
        PlannerName("network"),
    )


def test_unknown_and_repeated_planners_are_refused() -> None:
    with pytest.raises(InputError, match=r"no planner 'tesla'.*pdm_closed.*folder"):
        parse_planners(["tesla"])
    with pytest.raises(InputError, match="once"):
        parse_planners(["ego-mlp", "ego_status_mlp"])


def test_entrants_know_their_weights_and_their_needs() -> None:
    blind, nano = entrants(parse_planners(["ego-mlp", "network"]), CHECKPOINTS / "nano")
    assert (blind.name, blind.needs_sensors) == ("ego_status_mlp", False)
    assert (nano.name, nano.needs_sensors) == ("nano", True)
    assert blind.identity and nano.identity.startswith(blind.identity), "both hold the folder's hash"
    with pytest.raises(InputError, match="no files"):
        entrants([PlannerName("network", Path(__file__).parent / "nowhere")], CHECKPOINTS / "nano")


def test_how_much_future_a_metric_needs() -> None:
    assert future_needed_s(("epdms",)) == pytest.approx(4.0)
    assert future_needed_s(("epdms", "pdms")) == pytest.approx(5.0)


def test_chunks_stay_in_one_log_and_bring_the_scene_before() -> None:
    tokens = town().tokens
    chunks = cut(town(), tokens[::-1], 5, pairs=True)
    assert [place.token for name in LOG_NAMES for chunk in chunks for place in chunk.scenes if place.log_name == name] == list(
        tokens
    ), "every scene once, in order of time, whatever order was given"
    assert all(len({place.log_name for place in chunk.places}) == 1 for chunk in chunks)
    assert [len(chunk.scenes) for chunk in chunks] == [5, 5, 4, 5, 5, 4]
    for before, chunk in itertools.pairwise(chunks):
        is_same_log = before.scenes[0].log_name == chunk.scenes[0].log_name
        assert chunk.lead == (before.scenes[-1] if is_same_log else None)
    assert all(chunk.lead is None for chunk in cut(town(), tokens, 5, pairs=False)), "PDMS compares no scenes"
    assert all(chunk.lead is None for chunk in cut(town(), tokens[::2], 5, pairs=True)), "a second apart is no pair"


def test_pairs_are_at_most_0_55_s_apart_and_of_one_log() -> None:
    now = Place("b", "log", 1_000_000)
    assert now.follows(Place("a", "log", 450_000))
    assert not now.follows(Place("a", "log", 449_000))
    assert not now.follows(Place("a", "another log", 500_000))
    assert not now.follows(now) and not now.follows(Place("c", "log", 1_500_000))


def test_what_results_depend_on_is_in_the_description(tmp_path: Path) -> None:
    first = job(tmp_path).description()
    changed = {
        "human filter": job(tmp_path, human_filter=False),
        "corrected": job(tmp_path, corrected=True),
        "metrics": job(tmp_path, metrics=("pdms",)),
        "scenes": job(tmp_path, num_scenes=2),
        "scenes a chunk": job(tmp_path, chunk_size=3),
        "planners": job(tmp_path, entrants=(replace(SIMPLE[0], identity="other weights"), *SIMPLE[1:])),
    }
    for name, other in changed.items():
        description = other.description()
        assert {key for key in first if first[key] != description[key]} == {name}
    assert job(tmp_path / "elsewhere").description() == first, "where prepared scenes are kept does not matter"


def test_a_job_needs_each_thing_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"planner.*repeated: human"):
        job(tmp_path, entrants=(SIMPLE[0], SIMPLE[0]))
    with pytest.raises(InputError, match="at least one scene"):
        job(tmp_path, tokens=())
    with pytest.raises(InputError, match="no metric 'pdm'"):
        job(tmp_path, metrics=("pdm",))


def test_a_scene_digest_changes_with_facts_only() -> None:
    scene = town().load(town().tokens[0], sensors=False)
    again = town().load(town().tokens[0], sensors=False)
    assert scene_digest(scene) == scene_digest(again)
    boxes = scene.agents.boxes.copy()
    boxes[0, 0] += 1e-9
    moved = replace(scene, agents=replace(scene.agents, boxes=boxes))
    assert scene_digest(moved) != scene_digest(scene)
    assert scene_digest(replace(scene, route=None)) != scene_digest(scene)


def row(**changes: object) -> SceneScore:
    values: dict = {
        "planner": "ours",
        "metric": "epdms",
        "token": "a",
        "log_name": "log",
        "timestamp_us": 5,
        "command": "left",
        "speed_mps": 3.5,
        "total": 0.25,
        "sub_scores": {
            "no_at_fault_collisions": SubScore(value=0.5, step=7, agent="car", corner="front left"),
            "drivable_area_compliance": SubScore(value=1.0, step=3, is_forgiven=True),
            "extended_comfort": SubScore(value=math.nan),
        },
        "ade_m": 1.0,
        "fde_m": 2.0,
    }
    return SceneScore(**(values | changes))


def test_rows_survive_their_columns() -> None:
    rows = [row(), row(token="b", total=math.nan, sub_scores={}, error="no map", ade_m=None, fde_m=None, command=None)]
    columns = to_columns(rows)
    assert list(columns) == list(column_types())
    records = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    back = from_columns(records)
    assert repr(back) == repr(tuple(rows)), "NaN included"
    assert columns["extended_comfort"] == [None, None] and columns["extended_comfort_forgiven"] == [False, None]
    assert np.isnan(back[0].sub_scores["extended_comfort"].value)


def test_an_entrant_can_be_a_planner_at_hand() -> None:
    planner = object()
    assert Entrant.of("mine", planner).make() is planner  # type: ignore[arg-type]


def test_prepared_scenes_of_other_code_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = job(tmp_path).source
    scene = source.load(source.tokens[0], sensors=False)
    rules = {Protocol.V2: EPDMS}
    asked = replace(job(tmp_path), prepared=tmp_path)
    for digest, files in (("one", 1), ("one", 1), ("another", 2)):
        monkeypatch.setattr(frames, "code_digest", lambda digest=digest: digest)
        frames._prepared(asked, scene, rules)
        assert len(list(tmp_path.rglob("*.npz"))) == files


def test_a_network_can_start_each_scene_from_noise_of_its_own() -> None:
    (observation,) = synthetic_observations(1, sizes=FrameSizes(image_size=(270, 480), num_points=1000))
    plain = Planner.from_checkpoint(CHECKPOINTS / "nano")
    shape = plain.engine.spec.noise_shape[1:]
    plans = {None: plain.plan(observation).trajectory}
    for kind in (NoiseKind.ZERO, NoiseKind.SEEDED):
        (entrant,) = entrants(parse_planners(["network"]), CHECKPOINTS / "nano", NetworkOptions(noise=kind, seed=3))
        assert f"noise={kind.value}" in entrant.identity
        planner = entrant.make()
        assert isinstance(planner, PlansObservations)
        plans[kind] = planner.plan(observation).trajectory
        noise = noise_for(kind, scene_key(observation), 3, shape)
        np.testing.assert_array_equal(plans[kind].poses, plain.plan(observation, noise=noise).trajectory.poses)
    assert not np.array_equal(plans[None].poses, plans[NoiseKind.ZERO].poses)
    assert not np.array_equal(plans[NoiseKind.SEEDED].poses, plans[NoiseKind.ZERO].poses)
    with pytest.raises(InputError, match="order of scenes"):
        NetworkOptions(noise=NoiseKind.TORCH)
