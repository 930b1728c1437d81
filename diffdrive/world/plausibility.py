"""What must not be seen in a log: bodies in each other, people out of nowhere, and motion that no vehicle can make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind
from diffdrive.world.manoeuvres import rear_axle_motion
from diffdrive.world.traffic.recording import INTERVAL_S, REAR_AXLE_SHARE, Track

_JERK_SPAN = 3
"""Steps over which a change of acceleration is measured; positions are differenced twice, so less than this is noise."""

_CREEPING_MPS = 1.0
"""Slower than this, a direction of motion has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionLimits:
    """The most that any vehicle in a log may do; its rear axle counts. Emergency braking is within them."""

    acceleration: float = 9.0
    """Along the vehicle, m/s^2."""

    lateral_acceleration: float = 6.5
    jerk: float = 40.0
    """Along the vehicle, m/s^3."""

    yaw_rate: float = 1.2
    """rad/s."""

    curvature: float = 0.35
    """1/m."""

    slip: float = 0.12
    """Angle between the motion of the rear axle and the vehicle's axis, rad."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise InputError(f"MotionLimits.{name} must be positive, got {getattr(self, name)}.")


def motion_extremes(track: Track) -> dict[str, np.ndarray]:
    """What a vehicle does at each step of its track, by the names of ``MotionLimits``: absolute values [T].

    Half a second at both ends is left out (zero there): what came before and after is not known.
    """
    motion = rear_axle_motion(track.poses, REAR_AXLE_SHARE * track.size[0])
    forward, sideways = motion.velocities.T
    is_moving = forward > _CREEPING_MPS
    speed = np.maximum(forward, _CREEPING_MPS)
    values = {
        "acceleration": motion.accelerations[:, 0],
        "lateral_acceleration": motion.accelerations[:, 1],
        "jerk": _change(motion.accelerations[:, 0]),
        "yaw_rate": motion.yaw_rates,
        "curvature": np.where(is_moving, motion.yaw_rates / speed, 0.0),
        "slip": np.where(is_moving, np.arctan2(sideways, speed), 0.0),
    }
    known = np.zeros(len(track.poses), dtype=bool)
    known[5:-5] = True
    return {name: np.where(known, np.abs(value), 0.0) for name, value in values.items()}


def impossible_steps(track: Track, limits: MotionLimits) -> np.ndarray:
    """[T] whether a vehicle breaks one of the limits at each step of its track. Nobody else is bound by them."""
    if track.kind is not AgentKind.VEHICLE or len(track.poses) < 12:
        return np.zeros(len(track.poses), dtype=bool)
    extremes = motion_extremes(track)
    return np.any([value > getattr(limits, name) for name, value in extremes.items()], axis=0)


def _change(values: np.ndarray) -> np.ndarray:
    """Rate of change over ``_JERK_SPAN`` steps, [T]."""
    changed = np.zeros_like(values)
    half = _JERK_SPAN
    changed[half:-half] = (values[2 * half :] - values[: -2 * half]) / (2 * half * INTERVAL_S)
    return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Offence:
    """Something that must not be seen, where and when."""

    step: int
    place: np.ndarray
    """[2] world frame, metres."""

    tokens: tuple[str, ...]


def find_overlaps(tracks: Sequence[Track], first_step: int, last_step: int) -> list[Offence]:
    """Every pair of bodies that overlap, at each step from first to last, both included.

    People on foot may brush past each other; pairs of which neither ever moves are not looked at.
    """
    moves = np.array([np.ptp(track.poses[:, :2], axis=0).max() > 0.0 for track in tracks], dtype=bool)
    walks = np.array([track.kind is AgentKind.PEDESTRIAN for track in tracks], dtype=bool)
    sizes = np.array([track.size[:2] for track in tracks], dtype=np.float64).reshape(-1, 2)
    spans = np.array([(track.first_step, track.last_step) for track in tracks], dtype=int).reshape(-1, 2)
    found = []
    for step in range(first_step, last_step + 1):
        present = np.flatnonzero((spans[:, 0] <= step) & (step <= spans[:, 1]))
        poses = np.array([tracks[k].poses[step - tracks[k].first_step] for k in present.tolist()]).reshape(-1, 3)
        boxes = np.column_stack([poses, sizes[present]])
        for i, j in _touching(boxes, moves[present], walks[present]):
            pair = (tracks[present[i]].token, tracks[present[j]].token)
            found.append(Offence(step=step, place=(boxes[i, :2] + boxes[j, :2]) / 2, tokens=pair))
    return found


def _touching(boxes: np.ndarray, moves: np.ndarray, walks: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows that overlap, of which at least one moves and at least one is not on foot."""
    movers = np.flatnonzero(moves)
    if not len(movers):
        return []
    reach = np.hypot(boxes[:, 3], boxes[:, 4]) / 2
    points = shapely.points(boxes[:, :2])
    who, near = shapely.STRtree(points).query(points[movers], predicate="dwithin", distance=reach[movers] + reach.max())
    first, second = np.minimum(movers[who], near), np.maximum(movers[who], near)
    close = np.hypot(*(boxes[first, :2] - boxes[second, :2]).T) < reach[first] + reach[second]
    pairs = np.unique(np.column_stack([first, second])[(first != second) & ~(walks[first] & walks[second]) & close], axis=0)
    hit = boxes_overlap(boxes[pairs[:, 0]], boxes[pairs[:, 1]])
    return [(int(i), int(j)) for i, j in pairs[hit]]


def find_appearances(tracks: Iterable[Track], steps: int) -> list[Offence]:
    """Where somebody appears or vanishes while the run goes on."""
    found = []
    for track in tracks:
        if track.first_step > 0:
            found.append(Offence(step=track.first_step, place=track.poses[0, :2], tokens=(track.token,)))
        if track.last_step < steps - 1:
            found.append(Offence(step=track.last_step, place=track.poses[-1, :2], tokens=(track.token,)))
    return found


def find_impossible(tracks: Iterable[Track], limits: MotionLimits) -> list[Offence]:
    """Where a vehicle moves as no vehicle can, by ``limits``."""
    found = []
    for track in tracks:
        for k in np.flatnonzero(impossible_steps(track, limits)).tolist():
            found.append(Offence(step=track.first_step + k, place=track.poses[k, :2], tokens=(track.token,)))
    return found


def boxes_overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether each pair of boxes [N, 5] overlaps: bool [N], by separating axes."""
    corners = np.stack([box_corners(first), box_corners(second)])
    apart = np.zeros(len(first), dtype=bool)
    for boxes in (first, second):
        for turn in (0.0, np.pi / 2):
            axis = np.stack([np.cos(boxes[:, 2] + turn), np.sin(boxes[:, 2] + turn)], axis=-1)
            reach = np.einsum("knij,nj->kni", corners, axis)
            low, high = reach.min(axis=2), reach.max(axis=2)
            apart |= (high[0] < low[1]) | (high[1] < low[0])
    return ~apart
