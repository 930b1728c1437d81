"""Which pieces of which drives become logs: moving, eventful, plausible, and not all of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AreaKind
from diffdrive.vehicle import PACIFICA
from diffdrive.world.events import Event, EventKind
from diffdrive.world.manoeuvres import SCENE_S, EgoMotion, LaneFacts, Manoeuvre, ego_motion, lane_facts, name_manoeuvre
from diffdrive.world.plausibility import (
    MotionLimits,
    Offence,
    find_appearances,
    find_impossible,
    find_overlaps,
)
from diffdrive.world.roads import RoadNetwork
from diffdrive.world.traffic.recording import INTERVAL_S, Recording, Track


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

    clean_radius_m: float = 64.0
    """Within this of the ego no bodies overlap, nobody appears or vanishes, and nobody moves impossibly."""

    limits: MotionLimits = field(default_factory=MotionLimits)

    def __post_init__(self) -> None:
        if self.log_s <= SCENE_S or self.stride_s <= 0 or self.logs_per_town < 1:
            raise InputError(
                f"CurationConfig needs logs longer than {SCENE_S} s, a positive stride and at least one log, "
                f"got {self.log_s} s, {self.stride_s} s and {self.logs_per_town}."
            )
        if self.clean_radius_m < 0:
            raise InputError(f"CurationConfig.clean_radius_m must not be negative, got {self.clean_radius_m} metres.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A piece of a drive, from step to step, both included."""

    track: Track
    motion: EgoMotion
    first_step: int
    last_step: int
    manoeuvres: tuple[Manoeuvre, ...]
    """One a second, as long as the seconds after it are in the window."""

    events: tuple[EventKind, ...] = ()
    """Scripted events that come within reach of the ego, one entry each."""


def choose_windows(
    recording: Recording, others: Iterable[Track], network: RoadNetwork, config: CurationConfig, first_step: int
) -> tuple[Window, ...]:
    """Windows after ``first_step`` that are plausible, in the order in which they add most to what is there already.

    ``others`` are the tracks that are not simulated (parked cars). No two windows show the same seconds of one vehicle.
    """
    facts = lane_facts(network)
    kinds = (AreaKind.GENERIC_DRIVABLE, AreaKind.CARPARK, AreaKind.INTERSECTION)
    surface = shapely.union_all([shapely.Polygon(area.outline) for area in network.vector_map.areas_of(*kinds)])
    shapely.prepare(surface)
    tracks = {track.token: track for track in recording.tracks}
    candidates = [
        window
        for track in recording.ego_candidates
        for window in _windows(track, recording.events, tracks, facts, config, first_step)
        if _is_plausible(window, config, surface)
    ]
    if not candidates:
        return ()
    offences = find_offences(recording, (*recording.tracks, *others), config.limits, first_step)
    clean = [window for window in candidates if _is_clean(window, offences, recording, config)]
    return _balanced(clean, config.logs_per_town)


def find_offences(
    recording: Recording, everybody: Sequence[Track], limits: MotionLimits, first_step: int
) -> tuple[Offence, ...]:
    """All that must not be seen from ``first_step`` on, by step. Who acts in an event may come and go."""
    actors = {token for event in recording.events for token in event.tokens}
    found = [
        *find_overlaps(everybody, first_step, recording.steps - 1),
        *(seen for seen in find_appearances(everybody, recording.steps) if actors.isdisjoint(seen.tokens)),
        *find_impossible(everybody, limits),
    ]
    return tuple(sorted((o for o in found if o.step >= first_step), key=lambda offence: (offence.step, offence.tokens)))


def steps_in_reach(event: Event, window: Window, tracks: Mapping[str, Track]) -> np.ndarray:
    """Steps of the window at which one of those who act in the event is within its reach of the ego."""
    first, last = max(event.first_step, window.first_step), min(event.last_step, window.last_step)
    near: set[int] = set()
    for token in event.tokens:
        track = tracks.get(token)
        start, end = (max(first, track.first_step), min(last, track.last_step)) if track else (0, -1)
        if track and start <= end:
            apart = track.rows(start, end)[:, :2] - window.track.rows(start, end)[:, :2]
            near |= set((start + np.flatnonzero(np.hypot(*apart.T) <= event.reach_m)).tolist())
    return np.array(sorted(near), dtype=int)


def _windows(
    track: Track,
    events: Sequence[Event],
    tracks: Mapping[str, Track],
    facts: LaneFacts,
    config: CurationConfig,
    first_step: int,
) -> list[Window]:
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
        names = tuple(name_manoeuvre(motion, k, track.lane_ids, facts) for k in rows)
        window = Window(track=track, motion=motion, first_step=start, last_step=start + length, manoeuvres=names)
        seen = tuple(event.kind for event in events if len(steps_in_reach(event, window, tracks)))
        windows.append(replace(window, events=seen))
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


def _is_clean(window: Window, offences: Sequence[Offence], recording: Recording, config: CurationConfig) -> bool:
    """Nothing that must not be seen happens near the ego, and SUMO's own check knows of no collision of it."""
    first, last = window.first_step, window.last_step
    if any(token == window.track.token and first <= step <= last for step, token in recording.collisions):
        return False
    for offence in offences:
        if first <= offence.step <= last:
            ego = window.track.rows(offence.step, offence.step)[0, :2]
            if window.track.token in offence.tokens or np.hypot(*(offence.place - ego)) <= config.clean_radius_m:
                return False
    return True


def _balanced(candidates: Sequence[Window], count: int) -> tuple[Window, ...]:
    """Greedy choice: a manoeuvre or event counts the less, the more of it has been chosen already."""
    seen: Counter[Manoeuvre | EventKind] = Counter()
    chosen: list[Window] = []
    rest = list(candidates)
    while rest and len(chosen) < count:
        gains = [_gain(window, seen) for window in rest]
        best = rest.pop(int(np.argmax(gains)))
        chosen.append(best)
        seen.update([*best.manoeuvres, *best.events])
        rest = [w for w in rest if w.track is not best.track or w.first_step > best.last_step or w.last_step < best.first_step]
    return tuple(chosen)


def _gain(window: Window, seen: Mapping[Manoeuvre | EventKind, int]) -> float:
    manoeuvres = sum(_WORTH[name] / (5.0 + seen[name]) for name in window.manoeuvres)
    return manoeuvres + sum(EVENT_WORTH / (1.0 + seen[kind]) for kind in set(window.events))


EVENT_WORTH = 2.0
"""Of an event, compared with one second of a manoeuvre, both scarce."""

_WORTH = dict.fromkeys(Manoeuvre, 1.0) | {Manoeuvre.STANDING: 0.2, Manoeuvre.CRUISE: 0.6}
