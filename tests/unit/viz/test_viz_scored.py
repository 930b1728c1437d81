"""The picture of a scored scene shows where points were lost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from hand_made_scene import along_curve, make_scene

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import Trajectory
from diffdrive.vehicle import PACIFICA
from diffdrive.viz import save_figure
from diffdrive.viz.scored import Fault, ScoredOverlay, ScoreLine, draw_scored_scene

DRIVEN = along_curve(np.linspace(0.0, 36.0, 41))
PLAN = Trajectory(DRIVEN[5::5])


def overlay(*, with_faults: bool = True) -> ScoredOverlay:
    agent = box_corners(np.array([24.0, 3.0, 0.4, 4.5, 1.9]))
    faults = (
        Fault(number=1, time_s=2.0, pose=DRIVEN[20], agent=agent),
        Fault(number=2, time_s=2.1, pose=DRIVEN[21], point=DRIVEN[21, :2]),
    )
    lines = (
        ScoreLine(name="total", value=0.0),
        ScoreLine(name="time to collision", value=0.0, note="at 2.0 s", fault=1 if with_faults else None),
        ScoreLine(name="comfort", value=1.0),
        ScoreLine(name="extended comfort", value=math.nan, note="no scene before"),
    )
    return ScoredOverlay(trajectory=PLAN, driven=DRIVEN, lines=lines, faults=faults if with_faults else ())


def texts(figure: object) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]  # type: ignore[attr-defined]


def test_faults_are_painted_and_listed(tmp_path: Path) -> None:
    figure = draw_scored_scene(make_scene(), overlay(), title="ours, pdms 0.0 %", subtitle="a scene")
    (axes,) = figure.axes
    assert [collection.get_gid() for collection in axes.collections].count("fault") == 2
    ego_and_agent, ego_alone = (
        [path.vertices[:4] for path in collection.get_paths()]
        for collection in axes.collections
        if collection.get_gid() == "fault"
    )
    assert len(ego_and_agent) == 2 and len(ego_alone) == 1
    corners = box_corners(PACIFICA.boxes(DRIVEN[20]))
    np.testing.assert_allclose(ego_and_agent[0], np.stack([-corners[:, 1], corners[:, 0]], axis=1))
    shown = texts(figure)
    for words in ("ours, pdms 0.0 %", "a scene", "time to collision  (1)", "at 2.0 s", "1", "2", "none", "plan", "human"):
        assert words in shown
    assert save_figure(figure, tmp_path / "scored.png").stat().st_size > 20_000


def test_the_simulated_vehicle_is_shown_every_second() -> None:
    figure = draw_scored_scene(make_scene(), overlay(with_faults=False), title="")
    (axes,) = figure.axes
    (boxes,) = [collection for collection in axes.collections if collection.get_gid() == "simulated boxes"]
    assert len(boxes.get_paths()) == 4
    assert "fault" not in [collection.get_gid() for collection in axes.collections]


def test_a_line_without_its_fault_is_refused() -> None:
    with pytest.raises(InputError, match="time to collision"):
        ScoredOverlay(
            trajectory=PLAN, driven=DRIVEN, lines=(ScoreLine(name="time to collision", value=0.0, fault=3),), faults=()
        )
