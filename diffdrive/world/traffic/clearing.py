"""No parked car where somebody walks, or where something else stands."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from diffdrive.world.traffic.recording import Track

SPARE_M = 0.05
"""Least distance between them, metres."""


def without_blockers(parked: Iterable[Track], others: Iterable[Track]) -> tuple[Track, ...]:
    """The parked cars in whose space nobody of ``others`` who is on foot or never moves comes; who drives is left out."""
    discs = [_discs(track) for track in others if not track.lane_ids]
    places = np.concatenate([place for place, _ in discs]) if discs else np.zeros((0, 2))
    radii = np.concatenate([np.full(len(place), radius) for place, radius in discs]) if discs else np.zeros(0)
    return tuple(car for car in parked if not _is_hit(car, places, radii))


def _discs(track: Track) -> tuple[np.ndarray, float]:
    """Where a track has been, each place once, as discs: centres [N, 2] and the radius of each, metres."""
    length, width, _ = track.size
    heading = track.poses[:, 2]
    along = np.column_stack([np.cos(heading), np.sin(heading)])
    # A long body is a row of discs.
    reach = max(0.0, (length - width) / 2)
    offsets = np.linspace(-reach, reach, 1 + 2 * int(np.ceil(reach / max(width / 2, 0.1))))
    centers = np.concatenate([track.poses[:, :2] + offset * along for offset in offsets])
    return np.unique(np.round(centers, 1), axis=0), width / 2


def _is_hit(car: Track, places: np.ndarray, radii: np.ndarray) -> bool:
    x, y, heading = car.poses[0]
    rel = places - [x, y]
    across = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    outside = np.maximum(np.abs(rel @ across.T) - np.array(car.size[:2]) / 2, 0.0)
    return bool((np.hypot(outside[:, 0], outside[:, 1]) < radii + SPARE_M).any())
