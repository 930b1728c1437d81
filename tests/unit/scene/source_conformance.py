"""What every ``SceneSource`` must do, stated once. Each source's tests call ``assert_source_conforms``."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.geometry import to_world
from diffdrive.geometry.se2 import rotate
from diffdrive.scene import Agents, DrivingCommand, Modality, Observation, Scene, SceneSource

POSITION_M = 0.02
"""Two scenes may differ in where they put one thing by this much: logs store poses with rounded numbers."""


def assert_source_conforms(source: SceneSource, *, max_scenes: int = 6) -> None:
    """Load up to ``max_scenes`` scenes in a row, and the last one, and check them one by one and against each other."""
    assert isinstance(source, SceneSource)
    assert source.name
    assert source.modalities <= set(Modality)
    _assert_tokens(source)
    tokens = list(source.tokens)
    chosen = list(dict.fromkeys([*tokens[:max_scenes], tokens[-1]]))
    scenes = [source.load(token) for token in chosen]
    for token, scene in zip(chosen, scenes, strict=True):
        _assert_scene(scene, token)
        _assert_modalities(scene, source.modalities)
    assert_same(scenes[0], source.load(chosen[0]), "the same scene, loaded twice")
    _assert_without_sensors(source, scenes[0])
    for earlier, later in itertools.pairwise(scenes):
        if earlier.log_name == later.log_name:
            assert_neighbours_agree(earlier, later)


def _assert_tokens(source: SceneSource) -> None:
    tokens = list(source.tokens)
    assert tokens, "a source has at least one scene"
    assert all(isinstance(token, str) and token for token in tokens)
    assert len(set(tokens)) == len(tokens), "tokens are unique"
    assert list(source.tokens) == tokens, "tokens keep their order"
    with pytest.raises(InputError, match="no-such-scene"):
        source.load("no-such-scene")


def _assert_scene(scene: Scene, token: str) -> None:
    assert scene.token == token
    assert scene.log_name
    assert scene.location
    observation = scene.observation
    assert {field.name for field in dataclasses.fields(observation)} == {"ego_history", "command", "cameras", "lidar"}
    assert type(observation) is Observation, "a subclass could carry the future"
    assert np.allclose(observation.ego.pose, 0.0, atol=1e-6)
    times = [state.timestamp_us for state in observation.ego_history]
    assert all(isinstance(time, int) for time in times)
    assert sorted(set(times)) == times
    if scene.route is None and not scene.route_group_ids:
        assert observation.command is DrivingCommand.UNKNOWN, "a command comes from a planned route only"
    for earlier, later in itertools.pairwise(observation.ego_history):
        elapsed_s = (later.timestamp_us - earlier.timestamp_us) * 1e-6
        mean = (rotate(earlier.velocity, earlier.pose[2]) + rotate(later.velocity, later.pose[2])) / 2
        travelled = later.pose[:2] - earlier.pose[:2]
        # Half a second at changing speed: a body-frame velocity taken for a world-frame one is off by metres.
        assert np.allclose(travelled, mean * elapsed_s, atol=0.15 + 0.1 * np.hypot(*travelled)), "velocity is motion"


def _assert_modalities(scene: Scene, promised: frozenset[Modality]) -> None:
    present = {
        Modality.CAMERAS: bool(scene.observation.cameras),
        Modality.LIDAR: scene.observation.lidar is not None,
        Modality.MAP: bool(scene.vector_map.lanes),
        Modality.ROUTE: scene.route is not None or bool(scene.route_group_ids),
        Modality.FUTURE: scene.future is not None,
    }
    for modality, is_there in present.items():
        assert is_there or modality not in promised, f"{modality.value} is promised but missing"
    # A source that has something in every scene says so; a promise may only be kept back where some scene lacks it.
    if Modality.AGENTS not in promised:
        assert not len(scene.agents)
    if Modality.TRAFFIC_LIGHTS not in promised:
        assert not scene.traffic_lights


def _assert_without_sensors(source: SceneSource, scene: Scene) -> None:
    bare = source.load(scene.token, sensors=False)
    assert not bare.observation.cameras
    assert bare.observation.lidar is None
    seen = dataclasses.replace(scene.observation, cameras={}, lidar=None)
    assert_same(bare, dataclasses.replace(scene, observation=seen), "the same scene without sensors")


def assert_neighbours_agree(earlier: Scene, later: Scene) -> None:
    """What ``earlier`` calls its future is what ``later`` calls its present, once both are in the world frame."""
    if earlier.future is None:
        return
    elapsed_s = (later.observation.ego.timestamp_us - earlier.observation.ego.timestamp_us) * 1e-6
    step = round(elapsed_s / earlier.future.ego.interval_s) - 1
    if not 0 <= step < earlier.future.ego.num_poses:
        return
    if abs(earlier.future.ego.times_s[step] - elapsed_s) > 0.02:
        return
    predicted = to_world(earlier.future.ego.poses[step], earlier.world_from_ego)
    assert np.allclose(predicted[:2], later.world_from_ego[:2], atol=POSITION_M)
    assert np.allclose(np.cos(predicted[2] - later.world_from_ego[2]), 1.0, atol=1e-6)
    _assert_agents_agree(earlier.future.agents[step], earlier, later.agents, later)
    if later.past_agents and len(later.past_agents) > step and earlier.past_agents:
        _assert_agents_agree(earlier.agents, earlier, later.past_agents[-1 - step], later)
    if earlier.future.traffic_lights:
        assert earlier.future.traffic_lights[step] == later.traffic_lights
    history = later.observation.ego_history
    if len(history) > step + 1:
        past = to_world(history[-2 - step].pose, later.world_from_ego)
        assert np.allclose(past[:2], earlier.world_from_ego[:2], atol=POSITION_M)


def _assert_agents_agree(first: Agents, first_scene: Scene, second: Agents, second_scene: Scene) -> None:
    assert first.track_tokens == second.track_tokens
    assert first.kinds == second.kinds
    boxes = [to_world(a.boxes[:, :3], s.world_from_ego) for a, s in ((first, first_scene), (second, second_scene))]
    assert np.allclose(boxes[0][:, :2], boxes[1][:, :2], atol=POSITION_M)
    assert np.allclose(np.cos(boxes[0][:, 2] - boxes[1][:, 2]), 1.0, atol=1e-6)
    turned = [rotate(a.velocities, s.world_from_ego[2]) for a, s in ((first, first_scene), (second, second_scene))]
    assert np.allclose(turned[0], turned[1], atol=0.01)


def assert_same(first: Any, second: Any, what: str) -> None:
    """Equal to the last bit, through dataclasses, sequences and mappings, down to the arrays."""
    assert type(first) is type(second), what
    if dataclasses.is_dataclass(first):
        for field in dataclasses.fields(first):
            assert_same(getattr(first, field.name), getattr(second, field.name), f"{what}: {field.name}")
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype, what
        assert np.array_equal(first, second), what
    elif isinstance(first, Mapping):
        assert list(first) == list(second), what
        for key in first:
            assert_same(first[key], second[key], f"{what}: {key}")
    elif isinstance(first, tuple | list):
        assert len(first) == len(second), what
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_same(a, b, f"{what}[{index}]")
    else:
        assert first == second, what
