"""The drives that ship with the package: what must be true of every log of the embedded world. Needs no SUMO."""

from pathlib import Path

import numpy as np
import pytest
import shapely

pytest.importorskip("py123d", reason="py123d is not installed (pip install 'diffdrive[data]')")

from diffdrive.assets import LOGS
from diffdrive.configuration import build, load_yaml
from diffdrive.geometry import Polyline, box_corners, points_in_box
from diffdrive.log123d.read import LogReader
from diffdrive.scene import AgentKind, AreaKind, LightState, VectorMap
from diffdrive.vehicle import PACIFICA
from diffdrive.world.generate import WorldConfig
from diffdrive.world.manifest import read_manifest

FOLDERS = sorted((LOGS / "logs").glob("*/*"))
CONFIG = Path(__file__).resolve().parents[3] / "configs" / "world" / "frozen.yaml"


class Drive:
    """One log with what the tests ask of it."""

    def __init__(self, folder: Path, maps: dict[str, VectorMap]) -> None:
        self.log = LogReader(folder, LOGS)
        if self.log.location not in maps:
            maps[self.log.location] = self.log.vector_map()
        self.vector_map = maps[self.log.location]
        egos = [self.log.ego(k) for k in range(len(self.log))]
        self.poses = np.array([ego.pose for ego in egos])
        self.velocities = np.array([ego.velocity for ego in egos])
        self.accelerations = np.array([ego.acceleration for ego in egos])


@pytest.fixture(scope="module")
def drives() -> list[Drive]:
    maps: dict[str, VectorMap] = {}
    return [Drive(folder, maps) for folder in FOLDERS]


def test_there_are_enough_and_they_are_held_out() -> None:
    assert len(FOLDERS) >= 18
    assert {folder.parent.name for folder in FOLDERS} == {"drivetown_test"}
    assert sum(path.stat().st_size for path in LOGS.rglob("*") if path.is_file()) < 2e6


def test_manifests_name_the_recipe_that_ships() -> None:
    manifests = [read_manifest(path) for path in sorted((LOGS / "manifests").glob("*.json"))]
    assert sorted(name for values in manifests for name in values["logs"]) == [folder.name for folder in FOLDERS]
    assert all(values["seed"] >= 9000 for values in manifests)
    recipe = build(WorldConfig, load_yaml(CONFIG))
    assert all(build(WorldConfig, values["config"]) == recipe for values in manifests)


def test_ego_stays_on_the_road(drives: list[Drive]) -> None:
    for drive in drives:
        kinds = (AreaKind.GENERIC_DRIVABLE, AreaKind.CARPARK, AreaKind.INTERSECTION)
        surface = shapely.union_all([shapely.Polygon(area.outline) for area in drive.vector_map.areas_of(*kinds)])
        corners = box_corners(PACIFICA.boxes(drive.poses))
        inside = shapely.contains_xy(surface, corners[..., 0], corners[..., 1]).all(axis=1)
        assert inside.mean() > 0.97, drive.log.name


def test_ego_motion_agrees_with_its_poses_and_does_not_slip(drives: list[Drive]) -> None:
    for drive in drives:
        heading = drive.poses[:, 2]
        world = np.gradient(drive.poses[:, :2], 0.1, axis=0)
        along = world[:, 0] * np.cos(heading) + world[:, 1] * np.sin(heading)
        np.testing.assert_allclose(drive.velocities[1:-1, 0], along[1:-1], atol=0.02)
        slip = np.arctan2(np.abs(drive.velocities[:, 1]), np.maximum(drive.velocities[:, 0], 1.0))
        assert np.rad2deg(slip).max() < 1.5, drive.log.name
        assert np.abs(drive.accelerations).max() < 4.6, drive.log.name
        assert np.hypot(*np.diff(drive.poses[:, :2], axis=0).T).max() < 2.0, "no jump"


def test_ego_follows_its_planned_route(drives: list[Drive]) -> None:
    for drive in drives:
        route = Polyline(drive.log.provided_route)
        offsets = np.abs([route.project(pose[:2])[1] for pose in drive.poses[::5]])
        assert np.median(offsets) < 1.0 and offsets.max() < 4.5, drive.log.name
        # Not by projection: a route through a small town may come by the same place twice.
        assert route.length - drive.log.route_progress(len(drive.log) - 1) >= 60.0


def test_nobody_stands_where_the_ego_is(drives: list[Drive]) -> None:
    for drive in drives:
        for k in range(0, len(drive.log), 5):
            ego, others = PACIFICA.boxes(drive.poses[k]), drive.log.agents(k).boxes
            near = others[np.hypot(*(others[:, :2] - ego[:2]).T) < 12.0]
            for box in near:
                assert not points_in_box(box_corners(box), ego).any(), f"{drive.log.name} frame {k}"
                assert not points_in_box(box_corners(ego), box).any(), f"{drive.log.name} frame {k}"


def test_ego_never_enters_a_junction_on_red(drives: list[Drive]) -> None:
    crossings = 0
    for drive in drives:
        lanes = {lane.lane_id: lane for lane in drive.vector_map.lanes}
        front = drive.poses[:, :2] + (PACIFICA.rear_axle_to_center + PACIFICA.length / 2) * np.column_stack(
            [np.cos(drive.poses[:, 2]), np.sin(drive.poses[:, 2])]
        )
        for k in range(1, len(drive.log) - 15):
            for light in drive.log.traffic_lights(k):
                line = lanes[light.lane_id].centerline
                forward = (line[1] - line[0]) / np.hypot(*(line[1] - line[0]))
                passed = (front[k - 1] - line[0]) @ forward < 0.0 <= (front[k] - line[0]) @ forward
                # Several connectors begin at one line: the ego's own is the one it is on a little later.
                if not passed or np.hypot(*(front[k] - line[0])) > 1.7:
                    continue
                if abs(Polyline(line).project(drive.poses[k + 15, :2])[1]) < 0.8:
                    crossings += 1
                    assert light.state is not LightState.RED, f"{drive.log.name} frame {k}"
    assert crossings >= 3, "otherwise nothing was tested"


def test_drives_hold_all_kinds_of_road_users_and_manoeuvres(drives: list[Drive]) -> None:
    kinds = {kind for drive in drives for k in (0, 60, 120) for kind in drive.log.agents(k).kinds}
    assert {AgentKind.VEHICLE, AgentKind.PEDESTRIAN, AgentKind.BICYCLE} <= kinds
    turns = [np.unwrap(drive.poses[:, 2])[-1] - drive.poses[0, 2] for drive in drives]
    assert max(turns) > 1.0 and min(turns) < -1.0
    assert sum(drive.velocities[:, 0].min() < 0.3 for drive in drives) >= 4, "some stop"
    assert sum(drive.velocities[:, 0].min() > 3.0 for drive in drives) >= 1, "some do not"


def test_agents_move_as_their_velocities_say(drives: list[Drive]) -> None:
    for drive in drives[::3]:
        for k in range(10, len(drive.log) - 10, 20):
            before, now, after = (drive.log.agents(i) for i in (k - 1, k, k + 1))
            for row, token in enumerate(now.track_tokens):
                if token in before.track_tokens and token in after.track_tokens:
                    step = after.boxes[after.track_tokens.index(token)] - before.boxes[before.track_tokens.index(token)]
                    np.testing.assert_allclose(step[:2] / 0.2, now.velocities[row], atol=0.02)
