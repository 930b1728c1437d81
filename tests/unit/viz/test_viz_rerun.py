"""A drive written for Rerun, read back with Rerun's own reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rerun")
pytest.importorskip("matplotlib")

from hand_made_scene import make_proposals, make_scene

from diffdrive.contracts import InputError
from diffdrive.geometry import to_world
from diffdrive.scene import AgentKind, Agents, Observation, Scene, Trajectory, VectorMap
from diffdrive.viz import PlanOverlay
from diffdrive.viz.rerun_log import ELAPSED, TIMELINE, LogFrame, write_rerun_log
from diffdrive.viz.rerun_map import triangles_of

STEP_US = 500_000


def instant(number: int, *, sensors: bool, agents: Agents | None = None) -> Scene:
    """The hand-made scene, ``number`` half seconds later and 4 m farther along the world's heading of 0.3 radians."""
    scene = make_scene(sensors=sensors)
    now = scene.observation
    ego = replace(now.ego, timestamp_us=now.ego.timestamp_us + number * STEP_US)
    observation = Observation(ego_history=(ego,), command=now.command, cameras=now.cameras, lidar=now.lidar)
    pose = scene.world_from_ego + number * 4.0 * np.array([np.cos(0.3), np.sin(0.3), 0.0])
    return replace(scene, observation=observation, world_from_ego=pose, agents=scene.agents if agents is None else agents)


def world_map() -> VectorMap:
    """The hand-made map is in the ego frame: put it where the ego of the first instant stands."""
    scene = make_scene(sensors=False)
    return scene.vector_map.to_local(to_local_origin(scene.world_from_ego))


def to_local_origin(pose: np.ndarray) -> np.ndarray:
    """The pose in whose frame a map has to be seen to be moved by ``pose``."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return np.array([-c * pose[0] - s * pose[1], s * pose[0] - c * pose[1], -pose[2]])


def columns(path: Path, entity: str) -> list[dict[str, Any]]:
    """The rows of one entity in order of time, lists of lists as Rerun stores them."""
    from rerun.chunk import RrdReader

    found = []
    for chunk in RrdReader(path).stream().to_chunks():
        if chunk.entity_path == entity:
            batch = chunk.to_record_batch()
            found += [{name: row[name] for name in batch.schema.names} for row in batch.to_pylist()]
    return sorted(found, key=lambda row: row[ELAPSED].total_seconds() if ELAPSED in row else 0.0)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rerun") / "drive.rrd"
    proposals, scores = make_proposals(6)
    plan = PlanOverlay(chosen=Trajectory(proposals[2]), proposals=proposals, scores=scores)
    first = LogFrame(scene=instant(0, sensors=True), plan=plan, note="**begins**")
    frames = [first, LogFrame(scene=instant(1, sensors=False)), LogFrame(scene=instant(2, sensors=False, agents=Agents.none()))]
    assert write_rerun_log(path, iter(frames), world_map()) == 3
    return path


def test_everything_of_the_drive_is_there(recording: Path) -> None:
    from rerun.chunk import RrdReader

    found = {chunk.entity_path for chunk in RrdReader(recording).stream().to_chunks()}
    there = {"ego", "ego/body", "ego/f0/image", "ego/l0", "lidar", "lights/stop_bars", "agents/vehicle", "agents/traffic_cone"}
    there |= {"driven", "route", "plan/chosen", "plan/proposals", "map/surfaces/lanes", "map/surfaces/crosswalk"}
    there |= {"map/lines/dashed_yellow", "map/lines/road_edge", "map/lines/centerlines"}
    assert {f"/world/{name}" for name in there} | {"/speed", "/note"} <= found
    (entry,) = RrdReader(recording).recordings()
    assert (entry.application_id, entry.recording_id) == ("diffdrive", "hand made")
    assert len(RrdReader(recording).blueprints()) == 1


def test_boxes_lie_where_the_agents_are_and_go_when_they_go(recording: Path) -> None:
    rows = columns(recording, "/world/agents/vehicle")
    cars = make_scene(sensors=False).agents.of_kind(AgentKind.VEHICLE)
    assert [len(row["Boxes3D:centers"]) for row in rows] == [3, 3, 0]
    for number, row in enumerate(rows[:2]):
        pose = np.array([number * 4.0 * np.cos(0.3), number * 4.0 * np.sin(0.3), 0.3])
        placed = to_world(cars.boxes[:, :3], pose)
        np.testing.assert_allclose(np.array(row["Boxes3D:centers"])[:, :2], placed[:, :2], atol=1e-4)
        quaternions = np.array(row["Boxes3D:quaternions"])
        turned = 2 * np.arctan2(quaternions[:, 2], quaternions[:, 3])
        np.testing.assert_allclose(np.cos(turned - placed[:, 2]), 1.0, atol=1e-6)
    assert rows[0]["Boxes3D:labels"] == [f"vehicle {token}" for token in cars.track_tokens]


def test_times_are_those_of_the_log(recording: Path) -> None:
    rows = [row for row in columns(recording, "/speed") if TIMELINE in row]
    stamps = [np.datetime64(row[TIMELINE], "us").astype(int) for row in rows]
    assert stamps == [1_500_000 + number * STEP_US for number in range(3)]
    assert [row[ELAPSED].total_seconds() for row in rows] == [0.0, 0.5, 1.0]


def test_signals_have_the_colours_of_their_states(recording: Path) -> None:
    from diffdrive.scene import LightState
    from diffdrive.viz import palette

    row = columns(recording, "/world/lights/stop_bars")[0]
    shown = {colour >> 8 for colour in row["LineStrips3D:colors"]}
    assert shown == {int(palette.LIGHTS[state][0][1:], 16) for state in (LightState.GREEN, LightState.RED)}


def test_the_car_leads_the_recording_from_zero(recording: Path) -> None:
    driven = np.array(columns(recording, "/world/driven")[0]["LineStrips3D:strips"][0])
    np.testing.assert_allclose(driven[0, :2], 0.0, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*driven[2, :2]), 8.0, atol=1e-4)
    sweep = make_scene().observation.lidar
    assert sweep is not None
    points = np.array(columns(recording, "/world/lidar")[0]["Points3D:positions"])
    np.testing.assert_allclose(np.hypot(*points[:, :2].T), np.hypot(*sweep.points[:, :2].T), atol=1e-3)


def test_triangles_cover_a_polygon_and_no_more() -> None:
    corner = np.array([[0, 0], [4, 0], [4, 1], [1, 1], [1, 3], [0, 3]], dtype=np.float64)
    triangles = triangles_of([corner, corner + 10])
    one, other = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    assert np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum() / 2 == pytest.approx(2 * 6.0)


def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.rrd"):
        write_rerun_log(tmp_path / "drive.bin", [LogFrame(scene=instant(0, sensors=False))], VectorMap())
    with pytest.raises(InputError, match="at least one frame"):
        write_rerun_log(tmp_path / "drive.rrd", [], VectorMap())

    def breaks() -> Any:
        yield LogFrame(scene=instant(0, sensors=False))
        raise RuntimeError("the log ends in the middle")

    with pytest.raises(RuntimeError):
        write_rerun_log(tmp_path / "drive.rrd", breaks(), VectorMap())
    assert not list(tmp_path.iterdir())
