"""Writing logs and maps, and reading the same values back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("py123d", reason="py123d is not installed (pip install 'diffdrive[data]')")

from diffdrive.contracts import InputError
from diffdrive.log123d import write
from diffdrive.log123d.read import LogReader
from diffdrive.log123d.write import LogRecord, write_log
from diffdrive.log123d.write_map import write_map
from diffdrive.log123d.write_sensors import SensorFrame
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    CameraFrame,
    CameraId,
    Lane,
    LidarSweep,
    LightState,
    Line,
    LineKind,
    TrafficLight,
    VectorMap,
)
from diffdrive.vehicle import PACIFICA

FRAMES = 6


def agents(k: int) -> Agents:
    return Agents(
        track_tokens=("v1", "p7"),
        kinds=(AgentKind.VEHICLE, AgentKind.PEDESTRIAN),
        boxes=np.array([[20.0 + k, 3.0, 3.1, 4.7, 1.9], [5.0, -6.0, -1.2, 0.5, 0.6]]),
        vertical=np.array([[0.75, 1.5], [0.86, 1.72]]),
        velocities=np.array([[10.0, -0.5], [0.2, 1.1]]),
    )


def record(name: str = "log1", split: str = "train") -> LogRecord:
    k = np.arange(FRAMES)
    heading = 3.1 + 0.02 * k
    return LogRecord(
        dataset="testset",
        split=split,
        name=name,
        location="town1",
        timestamps_us=1_000_000 + 100_000 * k,
        poses=np.column_stack([100.0 - 0.9 * k, 0.1 * k, (heading + np.pi) % (2 * np.pi) - np.pi]),
        velocities=np.column_stack([9.0 + 0.1 * k, 0.01 * k]),
        accelerations=np.column_stack([0.5 + 0.0 * k, -0.2 * k]),
        yaw_rates=np.full(FRAMES, 0.2),
        vehicle=PACIFICA,
        agents=tuple(agents(i) for i in k),
        traffic_lights=tuple((TrafficLight(lane_id="12", state=LightState.RED if i < 3 else LightState.GREEN),) for i in k),
        route=np.column_stack([np.linspace(110.0, 0.0, 30), np.zeros(30)]),
    )


def lane(lane_id: str, x: float, **links: object) -> Lane:
    center = np.array([[x, 0.0], [x + 50.0, 0.0]])
    return Lane(
        lane_id=lane_id,
        centerline=center,
        left_boundary=center + [0.0, 1.75],
        right_boundary=center - [0.0, 1.75],
        **links,  # type: ignore[arg-type]
    )


def small_map() -> VectorMap:
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    kinds = (AreaKind.CROSSWALK, AreaKind.WALKWAY, AreaKind.CARPARK, AreaKind.GENERIC_DRIVABLE, AreaKind.INTERSECTION)
    lines = (LineKind.ROAD_EDGE, LineKind.DASHED_WHITE, LineKind.SOLID_WHITE, LineKind.DASHED_YELLOW, LineKind.SOLID_YELLOW)
    return VectorMap(
        lanes=(
            lane("7", 0.0, successor_ids=("12",), lane_group_id="1", speed_limit_mps=13.4),
            lane("12", 50.0, predecessor_ids=("7",), successor_ids=("3",), lane_group_id="9", intersection_id="5"),
            lane("3", 100.0, predecessor_ids=("12",), lane_group_id="2", is_bike_lane=True),
        ),
        areas=(
            *(Area(area_id="5", kind=kind, outline=square + k) for k, kind in enumerate(kinds)),
            Area(area_id="1", kind=AreaKind.STOP_ZONE, outline=square, lane_ids=("12",)),
        ),
        lines=tuple(Line(line_id=str(k), kind=kind, points=square + k) for k, kind in enumerate(lines)),
    )


@pytest.fixture
def log(tmp_path: Path) -> LogReader:
    write_map(small_map(), tmp_path, dataset="testset", location="town1", signalised_lanes={"12"})
    return LogReader(write_log(record(), tmp_path), tmp_path)


def test_ego_agents_and_lights_come_back(log: LogReader) -> None:
    given = record()
    assert (log.name, log.dataset, log.split, log.location) == ("log1", "testset", "testset_train", "town1")
    np.testing.assert_array_equal(log.timestamps_us, given.timestamps_us)
    assert log.vehicle == PACIFICA
    for k in range(FRAMES):
        ego, seen = log.ego(k), log.agents(k)
        np.testing.assert_allclose(ego.pose, given.poses[k], atol=1e-9)
        np.testing.assert_allclose(ego.velocity, given.velocities[k], atol=1e-9)
        assert ego.yaw_rate == pytest.approx(given.yaw_rates[k], abs=1e-9)
        np.testing.assert_allclose(ego.acceleration, given.accelerations[k], atol=1e-9)
        assert (seen.track_tokens, seen.kinds) == (given.agents[k].track_tokens, given.agents[k].kinds)
        for name in ("boxes", "vertical", "velocities"):
            np.testing.assert_allclose(getattr(seen, name), getattr(given.agents[k], name), atol=1e-9)
        assert log.traffic_lights(k) == given.traffic_lights[k]


def test_route_comes_back_as_a_planned_one(log: LogReader) -> None:
    route = log.provided_route
    assert route is not None
    np.testing.assert_allclose(route[[0, -1]], [[110.0, 0.0], [0.0, 0.0]], atol=1e-6)


def test_without_a_route_the_driven_path_is_not_stored_as_one(tmp_path: Path) -> None:
    write_map(small_map(), tmp_path, dataset="testset", location="town1")
    folder = write_log(replace(record(), route=None), tmp_path)
    assert not (folder / "route_position.arrow").exists()


def test_map_comes_back_with_its_ids_links_and_kinds(log: LogReader) -> None:
    found, given = log.vector_map(), small_map()
    lanes = {lane.lane_id: lane for lane in found.lanes}
    assert set(lanes) == {"7", "12", "3"}
    for want in given.lanes:
        got = lanes[want.lane_id]
        for name in ("predecessor_ids", "successor_ids", "lane_group_id", "intersection_id", "speed_limit_mps", "is_bike_lane"):
            assert getattr(got, name) == getattr(want, name), name
        for name in ("centerline", "left_boundary", "right_boundary"):
            np.testing.assert_array_equal(getattr(got, name), getattr(want, name))
    for area in given.areas:
        same = [other for other in found.areas_of(area.kind) if other.area_id == area.area_id]
        assert len(same) == 1 and same[0].lane_ids == area.lane_ids
        np.testing.assert_array_equal(same[0].outline, area.outline)
    assert {(line.line_id, line.kind) for line in given.lines} <= {(line.line_id, line.kind) for line in found.lines}


def test_sensors_come_back_at_the_frames_that_have_them(tmp_path: Path) -> None:
    write_map(small_map(), tmp_path, dataset="testset", location="town1")
    rng = np.random.default_rng(0)
    image = np.full((24, 32, 3), (200, 40, 90), dtype=np.uint8)
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    pose[:3, 3] = [1.6, 0.1, 1.5]
    camera = CameraFrame(image=image, intrinsics=np.array([[30.0, 0, 16], [0, 31.0, 12], [0, 0, 1]]), ego_from_camera=pose)
    points = rng.uniform(-30, 30, (500, 3)).astype(np.float32)
    frame = SensorFrame(cameras={CameraId.F0: camera}, lidar=LidarSweep(points=points))
    log = LogReader(write_log(replace(record(), sensors={2: frame}), tmp_path), tmp_path)
    assert log.cameras(1) == {} and log.lidar(1) is None
    seen, sweep = log.cameras(2)[CameraId.F0], log.lidar(2)
    np.testing.assert_allclose(seen.ego_from_camera, pose, atol=1e-6)
    np.testing.assert_allclose(seen.intrinsics, camera.intrinsics)
    assert np.abs(seen.image.astype(int) - image).max() <= 4
    assert sweep is not None
    distance = np.abs(sweep.points[:, None] - points[None]).max(axis=2).min(axis=1)
    assert len(sweep.points) == 500 and distance.max() < 0.01


def test_existing_logs_and_maps_are_not_overwritten(tmp_path: Path) -> None:
    write_map(small_map(), tmp_path, dataset="testset", location="town1")
    write_log(record(), tmp_path)
    with pytest.raises(InputError, match="exists already"):
        write_log(record(), tmp_path)
    with pytest.raises(InputError, match="exists already"):
        write_map(small_map(), tmp_path, dataset="testset", location="town1")


def test_a_log_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(lights: object, time: object) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(write, "_lights", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        write_log(record(), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not (tmp_path / "logs" / "testset_train" / "log1").exists()


@pytest.mark.parametrize("name", ["lane_a", "07", "-1"])
def test_map_ids_that_py123d_would_change_are_refused(tmp_path: Path, name: str) -> None:
    wrong = VectorMap(lanes=(lane(name, 0.0, lane_group_id="1"),))
    with pytest.raises(InputError, match="whole numbers"):
        write_map(wrong, tmp_path, dataset="testset", location="town1")


def test_map_lanes_without_a_group_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need a lane group"):
        write_map(VectorMap(lanes=(lane("1", 0.0),)), tmp_path, dataset="testset", location="town1")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"dataset": "my_set"}, "no underscore"),
        ({"split": "dev"}, "train, val, test"),
        ({"timestamps_us": np.zeros(FRAMES)}, "increasing time"),
        ({"agents": ()}, "at each of its 6 frames"),
        ({"velocities": np.full((FRAMES, 2), np.nan)}, "must be finite"),
        ({"route": np.zeros((4, 3))}, r"axes \[K 2\]"),
    ],
)
def test_records_that_break_a_rule_say_so(change: dict, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        replace(record(), **change)
