"""The benchmark of scoring: the scenes that it makes, and the line that it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import bench_scoring
from synthetic_scenes import SceneSize, fan, synthetic_scene

from diffdrive.scoring.rules import EPDMS, PDMS, Rules
from diffdrive.scoring.scoring_scene import AreaType

SMALL = ["--agents", "5", "--polygons", "60", "--vertices", "8", "--proposals", "9", "--repeats", "2"]


@pytest.mark.parametrize("rules", [PDMS, EPDMS])
@pytest.mark.parametrize("polygons", [40, 100, 400, 1600])
def test_a_synthetic_scene_is_as_large_as_asked_for(rules: Rules, polygons: int) -> None:
    scene = synthetic_scene(SceneSize(agents=21, polygons=polygons, vertices=30), rules, seed=3)
    assert scene.tracks.corners.shape == (21, rules.observation_steps, 4, 2)
    assert np.diff(scene.drivable_map.polygons.offsets).tolist() == [30] * polygons
    assert set(scene.drivable_map.types.tolist()) >= {AreaType.ROADBLOCK, AreaType.LANE}
    assert scene.drivable_map.on_route.any()
    assert all(shapely.Polygon(scene.drivable_map.polygons.ring(i)).is_valid for i in range(polygons))
    centres = scene.tracks.centroids[:, 0]
    assert np.abs(centres).max() < 130
    assert np.abs(centres - scene.ego_state[:2]).max(axis=1).min() > 3, "nobody starts in the ego"


def test_a_synthetic_scene_depends_on_its_seed_alone() -> None:
    one, same, other = (synthetic_scene(SceneSize(), EPDMS, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.tracks.corners, same.tracks.corners)
    assert not np.array_equal(one.tracks.corners, other.tracks.corners)


@pytest.mark.parametrize("count", [1, 9, 64, 250])
def test_a_fan_holds_different_plans(count: int) -> None:
    plans = fan(count)
    assert plans.shape == (count, 8, 3)
    reach = plans[:, -1]
    assert len(np.unique(reach.round(6), axis=0)) >= count * 0.99
    if count > 1:
        assert reach[:, 1].min() < 0 < reach[:, 1].max()


def test_one_line_of_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(bench_scoring, "NUM_PREPARED", 1)
    monkeypatch.setattr(bench_scoring, "SCALES", {"proposals": (4, 8), "agents": (2, 4), "polygons": (40, 60)})
    assert bench_scoring.main([*SMALL, "--scenes", "2", "--scaling", "--out", str(tmp_path / "out.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    record = json.loads(lines[0])
    assert record == json.loads((tmp_path / "out.json").read_text())
    assert (record["agents"], record["polygons"], record["proposals"], record["scenes"]) == (5, 60, 9, 2)
    assert record["ms_per_proposal"] == pytest.approx(record["ms_per_call"] / 18)
    assert record["proposals_per_s"] == pytest.approx(1e3 / record["ms_per_proposal"])
    assert record["prepare_ms"] > 0
    assert record["prepare_scenes"] == 1
    assert {"cpu", "threads", "torch", "commit"} <= set(record["environment"])
    axes = record["scaling"]
    assert set(axes) == {"proposals", "agents", "polygons"}
    assert axes["proposals"]["ms_per_proposal"]["8"] == pytest.approx(axes["proposals"]["ms_per_call"]["8"] / 16)
    assert np.isfinite([axis["exponent"] for axis in axes.values()]).all()


def test_peak_memory_is_what_a_call_holds_at_most() -> None:
    def call() -> None:
        del_me = torch.ones(64, bench_scoring.MEBIBYTE // 4)
        del del_me

    peak = bench_scoring.peak_memory_mb(call, torch.device("cpu"))
    assert peak is None or 60 < peak < 100


def test_calls_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    times = bench_scoring.seconds_of(calls, torch.device("cpu"), repeats=2)
    assert order == ["a", "b", "a", "b", "a", "b"], "once to warm up"
    assert {name: len(each) for name, each in times.items()} == {"a": 2, "b": 2}
