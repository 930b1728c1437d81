"""Which pieces of which drives become logs: moving, eventful, plausible, and not all of one kind."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AreaKind, VectorMap
from diffdrive.vehicle import PACIFICA
from diffdrive.world.traffic.recording import INTERVAL_S, Recording, Track

SCENE_S = 4.0
"""What a planner looks ahead: manoeuvres are named over this long."""

NEAR_M = 20.0


class Manoeuvre(enum.Enum):
    """What the ego does in the seconds after a moment."""

    STANDING = "standing"
    LEFT = "left"
    RIGHT = "right"
    LAUNCH = "launch"
    STOP = "stop"
    ACCELERATE = "accelerate"
    DECELERATE = "decelerate"
    CRUISE = "cruise"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationConfig:
    """What makes a good log."""

    logs_per_town: int = 16
    log_s: float = 24.0
    """Length of a log, seconds."""

    stride_s: float = 4.0
    """Distance between the windows that are looked at, seconds."""

    max_standing_share: float = 0.35
    min_travel_m: float = 50.0
    max_acceleration: float = 4.5
    """Of the rear axle, along or across, m/s^2."""

    max_off_road_share: float = 0.02
    """Share of the frames at which a corner of the ego may be off the drivable area."""

    def __post_init__(self) -> None:
        if self.log_s <= SCENE_S or self.stride_s <= 0 or self.logs_per_town < 1:
            raise InputError(
                f"CurationConfig needs logs longer than {SCENE_S} s, a positive stride and at least one log, "
                f"got {self.log_s} s, {self.stride_s} s and {self.logs_per_town}."
            )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A piece of a drive, from step to step, both included."""

    track: Track
    motion: EgoMotion
    first_step: int
    last_step: int
    manoeuvres: tuple[Manoeuvre, ...]
    """One a second, as long as the seconds after it are in the window."""


def ego_motion(track: Track) -> EgoMotion:
    """Rear axle of a track with the ego's body; velocities and accelerations are the differences of its poses."""
    heading = track.poses[:, 2]
    forward = np.column_stack([np.cos(heading), np.sin(heading)])
    places = track.poses[:, :2] - PACIFICA.rear_axle_to_center * forward
    velocity = np.gradient(places, INTERVAL_S, axis=0)
    acceleration = np.gradient(velocity, INTERVAL_S, axis=0)
    left = np.column_stack([-forward[:, 1], forward[:, 0]])
    return EgoMotion(
        poses=np.column_stack([places, heading]),
        velocities=np.column_stack([np.sum(velocity * forward, axis=1), np.sum(velocity * left, axis=1)]),
        accelerations=np.column_stack([np.sum(acceleration * forward, axis=1), np.sum(acceleration * left, axis=1)]),
        yaw_rates=np.gradient(heading, INTERVAL_S),
    )


def name_manoeuvre(motion: EgoMotion, start: int) -> Manoeuvre:
    """What happens in the ``SCENE_S`` seconds from row ``start`` on."""
    end = start + round(SCENE_S / INTERVAL_S)
    turn = motion.poses[end, 2] - motion.poses[start, 2]
    before, after = motion.velocities[start, 0], motion.velocities[end, 0]
    travel = np.hypot(*np.diff(motion.poses[start : end + 1, :2], axis=0).T).sum()
    rules = (
        (travel < 1.0, Manoeuvre.STANDING),
        (turn > 0.5, Manoeuvre.LEFT),
        (turn < -0.5, Manoeuvre.RIGHT),
        (before < 0.7 and after > 2.0, Manoeuvre.LAUNCH),
        (before > 2.0 and after < 0.7, Manoeuvre.STOP),
        (after - before > 2.0, Manoeuvre.ACCELERATE),
        (before - after > 2.0, Manoeuvre.DECELERATE),
    )
    return next((name for holds, name in rules if holds), Manoeuvre.CRUISE)


def choose_windows(
    recording: Recording, others: Iterable[Track], vector_map: VectorMap, config: CurationConfig, first_step: int
) -> tuple[Window, ...]:
    """Windows after ``first_step`` that are plausible, in the order in which they add most to what is there already.

    ``others`` are the tracks that are not simulated (parked cars). No two windows show the same seconds of one vehicle.
    """
    surface = shapely.union_all(
        [
            shapely.Polygon(area.outline)
            for area in vector_map.areas_of(AreaKind.GENERIC_DRIVABLE, AreaKind.CARPARK, AreaKind.INTERSECTION)
        ]
    )
    shapely.prepare(surface)
    everybody = (*recording.tracks, *others)
    candidates = [
        window
        for track in recording.ego_candidates
        for window in _windows(track, config, first_step)
        if _is_plausible(window, config, surface)
    ]
    return _balanced(candidates, config.logs_per_town, lambda window: _is_free(window, recording, everybody))


def _windows(track: Track, config: CurationConfig, first_step: int) -> list[Window]:
    length, stride = round(config.log_s / INTERVAL_S), round(config.stride_s / INTERVAL_S)
    ahead = round(SCENE_S / INTERVAL_S)
    # Half a second at both ends of a track is left out: smoothing reaches over the end there.
    begin, end = max(first_step, track.first_step + 5), track.last_step - 5
    if end - begin < length:
        return []
    motion = ego_motion(track)
    windows = []
    for start in range(begin, end - length + 1, stride):
        row = start - track.first_step
        rows = range(row, row + length - ahead + 1, round(1.0 / INTERVAL_S))
        names = tuple(name_manoeuvre(motion, k) for k in rows)
        windows.append(Window(track=track, motion=motion, first_step=start, last_step=start + length, manoeuvres=names))
    return windows


def _is_plausible(window: Window, config: CurationConfig, surface: shapely.Geometry) -> bool:
    rows = slice(window.first_step - window.track.first_step, window.last_step + 1 - window.track.first_step)
    motion = window.motion
    travel = np.hypot(*np.diff(motion.poses[rows, :2], axis=0).T).sum()
    standing = sum(name is Manoeuvre.STANDING for name in window.manoeuvres) / len(window.manoeuvres)
    if travel < config.min_travel_m or standing > config.max_standing_share:
        return False
    if np.abs(motion.accelerations[rows]).max() > config.max_acceleration:
        return False
    corners = box_corners(PACIFICA.boxes(motion.poses[rows]))
    inside = shapely.contains_xy(surface, corners[..., 0], corners[..., 1]).all(axis=1)
    return bool(1.0 - inside.mean() <= config.max_off_road_share)


def _is_free(window: Window, recording: Recording, everybody: Iterable[Track]) -> bool:
    """Nobody touches the ego, neither by SUMO's own check nor between the lifted bodies."""
    first, last = window.first_step, window.last_step
    if any(token == window.track.token and first <= step <= last for step, token in recording.collisions):
        return False
    for other in everybody:
        start, end = max(first, other.first_step), min(last, other.last_step)
        if other.token == window.track.token or end < start:
            continue
        mine, theirs = window.track.rows(start, end), other.rows(start, end)
        near = np.hypot(*(mine[:, :2] - theirs[:, :2]).T) < NEAR_M
        if near.any() and _overlap(_boxes(mine[near], window.track), _boxes(theirs[near], other)).any():
            return False
    return True


def _boxes(poses: np.ndarray, track: Track) -> np.ndarray:
    return np.column_stack([poses, np.tile(track.size[:2], (len(poses), 1))])


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
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


def _balanced(candidates: list[Window], count: int, is_good: Callable[[Window], bool]) -> tuple[Window, ...]:
    """Greedy choice: a manoeuvre counts the less, the more of it has been chosen already.

    ``is_good`` is the last and dearest check, asked only of what would be chosen.
    """
    seen: Counter[Manoeuvre] = Counter()
    chosen: list[Window] = []
    rest = list(candidates)
    while rest and len(chosen) < count:
        gains = [sum(_WORTH[name] / (5.0 + seen[name]) for name in window.manoeuvres) for window in rest]
        best = rest.pop(int(np.argmax(gains)))
        if not is_good(best):
            continue
        chosen.append(best)
        seen.update(best.manoeuvres)
        rest = [w for w in rest if w.track is not best.track or w.first_step > best.last_step or w.last_step < best.first_step]
    return tuple(chosen)


_WORTH = dict.fromkeys(Manoeuvre, 1.0) | {Manoeuvre.STANDING: 0.3}
