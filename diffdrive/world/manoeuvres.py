"""What a drive is made of: its motion, and a name for every few seconds of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from diffdrive.vehicle import PACIFICA
from diffdrive.world.roads import RoadNetwork
from diffdrive.world.traffic.recording import INTERVAL_S, Track

SCENE_S = 4.0
"""What a planner looks ahead: manoeuvres are named over this long."""


class Manoeuvre(enum.Enum):
    """What the ego does in the seconds after a moment. Where several fit, the first one here that the lanes tell counts."""

    ROUNDABOUT = "roundabout"
    MERGE = "merge"
    LEFT = "left"
    RIGHT = "right"
    LANE_CHANGE = "lane_change"
    LAUNCH = "launch"
    STOP = "stop"
    ACCELERATE = "accelerate"
    DECELERATE = "decelerate"
    CRUISE = "cruise"
    STANDING = "standing"


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoMotion:
    """A track as the drive of the ego vehicle: rear axle, at every step of the track."""

    poses: np.ndarray
    """[T, 3] x, y, heading (continuous)."""

    velocities: np.ndarray
    """[T, 2] along the vehicle's own axes, m/s."""

    accelerations: np.ndarray
    """[T, 2] likewise, m/s^2."""

    yaw_rates: np.ndarray
    """[T] rad/s."""


def ego_motion(track: Track) -> EgoMotion:
    """Rear axle of a track with the ego's body; velocities and accelerations are the differences of its poses."""
    return rear_axle_motion(track.poses, PACIFICA.rear_axle_to_center)


def rear_axle_motion(poses: np.ndarray, rear_axle_to_center: float) -> EgoMotion:
    """Motion of the rear axle of a body whose centre has ``poses`` [T, 3], every ``INTERVAL_S``."""
    heading = poses[:, 2]
    forward = np.column_stack([np.cos(heading), np.sin(heading)])
    places = poses[:, :2] - rear_axle_to_center * forward
    velocity = np.gradient(places, INTERVAL_S, axis=0)
    acceleration = np.gradient(velocity, INTERVAL_S, axis=0)
    left = np.column_stack([-forward[:, 1], forward[:, 0]])
    return EgoMotion(
        poses=np.column_stack([places, heading]),
        velocities=np.column_stack([np.sum(velocity * forward, axis=1), np.sum(velocity * left, axis=1)]),
        accelerations=np.column_stack([np.sum(acceleration * forward, axis=1), np.sum(acceleration * left, axis=1)]),
        yaw_rates=np.gradient(heading, INTERVAL_S),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFacts:
    """What the names of manoeuvres need to know about lanes, by map id."""

    ring: frozenset[str] = frozenset()
    ramp: frozenset[str] = frozenset()
    expressway: frozenset[str] = frozenset()
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Neighbours in the same direction."""


def lane_facts(network: RoadNetwork) -> LaneFacts:
    """The facts of a town's lanes."""
    streets = network.approaches.values()
    return LaneFacts(
        ring=frozenset(lane for street in streets if street.is_ring for lane in street.lane_ids),
        ramp=frozenset(lane for street in streets if street.is_ramp for lane in street.lane_ids),
        expressway=frozenset(lane for street in streets if street.is_expressway for lane in street.lane_ids),
        beside={
            lane.lane_id: tuple(name for name in (lane.left_lane_id, lane.right_lane_id) if name is not None)
            for lane in network.vector_map.lanes
        },
    )


def name_manoeuvre(motion: EgoMotion, start: int, lane_ids: Sequence[str] = (), facts: LaneFacts | None = None) -> Manoeuvre:
    """What happens in the ``SCENE_S`` seconds from row ``start`` on.

    ``lane_ids`` are those of the whole track; without them and ``facts`` only the motion gives a name.
    """
    end = start + round(SCENE_S / INTERVAL_S)
    turn = motion.poses[end, 2] - motion.poses[start, 2]
    before, after = motion.velocities[start, 0], motion.velocities[end, 0]
    travel = np.hypot(*np.diff(motion.poses[start : end + 1, :2], axis=0).T).sum()
    if travel < 1.0:
        return Manoeuvre.STANDING
    driven = [lane for lane in lane_ids[start : end + 1] if lane] if facts is not None else []
    rules = (
        (_is_in(driven, facts.ring if facts else None), Manoeuvre.ROUNDABOUT),
        (_is_merge(driven, facts), Manoeuvre.MERGE),
        (turn > 0.5, Manoeuvre.LEFT),
        (turn < -0.5, Manoeuvre.RIGHT),
        (_is_lane_change(driven, facts), Manoeuvre.LANE_CHANGE),
        (before < 0.7 and after > 2.0, Manoeuvre.LAUNCH),
        (before > 2.0 and after < 0.7, Manoeuvre.STOP),
        (after - before > 2.0, Manoeuvre.ACCELERATE),
        (before - after > 2.0, Manoeuvre.DECELERATE),
    )
    return next((name for holds, name in rules if holds), Manoeuvre.CRUISE)


def _is_in(driven: Sequence[str], lanes: frozenset[str] | None) -> bool:
    return lanes is not None and not lanes.isdisjoint(driven)


def _is_merge(driven: Sequence[str], facts: LaneFacts | None) -> bool:
    """From a ramp onto the expressway."""
    return facts is not None and bool(driven) and driven[-1] in facts.expressway and _is_in(driven, facts.ramp)


def _is_lane_change(driven: Sequence[str], facts: LaneFacts | None) -> bool:
    return facts is not None and any(after in facts.beside.get(before, ()) for before, after in pairwise(driven))
