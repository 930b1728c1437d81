"""Topics in, topics out: what the bridge listens to, what it says, and what it makes of trouble. With a planner of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'diffdrive[ros2]'")
pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install 'diffdrive[ros2]'")

import rclpy_stand_in
import ros_drive
from diffdrive_agents.ros2 import node as ros_node
from diffdrive_agents.ros2.bag_types import make_bag_message
from diffdrive_agents.ros2.bridge import Bridge
from diffdrive_agents.ros2.config import DEFAULT_PARAMS, BridgeConfig, CommandSource, config_from_file, config_from_parameters
from diffdrive_agents.ros2.conversion.commands import command_of_indicators, command_on_route, route_line
from diffdrive_agents.ros2.conversion.lanelet_map import read_lanelet_map
from diffdrive_agents.ros2.conversion.making import header_message
from diffdrive_agents.ros2.conversion.trajectories import TimedPoints
from diffdrive_agents.ros2.scene_messages import mounting_message, scene_messages
from driven_plans import arc, plan
from ros_messages import ego

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import AskInline, DecisionStatus, InputCondition
from diffdrive.runtime.plan import Plan
from diffdrive.scene import DrivingCommand, Observation, Scene, Trajectory

CONFIG = ros_drive.raw()
STRAIGHT = np.stack([np.linspace(2.5, 20.0, 8), np.zeros(8), np.zeros(8)], axis=-1)


class Straight:
    """Plans 5 m/s straight ahead and remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        self.seen.append(observation)
        speed = float(observation.ego.velocity[0])
        return plan(arc(0.0, speed), arc(0.001, speed), scores=(0.7, 0.3))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    source = ros_drive.Drive()
    return [source.load(token) for token in source.tokens[20:32]]


def bridge_of(config: BridgeConfig = CONFIG) -> tuple[Bridge, Straight]:
    planner = Straight()
    return Bridge(AskInline(planner=planner), config, make_bag_message), planner


def messages_of(scene: Scene, config: BridgeConfig = CONFIG) -> Iterator[tuple[str, Any]]:
    yield config.inputs.static_transforms, mounting_message(make_bag_message, scene, config)
    yield from scene_messages(make_bag_message, scene, config)


def driven(bridge: Bridge, scene: Scene, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    for topic, message in messages_of(scene, bridge.config):
        if topic not in without:
            bridge.receive(topic, message)
    return {out.topic: out.message for out in bridge.cycle(scene.observation.ego.timestamp_us)}


def conditions(bridge: Bridge) -> dict[str, InputCondition]:
    assert bridge.outcome is not None
    return {report.name: report.condition for report in bridge.outcome.admission.reports}


def test_the_planner_sees_the_scene(scenes: list[Scene]) -> None:
    bridge, planner = bridge_of()
    driven(bridge, scenes[0])
    (seen,), wanted = planner.seen, scenes[0].observation
    assert seen.command is wanted.command and seen.lidar is not None and wanted.lidar is not None
    np.testing.assert_array_equal(seen.lidar.points, wanted.lidar.points)
    for camera_id, frame in seen.cameras.items():
        np.testing.assert_array_equal(frame.image, wanted.cameras[camera_id].image)
        np.testing.assert_array_equal(frame.intrinsics, wanted.cameras[camera_id].intrinsics)
        np.testing.assert_allclose(frame.ego_from_camera, wanted.cameras[camera_id].ego_from_camera, atol=1e-9)
    np.testing.assert_array_equal(seen.ego.velocity, wanted.ego.velocity)


def test_a_cloud_in_its_own_frame_is_moved_to_the_vehicles(scenes: list[Scene]) -> None:
    mounted = ros_drive.raw("inputs.point_cloud_mounting.x_m=1.5", "inputs.point_cloud_mounting.yaw_rad=1.5707963267948966")
    bridge, planner = bridge_of(mounted)
    driven(bridge, scenes[0])
    assert planner.seen[0].lidar is not None and scenes[0].observation.lidar is not None
    x, y, z = scenes[0].observation.lidar.points.T
    np.testing.assert_allclose(planner.seen[0].lidar.points, np.stack([1.5 - y, x, z], axis=-1), atol=1e-5)


def test_before_the_first_odometry_only_diagnostics_go_out(scenes: list[Scene]) -> None:
    bridge, _ = bridge_of()
    out = driven(bridge, scenes[0], without=(CONFIG.inputs.odometry,))
    assert set(out) == {CONFIG.outputs.diagnostics}
    first = out[CONFIG.outputs.diagnostics].status[0]
    assert (first.level, first.message) == (2, DecisionStatus.EMERGENCY_STOP.value)


@pytest.mark.parametrize(
    ("broken", "name", "sentence"),
    [
        (CONFIG.inputs.cameras.f0.info, "camera f0", "No CameraInfo has arrived yet"),
        (CONFIG.inputs.static_transforms, "camera l0", "not known where frame 'camera_l0_optical_link' sits"),
        (CONFIG.inputs.acceleration, "motion", "no acceleration within"),
    ],
)
def test_what_is_missing_beside_a_message_is_a_fault_of_it(scenes: list[Scene], broken: str, name: str, sentence: str) -> None:
    bridge, planner = bridge_of()
    driven(bridge, scenes[0], without=(broken,))
    assert bridge.outcome is not None and not planner.seen
    (report,) = [each for each in bridge.outcome.admission.reports if each.name == name]
    assert report.condition is InputCondition.UNUSABLE and sentence in report.detail


def test_points_that_are_not_numbers_are_a_fault_of_the_lidar(scenes: list[Scene]) -> None:
    bridge, _ = bridge_of()
    for topic, message in messages_of(scenes[0]):
        if topic == CONFIG.inputs.point_cloud:
            message.data = message.data.copy()
            message.data[:4] = np.array([np.nan], np.float32).view(np.uint8)
        bridge.receive(topic, message)
    bridge.cycle(scenes[0].observation.ego.timestamp_us)
    assert conditions(bridge)["lidar"] is InputCondition.UNUSABLE


def test_of_two_images_the_younger_one_counts(scenes: list[Scene]) -> None:
    bridge, planner = bridge_of()
    topic = CONFIG.inputs.cameras.f0.image
    for each, message in [*messages_of(scenes[1]), *messages_of(scenes[0])]:
        if each == topic or message.__msgtype__ != "nav_msgs/msg/Odometry":
            bridge.receive(each, message)
    for each, message in messages_of(scenes[1]):
        if each == CONFIG.inputs.odometry:
            bridge.receive(each, message)
    bridge.cycle(scenes[1].observation.ego.timestamp_us)
    (seen,) = planner.seen
    for camera_id, frame in seen.cameras.items():
        np.testing.assert_array_equal(frame.image, scenes[1].observation.cameras[camera_id].image)


def test_without_a_camera_the_plan_is_carried_on_and_then_the_vehicle_stops(scenes: list[Scene]) -> None:
    bridge, _ = bridge_of()
    # Its last image may be used until it is 0.15 s older than the others.
    statuses, levels = [], []
    for index, scene in enumerate(scenes):
        out = driven(bridge, scene, without=(CONFIG.inputs.cameras.r0.image,) if index else ())
        assert bridge.outcome is not None
        statuses.append(bridge.outcome.decision.status)
        levels.append(out[CONFIG.outputs.diagnostics].status[0].level)
        assert CONFIG.outputs.trajectory in out and (CONFIG.outputs.candidates in out) == (index < 2)
    assert statuses == [DecisionStatus.PLANNED] * 2 + [DecisionStatus.CARRIED_ON] * 5 + [DecisionStatus.STOPPING] * 5
    assert levels == [0] * 2 + [1] * 5 + [2] * 5
    assert conditions(bridge)["camera r0"] is InputCondition.STALE


class Shaky(Straight):
    """Its only proposal jitters to the left by ``aside_m`` at every other pose."""

    def __init__(self, aside_m: float) -> None:
        super().__init__()
        self._aside_m = aside_m

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        poses = arc(0.0, float(observation.ego.velocity[0]))
        poses[::2, 1] += self._aside_m
        return plan(poses)


@pytest.mark.parametrize(("aside_m", "level"), [(0.45, 0), (4.0, 1)])
def test_only_a_plan_that_was_bent_far_is_a_warning(scenes: list[Scene], aside_m: float, level: int) -> None:
    bridge = Bridge(AskInline(planner=Shaky(aside_m)), CONFIG, make_bag_message)
    out = driven(bridge, scenes[0])
    assert bridge.outcome is not None and bridge.outcome.decision.status is DecisionStatus.REPAIRED
    assert out[CONFIG.outputs.diagnostics].status[0].level == level


def test_a_failure_while_looking_at_messages_still_ends_in_a_decision(scenes: list[Scene]) -> None:
    bridge, _ = bridge_of()
    driven(bridge, scenes[0])
    bridge.receive(CONFIG.inputs.odometry, object())
    out = {each.topic: each.message for each in bridge.cycle(scenes[1].observation.ego.timestamp_us)}
    assert bridge.outcome is not None and bridge.outcome.decision.status is DecisionStatus.PLANNED, "all inputs are held"
    first = out[CONFIG.outputs.diagnostics].status[0]
    assert first.level == 2 and "AttributeError" in {pair.key: pair.value for pair in first.values}["failure"]


def test_the_inbox_does_not_grow_without_cycles(scenes: list[Scene]) -> None:
    bridge, planner = bridge_of()
    for topic, message in messages_of(scenes[0]):
        for _ in range(500):
            bridge.receive(topic, message)
    assert all(len(waiting) == 200 for waiting in bridge._inbox.take().values())
    assert not planner.seen


def test_a_point_of_a_trajectory_tells_speed_bend_and_acceleration() -> None:
    speed, curvature = 8.0, 0.05
    times = np.arange(1, 9) * 0.5
    turn = curvature * speed * times
    poses = np.stack([np.sin(turn) / curvature, (1 - np.cos(turn)) / curvature, turn], axis=-1)
    points = TimedPoints.of(Trajectory(poses), replace(ego(0, speed=speed), yaw_rate=speed * curvature), 3.0, 5)
    np.testing.assert_allclose(points.times_s, np.arange(41) * 0.1)
    np.testing.assert_array_equal(points.poses[5::5], poses)
    turned = curvature * speed * points.times_s
    np.testing.assert_allclose(points.poses[:, 0], np.sin(turned) / curvature, atol=1e-9)
    np.testing.assert_allclose(points.poses[:, 1], (1 - np.cos(turned)) / curvature, atol=1e-9)
    np.testing.assert_allclose(points.speeds, speed, atol=1e-9)
    np.testing.assert_allclose(points.accelerations, 0.0, atol=1e-9)
    np.testing.assert_allclose(points.curvatures, curvature, atol=1e-9)


def test_a_trajectory_that_brakes_tells_so_until_it_stands() -> None:
    ways = np.minimum(np.arange(1, 9) * 0.5, 2.0) * 4.0 - np.minimum(np.arange(1, 9) * 0.5, 2.0) ** 2
    poses = np.stack([ways, np.zeros(8), np.zeros(8)], axis=-1)
    points = TimedPoints.of(Trajectory(poses), ego(0, speed=4.0, acceleration=-2.0), 3.0, 5)
    np.testing.assert_allclose(points.accelerations[:17], -2.0, atol=1e-9)
    np.testing.assert_allclose(points.speeds[:17], 4.0 - 2.0 * points.times_s[:17], atol=1e-9)
    assert points.speeds[-1] == 0.0 and points.accelerations[-1] == 0.0


@pytest.mark.parametrize(("number", "command"), [(0, "UNKNOWN"), (1, "STRAIGHT"), (2, "LEFT"), (3, "RIGHT")])
def test_turn_indicators_are_commands(number: int, command: str) -> None:
    message = make_bag_message("autoware_vehicle_msgs/msg/TurnIndicatorsCommand", command=number)
    assert command_of_indicators(message) is DrivingCommand[command]


def test_other_numbers_are_no_command() -> None:
    with pytest.raises(InputError, match="got 7"):
        command_of_indicators(make_bag_message("autoware_vehicle_msgs/msg/TurnIndicatorsCommand", command=7))


def osm(folder: Path, ways: dict[int, list[tuple[float, float]]], lanelets: dict[int, tuple[int, int]]) -> Path:
    """A Lanelet2 file of the ways and lanelets (left, right) given."""
    nodes, lines, number = [], [], 0
    for way, points in ways.items():
        refs = []
        for x, y in points:
            number += 1
            nodes.append(f'<node id="{number}" lat="0" lon="0"><tag k="local_x" v="{x}"/><tag k="local_y" v="{y}"/></node>')
            refs.append(f'<nd ref="{number}"/>')
        lines.append(f'<way id="{1000 + way}">{"".join(refs)}</way>')
    for lanelet, (left, right) in lanelets.items():
        members = f'<member type="way" role="left" ref="{1000 + left}"/><member type="way" role="right" ref="{1000 + right}"/>'
        lines.append(f'<relation id="{lanelet}">{members}<tag k="type" v="lanelet"/></relation>')
    path = folder / "map.osm"
    path.write_text(f"<osm>{''.join(nodes)}{''.join(lines)}</osm>")
    return path


def corner(folder: Path) -> Path:
    """A lane of 30 m along x and one that turns from its end to the left."""
    angle = np.linspace(0, np.pi / 2, 9)
    inner = [(30 + 8 * np.sin(a), 10 - 8 * np.cos(a)) for a in angle]
    outer = [(30 + 12 * np.sin(a), 10 - 12 * np.cos(a)) for a in angle]
    ways = {1: [(0, 2), (30, 2)], 2: [(30, -2), (0, -2)], 3: inner, 4: outer[::-1]}
    return osm(folder, ways, {7: (1, 2), 8: (3, 4)})


def route(*lanelets: int) -> Any:
    segments = [
        make_bag_message(
            "autoware_planning_msgs/msg/LaneletSegment",
            preferred_primitive=make_bag_message(
                "autoware_planning_msgs/msg/LaneletPrimitive", id=lanelet, primitive_type="lane"
            ),
        )
        for lanelet in lanelets
    ]
    header = header_message(make_bag_message, 0, "map")
    return make_bag_message("autoware_planning_msgs/msg/LaneletRoute", header=header, segments=segments)


def test_centre_lines_run_in_the_driving_direction_however_the_sides_are_stored(tmp_path: Path) -> None:
    lines = read_lanelet_map(corner(tmp_path))
    np.testing.assert_allclose(lines[7][[0, -1]], [[0, 0], [30, 0]], atol=1e-9)
    np.testing.assert_allclose(lines[8][[0, -1]], [[30, 0], [40, 10]], atol=1e-9)
    np.testing.assert_allclose(np.hypot(*(lines[8] - [30, 10]).T), 10.0, atol=0.1)


def test_the_command_follows_the_route(tmp_path: Path) -> None:
    line = route_line(route(7, 8), read_lanelet_map(corner(tmp_path)))
    assert command_on_route(line, np.array([2.0, 0.0, 0.0])) is DrivingCommand.STRAIGHT
    assert command_on_route(line, np.array([22.0, 0.0, 0.0])) is DrivingCommand.LEFT
    with pytest.raises(InputError, match=r"\[9\]"):
        route_line(route(7, 9), read_lanelet_map(corner(tmp_path)))
    with pytest.raises(InputError, match="no segments"):
        route_line(route(), {})


def test_maps_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_lanelet_map(tmp_path / "none.osm")
    with pytest.raises(InputError, match="holds no lanelet"):
        read_lanelet_map(osm(tmp_path, {}, {}))
    (tmp_path / "map.osm").write_text(corner(tmp_path).read_text().replace("local_x", "other"))
    with pytest.raises(InputError, match="local_x"):
        read_lanelet_map(tmp_path / "map.osm")


def test_a_bridge_reads_the_command_from_the_route(scenes: list[Scene], tmp_path: Path) -> None:
    x, y, heading = scenes[0].world_from_ego
    ahead, aside = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    start = np.array([x, y])
    sides = [
        [tuple(start + s * ahead + (0.02 * max(s, 0) ** 2 + side) * aside) for s in np.linspace(-10, 40, 26)]
        for side in (2, -2)
    ]
    lanes = osm(tmp_path, dict(enumerate(sides)), {5: (0, 1)})
    bridge, planner = bridge_of(ros_drive.raw("command_source=route", f"lanelet_map={lanes}"))
    bridge.receive(bridge.config.inputs.route, route(5))
    driven(bridge, scenes[0])
    driven(bridge, scenes[1])
    assert [seen.command for seen in planner.seen] == [DrivingCommand.LEFT] * 2, "a route is sent once and holds"
    assert bridge.config.inputs.turn_indicators not in {topic.name for topic in bridge.subscriptions}
    with pytest.raises(InputError, match="needs the map"):
        BridgeConfig(command_source=CommandSource.ROUTE)


def test_the_parameter_file_holds_the_defaults() -> None:
    assert to_mapping(config_from_file(DEFAULT_PARAMS)) == to_mapping(BridgeConfig())


def test_unknown_parameters_are_errors_that_name_the_closest_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_gap_s"):
        config_from_parameters({"history.max_gap": 0.5})
    assert config_from_parameters({"history.max_gap_s": 1, "inputs.cameras.f0.image": "/a"}).history.max_gap_s == 1.0
    path = tmp_path / "params.yaml"
    path.write_text("history: {max_gap_s: 1.0}\n")
    with pytest.raises(InputError, match="ros__parameters"):
        config_from_file(path)


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    rclpy_stand_in.install(monkeypatch)
    ros_node.message_class.cache_clear()
    yield
    ros_node.message_class.cache_clear()


@pytest.mark.usefixtures("ros")
def test_the_node_moves_messages_and_begins_cycles(scenes: list[Scene]) -> None:
    node, planner = rclpy_stand_in.Node(), Straight()
    ros_node.connect(node, Bridge(AskInline(planner=planner), CONFIG, ros_node.make_ros_message))
    ((period_s, cycle),) = node.timers
    assert period_s == 0.1
    assert {
        name: (quality.reliability, quality.durability, quality.depth) for name, (_, _, quality) in node.subscriptions.items()
    } == {
        **{camera.image: ("best effort", "volatile", 1) for _, camera in CONFIG.inputs.cameras.items()},
        **{camera.info: ("best effort", "volatile", 1) for _, camera in CONFIG.inputs.cameras.items()},
        CONFIG.inputs.point_cloud: ("best effort", "volatile", 1),
        CONFIG.inputs.odometry: ("best effort", "volatile", 100),
        CONFIG.inputs.acceleration: ("best effort", "volatile", 100),
        CONFIG.inputs.static_transforms: ("reliable", "transient local", 10),
        CONFIG.inputs.turn_indicators: ("best effort", "volatile", 100),
    }
    for topic, message in messages_of(scenes[0]):
        node.subscriptions[topic][1](message)
    node.now_ns = scenes[0].observation.ego.timestamp_us * 1000
    cycle()
    assert len(planner.seen) == 1 and not node.errors
    assert {name: len(publisher.sent) for name, publisher in node.publishers.items()} == dict.fromkeys(node.publishers, 1)
    assert node.publishers[CONFIG.outputs.diagnostics].sent[0].status[0].level == b"\x00"


@pytest.mark.usefixtures("ros")
def test_a_cycle_that_fails_is_told_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    node = rclpy_stand_in.Node()
    bridge = Bridge(AskInline(planner=Straight()), CONFIG, ros_node.make_ros_message)
    ros_node.connect(node, bridge)
    ((_, cycle),) = node.timers
    with monkeypatch.context() as broken:
        broken.setattr(bridge, "cycle", lambda now_us: 1 / 0)
        cycle()
    cycle()
    assert node.errors == ["The cycle failed: ZeroDivisionError: division by zero"]
    assert len(node.publishers[CONFIG.outputs.diagnostics].sent) == 1


def test_the_nodes_parameters_are_the_bridges() -> None:
    node = rclpy_stand_in.Node(
        {"use_sim_time": True, "qos_overrides./clock.depth": 1, "history.max_gap_s": 0.5, "vehicle": "taxi"}
    )
    config = ros_node.parameters_of(node)
    assert (config.history.max_gap_s, config.vehicle, config.inputs) == (0.5, "taxi", BridgeConfig().inputs)
    with pytest.raises(InputError, match="Did you mean 'vehicle'"):
        ros_node.parameters_of(rclpy_stand_in.Node({"vehicl": "taxi"}))
