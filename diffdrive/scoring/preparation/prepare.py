"""From a scene to everything that judging it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import torch

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import Future, Scene
from diffdrive.scoring.preparation.centerline import centerline_of, lane_sequence, start_lane
from diffdrive.scoring.preparation.drivable_map import surroundings
from diffdrive.scoring.preparation.history import initial_state, past_states
from diffdrive.scoring.preparation.lane_graph import LaneGraph
from diffdrive.scoring.preparation.map_matching import matched_route
from diffdrive.scoring.preparation.red_lights import red_lights
from diffdrive.scoring.preparation.route import corrected_route
from diffdrive.scoring.preparation.tracks import STEPS_PER_FRAME, interpolated_tracks, without_initial_contact
from diffdrive.scoring.preparation.vector_map_graph import lane_graph_of
from diffdrive.scoring.reference_planner import Situation, drive
from diffdrive.scoring.rules import EPDMS, PDMS, Protocol, Rules, rules_of
from diffdrive.scoring.scoring_scene import DrivableMap, ScoringScene
from diffdrive.scoring.simulation import interpolate_references
from diffdrive.vehicle import PACIFICA
from diffdrive.vehicle.state import STATE_SIZE

_FRAME_S = 0.5
_HUMAN_POSES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """What the map says about a scene; the same for every metric."""

    graph: LaneGraph
    listed_route: tuple[str, ...]
    """Block ids, as navigation gives them."""

    route: tuple[str, ...]
    """After the correction."""

    drivable_map: DrivableMap
    centerline: np.ndarray
    """[K, 3]."""

    speed_limit_mps: float | None
    """Of the lane that the ego starts in."""


def prepare(scene: Scene, metric: str = "epdms", *, corrected: bool = False) -> ScoringScene:
    """``scene`` ready to be scored with ``metric`` ("pdms", "epdms" or "epdms_prefix"), in the ego frame at t = 0.

    The route is the scene's listed lane groups, or its planned route, or, where none was planned, what was driven: scoring
    may look ahead, planners may not. PDM-Closed is run along it. ``corrected`` prepares without the devkit's known mistakes.

    Raises ``InputError`` without a map, where the route meets no lane, and without enough future: 4 s for EPDMS, 5 s for PDMS,
    because PDMS looks a second ahead of the last simulated state.
    """
    return prepare_all(scene, [metric], corrected=corrected)[metric]


def prepare_all(scene: Scene, metrics: Sequence[str], *, corrected: bool = False) -> dict[str, ScoringScene]:
    """As ``prepare``, for several metrics by name; what they share is worked out once."""
    by_metric = {metric: rules_of(metric) for metric in metrics}
    futures = {rules.protocol: _frames_ahead(scene, rules) for rules in by_metric.values()}
    road = road_of(scene)
    prepared = {protocol: _prepared(scene, road, protocol, ahead, corrected) for protocol, ahead in futures.items()}
    return {metric: prepared[rules.protocol] for metric, rules in by_metric.items()}


def road_of(scene: Scene) -> Road:
    """Route, centreline and drivable map. Raises ``InputError`` without a map and where the route meets no lane."""
    pose = scene.observation.ego.pose
    graph = lane_graph_of(scene.vector_map)
    listed = _listed_route(scene, graph)
    # The devkit's squares lie along the axes of the world, which the ego frame is turned against.
    world_heading = -float(scene.world_from_ego[2])
    around = surroundings(graph, PACIFICA.boxes(pose)[:2], square_heading=world_heading)
    route = corrected_route(graph, listed, pose, square_heading=world_heading)
    first = start_lane(graph, route, around.lanes_around(pose[:2]), pose, _ego_box(pose))
    lanes, _ = lane_sequence(graph, route, first)
    return Road(
        graph=graph,
        listed_route=tuple(listed),
        route=tuple(route),
        drivable_map=around.with_route([lane.lane_id for lane in graph.lanes_of(route)]),
        centerline=centerline_of([graph.lanes[i] for i in lanes]),
        speed_limit_mps=graph.lanes[first].speed_limit_mps,
    )


def _listed_route(scene: Scene, graph: LaneGraph) -> list[str]:
    """The blocks that the data list, as far as the map has them; where none are listed, those that the route runs through."""
    if not scene.route_group_ids:
        return matched_route(graph, _route_line(scene), float(scene.observation.ego.pose[2]))
    if listed := graph.known(scene.route_group_ids):
        return listed
    raise InputError(
        f"None of the {len(scene.route_group_ids)} lane groups of the route of scene '{scene.token}' is on its map "
        f"'{scene.location}', for example '{scene.route_group_ids[0]}'. Is it the map of another city or version?"
    )


def _route_line(scene: Scene) -> np.ndarray:
    here = scene.observation.ego.pose[None, :2]
    if scene.route is not None and len(scene.route):
        return scene.route
    return here if scene.future is None else np.concatenate([here, scene.future.ego.poses[:, :2]])


def _ego_box(pose: np.ndarray) -> shapely.Polygon:
    return shapely.Polygon(box_corners(PACIFICA.boxes(pose)))


def _frames_ahead(scene: Scene, rules: Rules) -> Future:
    """The future in steps of 0.5 s, as far as ``rules`` look."""
    count = (rules.observation_steps - 1) // STEPS_PER_FRAME
    needed_s = count * _FRAME_S
    if scene.future is None or scene.future.ego.horizon_s < needed_s - 1e-3:
        known_s = 0.0 if scene.future is None else scene.future.ego.horizon_s
        raise InputError(
            f"'{rules.name}' needs {needed_s:g} s of future, and scene '{scene.token}' has {known_s:g} s. "
            f"Load scenes with future_s={needed_s:g}."
        )
    thinned = scene.future.ego.thinned(count, _FRAME_S)
    step = round(_FRAME_S / scene.future.ego.interval_s)
    rows = slice(step - 1, step * count, step)
    return Future(ego=thinned, agents=scene.future.agents[rows], traffic_lights=scene.future.traffic_lights[rows])


def _prepared(scene: Scene, road: Road, protocol: Protocol, ahead: Future, corrected: bool) -> ScoringScene:
    rules = PDMS if protocol is Protocol.V1 else EPDMS
    ego = scene.observation.ego
    tracks = interpolated_tracks((scene.agents, *ahead.agents))
    if protocol is Protocol.V2:  # v1.1 replays whatever touches the ego at t = 0, too
        tracks = without_initial_contact(tracks, _ego_box(ego.pose))
    lights = (scene.traffic_lights, *ahead.traffic_lights)
    situation = Situation(
        timestamp_us=ego.timestamp_us,
        ego_state=initial_state(ego),
        agents=scene.agents,
        drivable_map=road.drivable_map,
        centerline=road.centerline,
        speed_limit_mps=road.speed_limit_mps,
        red=red_lights(road.graph, road.route, lights[:1], 1).polygons,
    )
    return ScoringScene(
        token=scene.token,
        log_name=scene.log_name,
        protocol=protocol,
        corrected=corrected,
        timestamp_us=ego.timestamp_us,
        ego_state=situation.ego_state,
        past_states=_past(scene, protocol, corrected),
        tracks=tracks,
        drivable_map=road.drivable_map,
        red_lights=red_lights(road.graph, road.listed_route, lights, rules.observation_steps),
        centerline=road.centerline[:, :2],
        reference=drive(situation, protocol, corrected=corrected).reference,
        human_reference=_human_reference(ego.timestamp_us, ego.pose, ahead.ego.poses),
    )


def _past(scene: Scene, protocol: Protocol, corrected: bool) -> np.ndarray:
    if protocol is Protocol.V1:
        return np.zeros((0, STATE_SIZE))
    return past_states(scene.observation.ego_history, corrected=corrected)


def _human_reference(timestamp_us: int, pose: np.ndarray, driven: np.ndarray) -> np.ndarray:
    references = interpolate_references(
        torch.from_numpy(pose.copy())[None],
        torch.tensor([timestamp_us]),
        torch.from_numpy(driven[:_HUMAN_POSES].copy())[None, None],
        _FRAME_S,
    )
    return references[0, 0].numpy()
