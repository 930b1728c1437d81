"""Our reader of NAVSIM data against the devkit's own loader: every field of every frame of every scene.

Marked ``navsim``: needs the devkit (v1.1 or v2.2) on the import path. ``DIFFDRIVE_NAVSIM_DATA`` names a data root to compare
instead of the small drive made here.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from navsim_data import change_log, copy_without_sensors

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.features.targets import build_targets
from diffdrive.geometry import to_world
from diffdrive.geometry.se2 import rotate
from diffdrive.model import planner_config
from diffdrive.openscene.format import CAMERA_NAMES
from diffdrive.runtime.noise import scene_key
from diffdrive.scene import Agents, CameraId, LightState, Scene
from diffdrive.sources import OpenSceneLogSource

pytestmark = pytest.mark.navsim

FUTURE = 10
POSITION_M = 2e-6
"""UTM coordinates are millions of metres: a double holds them to a nanometre, and frames are turned back and forth."""

ANGLE = 1e-9


COMPARED = {
    "SceneMetadata": {"log_name", "map_name", "initial_token", "num_history_frames", "num_future_frames"},
    "Frame": {"token", "timestamp", "roadblock_ids", "traffic_lights", "annotations", "ego_status", "lidar", "cameras"},
    "EgoStatus": {"ego_pose", "ego_velocity", "ego_acceleration", "driving_command"},
    "Annotations": {"boxes", "names", "velocity_3d", "track_tokens"},
    "Camera": {"image", "sensor2lidar_rotation", "sensor2lidar_translation", "intrinsics"},
    "Lidar": {"lidar_pc"},
}
NOT_IN_A_SCENE = {
    "SceneMetadata": {"scene_token", "corresponding_original_scene", "corresponding_original_initial_token"},
    "EgoStatus": {"in_global_frame"},
    "Annotations": {"instance_tokens"},
    "Camera": {"distortion", "camera_path"},
    "Lidar": {"lidar_path"},
}
"""Besides: token, route and command of other frames than the present, lights of past ones, and all but x, y, z of points."""


class Comparison:
    """Counts the values that were compared, by field."""

    def __init__(self) -> None:
        self.values: Counter[str] = Counter()
        self.largest: dict[str, float] = {}

    def same(self, field: str, ours: Any, theirs: Any) -> None:
        """Equal to the last bit."""
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape, f"{field}: {ours.shape} is not {theirs.shape}"
        assert np.array_equal(ours, theirs), f"{field}: {ours} is not {theirs}"
        self.values[field] += ours.size
        self.largest.setdefault(field, 0.0)

    def near(self, field: str, ours: Any, theirs: Any, tolerance: float) -> None:
        """Equal but for rounding."""
        ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
        assert ours.shape == theirs.shape, f"{field}: {ours.shape} is not {theirs.shape}"
        gap = float(np.abs(ours - theirs).max(initial=0.0))
        assert gap <= tolerance, f"{field}: {gap} apart"
        self.values[field] += ours.size
        self.largest[field] = max(self.largest.get(field, 0.0), gap)

    def table(self) -> str:
        """For the reader of the test's output."""
        rows = [f"  {field:<34} {count:>12,}  {self.largest[field]:.1e}" for field, count in sorted(self.values.items())]
        return "\n".join([*rows, f"  {len(rows)} fields, {sum(self.values.values()):,} values"])


@pytest.fixture(scope="module")
def root(request: pytest.FixtureRequest) -> Iterator[Path]:
    pytest.importorskip("navsim", reason="the NAVSIM devkit is not installed")
    given = os.environ.get("DIFFDRIVE_NAVSIM_DATA")
    made: Path = Path(given) if given else request.getfixturevalue("navsim_root")
    values = pytest.importorskip("navsim.common.dataclasses")
    before = values.NUPLAN_MAPS_ROOT
    values.NUPLAN_MAPS_ROOT = str(made / "maps")
    yield made
    values.NUPLAN_MAPS_ROOT = before


def devkit_loader(root: Path, **filters: Any) -> Any:
    from navsim.common.dataclasses import SceneFilter, SensorConfig
    from navsim.common.dataloader import SceneLoader

    # Three images and the sweep of the present alone: a scene of ours has no others.
    wanted = ("cam_f0", "cam_l0", "cam_r0", "lidar_pc")
    sensors = SensorConfig(**{name: [3] if name in wanted else False for name in inspect.signature(SensorConfig).parameters})
    scene_filter = SceneFilter(**{"num_history_frames": 4, "num_future_frames": FUTURE, "frame_interval": 1, **filters})
    split = next((root / "navsim_logs").iterdir()).name
    # The second argument has another name in each version.
    return SceneLoader(root / "navsim_logs" / split, root / "sensor_blobs" / split, scene_filter, sensor_config=sensors)


def test_every_field_of_every_frame(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader = devkit_loader(root)
    cameras = [camera for camera in CameraId if camera.name in ("F0", "L0", "R0")]
    source = OpenSceneLogSource(root, future_s=FUTURE / 2, cameras=cameras)
    assert sorted(source.tokens) == sorted(loader.tokens)
    compared = Comparison()
    for token in source.tokens:
        scene = source.load(token)
        compare_scene(compared, scene, loader.get_scene_from_token(token))
        compare_agent_input(compared, scene, loader.get_agent_input_from_token(token))
    with capsys.disabled():
        print(
            f"\n  {len(source.tokens)} scenes of '{root}' against navsim at {inspect.getfile(type(loader))}\n{compared.table()}"
        )
    assert len(compared.values) >= 30


def test_every_field_of_the_devkit_is_accounted_for(root: Path) -> None:
    values = pytest.importorskip("navsim.common.dataclasses")
    for name, compared in COMPARED.items():
        fields = {field.name for field in dataclasses.fields(getattr(values, name))}
        known = compared | NOT_IN_A_SCENE.get(name, set())
        assert fields <= known, f"{name} has fields that nobody compares: {fields - known}"


def compare_scene(compared: Comparison, ours: Scene, theirs: Any) -> None:
    present = theirs.scene_metadata.num_history_frames - 1
    assert ours.future is not None
    compared.same("metadata: log name", ours.log_name, theirs.scene_metadata.log_name)
    compared.same("metadata: map name", ours.location, theirs.scene_metadata.map_name)
    compared.same("metadata: token", ours.token, theirs.scene_metadata.initial_token)
    compared.same("metadata: frames of past", len(ours.observation.ego_history), theirs.scene_metadata.num_history_frames)
    compared.same("metadata: frames of future", ours.future.ego.num_poses, theirs.scene_metadata.num_future_frames)
    compared.same("route", ours.route_group_ids, theirs.frames[present].roadblock_ids)
    agents = [*ours.past_agents, ours.agents, *ours.future.agents]
    lights = (*(None for _ in ours.past_agents), ours.traffic_lights, *ours.future.traffic_lights)
    poses = [*(state.pose for state in ours.observation.ego_history), *ours.future.ego.poses]
    assert len(theirs.frames) == len(agents) == len(lights) == len(poses)
    for index, frame in enumerate(theirs.frames):
        pose = np.asarray(frame.ego_status.ego_pose)
        world = to_world(poses[index], ours.world_from_ego)
        compared.near("ego: place in the city", world[:2], pose[:2], POSITION_M)
        compared.near("ego: heading in the city", wrapped(world[2] - pose[2]), 0.0, ANGLE)
        compare_annotations(compared, agents[index], frame.annotations, ours.world_from_ego, pose, is_now=index == present)
        if (own := lights[index]) is not None:
            compared.same("lights: connector", [light.lane_id for light in own], [str(i) for i, _ in frame.traffic_lights])
            reds = [light.state is LightState.RED for light in own]
            compared.same("lights: is red", reds, [bool(red) for _, red in frame.traffic_lights])
        if index <= present:
            compare_ego(compared, ours.observation.ego_history[index], frame)
    compared.same("frame: token", ours.token, theirs.frames[present].token)
    compared.near("future: ego", ours.future.ego.poses, theirs.get_future_trajectory(FUTURE).poses, POSITION_M)
    compare_sensors(compared, ours, theirs.frames[present], "scene")


def compare_ego(compared: Comparison, ours: Any, frame: Any) -> None:
    compared.same("frame: timestamp", ours.timestamp_us, frame.timestamp)
    compared.same("ego: velocity", ours.velocity.astype(np.float32), frame.ego_status.ego_velocity)
    compared.same("ego: acceleration", ours.acceleration.astype(np.float32), frame.ego_status.ego_acceleration)


def compare_annotations(
    compared: Comparison, ours: Agents, theirs: Any, origin: np.ndarray, pose: np.ndarray, *, is_now: bool
) -> None:
    """``ours`` is in the frame of ``origin``, ``theirs`` in that of ``pose``."""
    boxes = np.asarray(theirs.boxes, dtype=np.float64).reshape(-1, 7)
    velocities = np.asarray(theirs.velocity_3d, dtype=np.float64).reshape(-1, 3)[:, :2]
    when = "now" if is_now else "then"
    compared.same(f"boxes {when}: track token", ours.track_tokens, theirs.track_tokens)
    compared.same(f"boxes {when}: class", [kind.value for kind in ours.kinds], [str(name) for name in theirs.names])
    compared.same(f"boxes {when}: length, width", ours.boxes[:, 3:], boxes[:, 3:5])
    compared.same(f"boxes {when}: height", ours.vertical[:, 1], boxes[:, 5])
    if is_now:
        compared.same("boxes now: x, y, heading", ours.boxes[:, :3], boxes[:, [0, 1, 6]])
        compared.same("boxes now: z", ours.vertical[:, 0], boxes[:, 2])
        compared.same("boxes now: velocity", ours.velocities, velocities)
        return
    world, expected = to_world(ours.boxes[:, :3], origin), to_world(boxes[:, [0, 1, 6]], pose)
    compared.near("boxes then: x, y", world[:, :2], expected[:, :2], POSITION_M)
    compared.near("boxes then: heading", wrapped(world[:, 2] - expected[:, 2]), np.zeros(len(boxes)), ANGLE)
    turned = rotate(velocities, float(pose[2]))
    compared.near("boxes then: velocity", rotate(ours.velocities, float(origin[2])), turned, ANGLE * 100)


def compare_agent_input(compared: Comparison, ours: Scene, theirs: Any) -> None:
    history = ours.observation.ego_history
    assert len(history) == len(theirs.ego_statuses)
    for state, status in zip(history, theirs.ego_statuses, strict=True):
        # The devkit hands these out at single precision.
        compared.near("agent input: ego pose", state.pose, status.ego_pose, 1e-5)
        compared.same("agent input: ego velocity", state.velocity.astype(np.float32), status.ego_velocity)
        compared.same("agent input: ego acceleration", state.acceleration.astype(np.float32), status.ego_acceleration)
    command = np.eye(4, dtype=np.int64)[ours.observation.command]
    compared.same("agent input: command", command, np.asarray(theirs.ego_statuses[-1].driving_command))
    compare_sensors(compared, ours, theirs, "agent input")


def compare_sensors(compared: Comparison, ours: Scene, theirs: Any, what: str) -> None:
    """``theirs``: a frame, or an agent input, whose last entries are of now."""
    cameras, lidar = (theirs.cameras, theirs.lidar) if hasattr(theirs, "lidar") else (theirs.cameras[-1], theirs.lidars[-1])
    for camera, frame in ours.observation.cameras.items():
        other = getattr(cameras, CAMERA_NAMES[camera].lower())
        compared.same(f"{what}: image", frame.image, other.image)
        compared.same(f"{what}: camera rotation", frame.ego_from_camera[:3, :3], other.sensor2lidar_rotation)
        compared.same(f"{what}: camera translation", frame.ego_from_camera[:3, 3], other.sensor2lidar_translation)
        compared.same(f"{what}: intrinsics", frame.intrinsics, other.intrinsics)
    assert ours.observation.lidar is not None
    compared.same(f"{what}: points", ours.observation.lidar.points, np.asarray(lidar.lidar_pc)[:3].T)


def wrapped(angle: np.ndarray) -> np.ndarray:
    return np.arctan2(np.sin(angle), np.cos(angle))


def test_features_and_targets_are_those_of_the_agent(root: Path) -> None:
    from diffdrive_agents.observation import observation_of
    from diffdrive_agents.targets import MapLayers, targets_of
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer as Layer

    loader, source = devkit_loader(root), OpenSceneLogSource(root, future_s=FUTURE / 2)
    layout = planner_config("base", {})
    layers = MapLayers(
        lane=Layer.LANE, lane_connector=Layer.LANE_CONNECTOR, intersection=Layer.INTERSECTION, walkways=Layer.WALKWAYS
    )
    for token in source.tokens[:: max(1, len(source.tokens) // 12)]:
        scene, observation = source.load(token), observation_of(loader.get_agent_input_from_token(token))
        assert scene_key(scene.observation) == scene_key(observation), "both draw the same noise"
        ours, theirs = build_inputs(scene.observation, layout.inputs), build_inputs(observation, layout.inputs)
        for name in ("camera", "lidar", "status"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
        targets = build_targets(scene, layout.targets)
        expected = targets_of(loader.get_scene_from_token(token), layout.targets, layers)
        assert torch.allclose(targets.trajectory[0].double(), expected["trajectory"], atol=1e-5)
        assert torch.equal(targets.agent_states[0], expected["agent_states"])
        assert torch.equal(targets.agent_labels[0], expected["agent_labels"])
        assert torch.equal(targets.bev_semantic[0].float(), expected["bev_semantic_map"]), "the map is drawn pixel for pixel"
        assert int(targets.bev_semantic.max()) > 0


@pytest.mark.parametrize(
    "filters",
    [{"frame_interval": None}, {"frame_interval": 3}, {"num_future_frames": 4}, {"has_route": False}],
    ids=lambda filters: str(filters),
)
def test_the_same_scenes_are_chosen(root: Path, filters: dict[str, Any]) -> None:
    loader = devkit_loader(root, **filters)
    future = filters.get("num_future_frames", FUTURE)
    stride = filters.get("frame_interval", 1) or 4 + future
    source = OpenSceneLogSource(
        root, future_s=future / 2, stride_s=stride / 2, has_route=filters.get("has_route", True), across_gaps=True
    )
    assert sorted(source.tokens) == sorted(loader.tokens)
    chosen = sorted(source.tokens)[::2]
    picked = devkit_loader(root, **filters, tokens=chosen)
    ours = OpenSceneLogSource(root, future_s=future / 2, stride_s=stride / 2, tokens=chosen, across_gaps=True)
    assert sorted(ours.tokens) == sorted(picked.tokens) == chosen
    with pytest.raises(InputError, match="1 in none of the logs"):
        OpenSceneLogSource(root, tokens=["no such token"])


def test_scenes_across_gaps_are_the_devkit_s(navsim_root: Path, root: Path, tmp_path: Path) -> None:
    gapped = copy_without_sensors(navsim_root, tmp_path / "root")
    change_log(gapped, lambda frames: [frame for index, frame in enumerate(frames) if index != 9])
    filters = {"num_future_frames": 4}
    loader = devkit_loader(gapped, **filters)
    source = OpenSceneLogSource(gapped, future_s=2.0, across_gaps=True)
    assert sorted(source.tokens) == sorted(loader.tokens)
    for token in source.tokens:
        ours = source.load(token, sensors=False)
        assert ours.future is not None
        theirs = loader.get_scene_from_token(token).get_future_trajectory(4).poses
        np.testing.assert_allclose(ours.future.ego.poses, theirs, atol=POSITION_M)
    whole = OpenSceneLogSource(gapped, future_s=2.0)
    assert len(whole.tokens) < len(source.tokens), "without the option, scenes at the gap are left out"
