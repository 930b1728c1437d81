"""What lies in the corridors of the paths, and who leads there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.scoring.reference_planner.boxes import box_rings
from diffdrive.scoring.reference_planner.forecast import RESOLUTION, Forecast
from diffdrive.scoring.reference_planner.paths import Path
from diffdrive.vehicle import PACIFICA


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacles:
    """Objects that touch a corridor at some step. H hits, sorted by step."""

    step: np.ndarray
    """[H]"""

    path: np.ndarray
    """[H] whose corridor it is."""

    arc: np.ndarray
    """[H] of the centroid along that path, metres."""

    polygons: np.ndarray
    """[H] shapely polygons."""

    headings: np.ndarray
    """[H]"""

    speeds: np.ndarray
    """[H] m/s."""

    is_stop: np.ndarray
    """[H] true for red connectors."""

    def at(self, step: int) -> slice:
        """The hits at one step, as the forecast has them."""
        seen_at = step // RESOLUTION * RESOLUTION
        low, high = np.searchsorted(self.step, (seen_at, seen_at + 1))
        return slice(int(low), int(high))


def obstacles_of(
    paths: Sequence[Path], corridors: Sequence[shapely.Polygon], others: Forecast, stops: np.ndarray, num_steps: int
) -> Obstacles:
    """At the steps 0 .. ``num_steps`` - 1 at which the forecast moves. ``stops`` [R] polygons to stop before stay."""
    steps = np.arange(0, num_steps, RESOLUTION)
    row, column = np.nonzero(_near(others.tracks.corners[:, steps], corridors))
    polygons = np.concatenate([shapely.polygons(others.tracks.corners[row, steps[column]]), np.repeat(stops, len(steps))])
    row = np.concatenate([row, np.repeat(np.arange(len(stops)) + len(others.tracks), len(steps))])
    step = np.concatenate([steps[column], np.tile(steps, len(stops))])
    for corridor in corridors:
        shapely.prepare(corridor)
    hits = [np.flatnonzero(shapely.intersects(corridor, polygons)) for corridor in corridors]
    found = np.concatenate(hits)
    arcs = [
        path.project(shapely.get_coordinates(shapely.centroid(polygons[own]))) for path, own in zip(paths, hits, strict=True)
    ]
    owner = np.repeat(np.arange(len(paths)), [len(own) for own in hits])
    order = np.lexsort((found, owner, step[found]))
    found = found[order]
    padding = np.zeros(len(stops))
    return Obstacles(
        step=step[found],
        path=owner[order],
        arc=np.concatenate(arcs)[order],
        polygons=polygons[found],
        headings=np.concatenate([others.headings, padding])[row[found]],
        speeds=np.concatenate([others.tracks.speeds, padding])[row[found]],
        is_stop=row[found] >= len(others.tracks),
    )


def _near(corners: np.ndarray, corridors: Sequence[shapely.Polygon]) -> np.ndarray:
    """[A, O] whose bounding box meets that of any corridor: building polygons costs more than anything else here."""
    low, high = corners.min(axis=2), corners.max(axis=2)
    near = np.zeros(low.shape[:2], dtype=bool)
    for corridor in corridors:
        if not corridor.is_empty:
            left, bottom, right, top = corridor.bounds
            near |= ((low <= (right, top)) & (high >= (left, bottom))).all(axis=-1)
    return near


def leads(
    obstacles: Obstacles, step: int, paths: np.ndarray, poses: np.ndarray, arc: np.ndarray, ends: np.ndarray, *, leaks: bool
) -> np.ndarray:
    """[N, 3] of the leader ahead of each proposal: its arc length, its speed along the path, its rear length.

    Proposals are on ``paths`` [N] (indices, sorted), at ``poses`` [N, 3] and arc lengths ``arc`` [N] one step before; their
    paths are ``ends`` [N] long. The devkit fills one vector for all proposals of a path in turn: a leader sets the first
    entry, and the second unless it is a red connector; its absence the first and third. So ``leaks``.
    """
    hits = obstacles.at(step)
    ahead = (obstacles.path[hits] == paths[:, None]) & (obstacles.arc[hits] > arc[:, None])
    proposal, hit = np.nonzero(ahead)
    gaps = np.full((len(arc), max(ahead.shape[1], 1)), np.inf)
    if len(proposal):
        boxes = shapely.polygons(box_rings(PACIFICA.boxes(poses)))
        gaps[proposal, hit] = shapely.distance(boxes[proposal], obstacles.polygons[hits][hit])
    nearest = np.argmin(gaps, axis=1)
    distance = gaps[np.arange(len(arc)), nearest]
    has_leader = np.isfinite(distance)
    follows = np.zeros(len(arc), dtype=bool)
    along = np.zeros(len(arc))
    if len(proposal):
        leader = hits.start + nearest
        follows = has_leader & ~obstacles.is_stop[leader]
        along = obstacles.speeds[leader] * np.cos(obstacles.headings[leader] - poses[:, 2])
    found = np.column_stack([np.where(has_leader, arc + distance, ends), along, np.full(len(arc), PACIFICA.length / 2)])
    is_set = np.column_stack([np.ones(len(arc), dtype=bool), follows, ~has_leader])
    return _kept_until_set(found, is_set, paths) if leaks else np.where(is_set, found, 0.0)


def _kept_until_set(values: np.ndarray, is_set: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """[N, 3] each entry as the proposals of the same path up to this one set it last; zero before."""
    row = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(is_set, row, -1), axis=0)
    begins = np.searchsorted(paths, paths)[:, None]
    return np.where(last >= begins, np.take_along_axis(values, np.maximum(last, 0), axis=0), 0.0)
