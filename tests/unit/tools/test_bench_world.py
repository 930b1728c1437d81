"""The benchmark of rendering: which frames it takes, and what its report says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import bench_world as bench

from diffdrive.assets import LOGS
from diffdrive.world.render import rig_at
from diffdrive.world.render_worker import Rendered
from diffdrive.world.source import WorldSource

pytest.importorskip("embreex")
pytest.importorskip("py123d")


def test_frames_have_about_the_wanted_boxes_and_lie_apart() -> None:
    boxes = {f"log-{k * 500_000}": 30 + k for k in range(40)} | {"other-0": 44}
    found = bench.nearest(boxes, 40, 4)
    assert found[0] == "log-5000000" and "other-0" in found
    times = sorted(int(token.rpartition("-")[2]) for token in found if token.startswith("log"))
    assert min(b - a for a, b in pairwise(times)) >= 2_000_000
    assert all(abs(boxes[token] - 40) <= 8 for token in found)


def test_the_report_tells_speed_and_where_time_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def here(source: WorldSource, tokens: Sequence[str], *, workers: int) -> Iterator[Rendered]:
        """Instead of processes: files without a picture."""
        asked.append(len(tokens))
        for token in tokens:
            (source.cache or tmp_path).mkdir(exist_ok=True)
            (source.cache or tmp_path).joinpath(f"{token}.npz").write_bytes(b"x" * 1000)
            yield Rendered(token=token, is_new=True)

    monkeypatch.setattr(bench, "render", here)
    monkeypatch.setattr(bench, "MAX_COUNTED", 8)
    monkeypatch.setattr(bench, "NUPLAN_FRONT_RIG", rig_at(1 / 8))
    out = tmp_path / "speed.json"
    command = [str(LOGS), "--scenes", "1", "--boxes", "20", "--renderer", "embree", "--out", str(out)]
    assert bench.main(command) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == printed
    assert asked == [1, 4]
    assert printed["current_frame"]["20"]["seconds"] >= 0
    assert printed["four_frames"]["20"]["frames"] == 4
    stages: dict[str, Any] = printed["stages_ms"]["20"]
    names = ("town", "load", "mesh", "search_tree", "lidar", "cameras", "encode", "write")
    assert 0 < stages["cameras"] < stages["total"] <= 1.5 * sum(stages[name] for name in names)
    assert stages["returns"] > 50_000
    assert printed["environment"]["cpu"]
