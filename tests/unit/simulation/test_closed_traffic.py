"""SUMO with an ego that is moved from outside: the same town as the recorded one, and others who react."""

from pathlib import Path

import numpy as np
import pytest
from small_stage import CONFIG, SPLIT

from diffdrive.contracts import InputError
from diffdrive.geometry import wrap_angle
from diffdrive.scene import AgentKind
from diffdrive.simulation.crowd import Crowd
from diffdrive.simulation.stage import HISTORY_STEPS, Stage, StageFiles
from diffdrive.simulation.traffic import Traffic, TrafficError
from diffdrive.vehicle import PACIFICA
from diffdrive.world.records import log_record
from diffdrive.world.simulation import SimulatedTown

Staged = tuple[Stage, StageFiles]


def test_up_to_its_beginning_a_drive_is_the_recorded_town(staged: Staged, town: SimulatedTown) -> None:
    stage, files = staged
    start = stage.starts[0]
    record = log_record(town, 0, split=SPLIT, radius_m=CONFIG.box_radius_m)
    with Traffic(stage, files, start, 10) as traffic:
        briefing = traffic.begin()
        crowd = Crowd(stage, start.ego, briefing)
    seen = {token: row for row, token in enumerate(crowd.agents.track_tokens)}
    recorded = record.agents[HISTORY_STEPS]
    assert start.ego not in seen
    rows = [seen[token] for token in recorded.track_tokens]
    apart = np.hypot(*(crowd.agents.boxes[rows, :2] - recorded.boxes[:, :2]).T)
    turned = np.abs(wrap_angle(crowd.agents.boxes[rows, 2] - recorded.boxes[:, 2]))
    drives = np.array([kind is not AgentKind.PEDESTRIAN for kind in recorded.kinds])
    # A log's bodies are smoothed over what comes next.
    assert apart.max() < 0.5
    assert turned[drives].max() < 0.05
    np.testing.assert_array_equal(crowd.agents.boxes[rows, 3:], recorded.boxes[:, 3:])
    lights = {light.lane_id: light.state for light in crowd.lights(briefing.frames[-1])}
    assert all(lights[light.lane_id] is light.state for light in record.traffic_lights[HISTORY_STEPS])


def test_a_follower_brakes_behind_an_ego_that_stops(staged: Staged) -> None:
    stage, files = staged
    start = next(start for start in stage.starts if start.ego == "v12")
    pose = start.expert.poses[0]
    with Traffic(stage, files, start, 100) as traffic:
        before = traffic.begin().frames[-1]
        for _ in range(100):
            after = traffic.move(pose, 0.0)
    ego, follower = after.tokens.index("v12"), after.tokens.index("v5")
    assert before.places[before.tokens.index("v5"), 3] > 1.0
    assert after.places[follower, 3] == 0.0
    gap = np.hypot(*(after.places[ego, :2] - after.places[follower, :2])) - PACIFICA.length
    assert 1.0 < gap < 3.0


def test_every_drive_of_one_process_begins_at_the_same_moment_and_goes_its_own_way(staged: Staged) -> None:
    stage, files = staged
    start = stage.starts[0]
    with Traffic(stage, files, start, 30) as traffic:
        ends = []
        for speed in (0.0, 8.0, 0.0):
            begin = traffic.begin().frames[-1]
            for step in range(30):
                pose = start.expert.poses[0] + np.array([0.1 * speed * step * np.cos(start.expert.poses[0][2]), 0.0, 0.0])
                frame = traffic.move(pose, speed)
            ends.append((begin, frame))
            if speed > 0.0:  # the others are broken off
                traffic.end()
    (first, stopped), (second, drove), (third, again) = ends
    np.testing.assert_array_equal(first.places, second.places)
    np.testing.assert_array_equal(first.places, third.places)
    np.testing.assert_array_equal(stopped.places, again.places)
    assert not np.array_equal(stopped.places, drove.places)


def test_a_missing_sumo_is_named_with_the_way_out(staged: Staged, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stage, files = staged
    (tmp_path / "libsumo.py").write_text("raise ModuleNotFoundError(\"No module named 'libsumo'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Traffic(stage, files, stage.starts[0], 10) as traffic, pytest.raises(InputError, match=r"diffdrive\[world\]"):
        traffic.begin()


def test_a_process_that_dies_is_an_error(staged: Staged, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stage, files = staged
    (tmp_path / "libsumo.py").write_text("import os\nos._exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Traffic(stage, files, stage.starts[0], 10) as traffic, pytest.raises(TrafficError, match="status 7"):
        traffic.begin()
