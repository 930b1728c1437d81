"""Training targets of a NAVSIM scene, with the keys, shapes and types of the public builders. Values are duck-typed.

trajectory  [T, 3] float64    agent_states  [A, 5] float32    agent_labels  [A] bool    bev_semantic_map  [H, W] float32
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.features.targets import build_agents, build_bev_semantic
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    EgoState,
    Lane,
    MapConvention,
    Observation,
    Scene,
    VectorMap,
)
from diffdrive.tensors import PlannerTargets, TargetLayout

from .features import cache_name, required

FRAME_INTERVAL_S = 0.5
TRAJECTORY, STATES, LABELS, BEV = "trajectory", "agent_states", "agent_labels", "bev_semantic_map"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayers:
    """The devkit's names of the layers that are drawn: members of nuPlan's ``SemanticMapLayer``."""

    lane: Any
    lane_connector: Any
    intersection: Any
    walkways: Any


@dataclass(frozen=True, slots=True)
class Point:
    """What a map is asked about: metres in its own frame."""

    x: float
    y: float


def target_cache_name(layout: TargetLayout) -> str:
    """The name that files of a training cache carry: see ``features.feature_cache_name``."""
    return cache_name("target", layout, TargetLayout())


def targets_of(scene: Any, layout: TargetLayout, layers: MapLayers) -> dict[str, Tensor]:
    """The targets of one ``navsim.common.dataclasses.Scene``: CPU tensors without a batch axis.

    Raises ``InputError`` naming the scene where its future is too short for the layout, or an annotation cannot be used.
    """
    token = scene.scene_metadata.initial_token
    try:
        now = scene_of(scene, layout, layers)
        states, labels = build_agents(now.agents, layout)
        return {
            TRAJECTORY: torch.from_numpy(_driven(scene, layout)),
            STATES: states,
            LABELS: labels,
            # Public caches hold the classes as floating-point numbers.
            BEV: build_bev_semantic(now, layout).to(torch.float32),
        }
    except InputError as error:
        raise InputError(f"Scene '{token}' of log '{scene.scene_metadata.log_name}': {error}") from error


def planner_targets(targets: Mapping[str, Tensor]) -> PlannerTargets:
    """The targets of a batch. Raises ``InputError`` where one is missing or has other axes."""
    return PlannerTargets(
        trajectory=required(targets, TRAJECTORY, "targets").to(torch.float32),
        agent_states=required(targets, STATES, "targets").to(torch.float32),
        agent_labels=required(targets, LABELS, "targets").to(torch.bool),
        bev_semantic=required(targets, BEV, "targets").to(torch.int64),
    )


def scene_of(scene: Any, layout: TargetLayout, layers: MapLayers) -> Scene:
    """What the targets need of a scene's present: the annotated objects and the map around."""
    metadata = scene.scene_metadata
    frame = scene.frames[metadata.num_history_frames - 1]
    pose = np.asarray(frame.ego_status.ego_pose, dtype=np.float64)
    present = EgoState(
        timestamp_us=0,
        pose=np.zeros(3),
        velocity=np.asarray(frame.ego_status.ego_velocity, dtype=np.float64),
        acceleration=np.asarray(frame.ego_status.ego_acceleration, dtype=np.float64),
    )
    return Scene(
        token=str(metadata.initial_token),
        log_name=str(metadata.log_name),
        location=str(metadata.map_name),
        world_from_ego=pose,
        observation=Observation(ego_history=(present,)),
        agents=_agents(frame.annotations),
        vector_map=_vector_map(scene.map_api, pose, layout, layers).to_local(pose),
    )


def _driven(scene: Any, layout: TargetLayout) -> np.ndarray:
    available = len(scene.frames) - scene.scene_metadata.num_history_frames
    if abs(layout.interval_s - FRAME_INTERVAL_S) > 1e-9 or available < layout.num_poses:
        raise InputError(
            f"the planner learns {layout.num_poses} poses every {layout.interval_s:g} s, but the scene has {available} "
            f"every {FRAME_INTERVAL_S:g} s. Set train_test_split.scene_filter.num_future_frames={layout.num_poses} or more."
        )
    poses = scene.get_future_trajectory(num_trajectory_frames=layout.num_poses).poses
    return np.array(poses, dtype=np.float64)


def _agents(annotations: Any) -> Agents:
    rows = [index for index, name in enumerate(annotations.names) if name != "ego"]
    boxes = np.asarray(annotations.boxes, dtype=np.float64).reshape(-1, 7)[rows]
    return Agents(
        track_tokens=tuple(str(annotations.track_tokens[index]) for index in rows),
        kinds=tuple(_kind(annotations.names[index]) for index in rows),
        boxes=boxes[:, [0, 1, 6, 3, 4]],
        vertical=boxes[:, [2, 5]],
        # No target reads velocities, and logs may lack some.
        velocities=np.zeros((len(rows), 2)),
    )


def _kind(name: Any) -> AgentKind:
    try:
        return AgentKind(str(name))
    except ValueError:
        known = ", ".join(kind.value for kind in AgentKind)
        raise InputError(f"an annotation is of class '{name}', which is none of {known}.") from None


def _vector_map(map_api: Any, pose: np.ndarray, layout: TargetLayout, layers: MapLayers) -> VectorMap:
    # The public builders ask for the square of this half edge too, turned as the map is, not as the car.
    reach_m = max(layout.bev_rows, layout.bev_columns / 2) * layout.bev_pixel_m
    wanted = [layers.lane, layers.lane_connector, layers.intersection, layers.walkways]
    found = map_api.get_proximal_map_objects(point=Point(float(pose[0]), float(pose[1])), radius=reach_m, layers=wanted)
    return VectorMap(
        lanes=(
            *(_lane(each, intersection_id=None) for each in found[layers.lane]),
            *(_lane(each, intersection_id="") for each in found[layers.lane_connector]),
        ),
        areas=(
            *(_area(each, AreaKind.INTERSECTION) for each in found[layers.intersection]),
            *(_area(each, AreaKind.WALKWAY) for each in found[layers.walkways]),
        ),
        convention=MapConvention.NUPLAN,
    )


def _lane(lane: Any, intersection_id: str | None) -> Lane:
    nowhere = np.zeros((0, 2))  # nothing that is drawn here needs the boundaries, and the devkit looks them up slowly
    return Lane(
        lane_id=str(lane.id),
        centerline=np.asarray(lane.baseline_path.linestring.coords)[:, :2],
        left_boundary=nowhere,
        right_boundary=nowhere,
        outline=_outline(lane.polygon),
        intersection_id=intersection_id,
    )


def _area(area: Any, kind: AreaKind) -> Area:
    return Area(area_id=str(area.id), kind=kind, outline=_outline(area.polygon))


def _outline(polygon: Any) -> np.ndarray:
    return np.asarray(polygon.exterior.coords)[:-1, :2]
