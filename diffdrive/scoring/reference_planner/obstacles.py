"""What lies in the corridors of the paths, and who leads there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.scoring.reference_planner.boxes import box_rings
from diffdrive.scoring.reference_planner.forecast import Forecast
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
        """The hits at one step."""
        low, high = np.searchsorted(self.step, (step, step + 1))
        return slice(int(low), int(high))


def obstacles_of(
    paths: Sequence[Path], corridors: Sequence[shapely.Polygon], others: Forecast, stops: np.ndarray, num_steps: int
) -> Obstacles:
    """At steps 0 .. ``num_steps`` - 1. ``stops`` [R] polygons to stop before, there at every step."""
    moving = _near(others.tracks.corners[:, :num_steps], corridors)
    row, step = np.nonzero(moving)
    polygons = np.concatenate([shapely.polygons(others.tracks.corners[row, step]), np.repeat(stops, num_steps)])
    row = np.concatenate([row, np.repeat(np.arange(len(stops)) + len(others.tracks), num_steps)])
    step = np.concatenate([step, np.tile(np.arange(num_steps), len(stops))])
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

    Proposals are on ``paths`` [N] (indices, in runs), at ``poses`` [N, 3] and arc lengths ``arc`` [N] one step before; their
    paths are ``ends`` [N] long. The devkit fills one vector for all proposals of a path in turn: a leader sets the first
    entry, and the second unless it is a red connector; its absence the first and third. So ``leaks``.
    """
    hits = obstacles.at(step)
    first, count = hits.start, hits.stop - hits.start
    ahead = (obstacles.path[hits] == paths[:, None]) & (obstacles.arc[hits] > arc[:, None])
    proposal, hit = np.nonzero(ahead)
    gaps = np.full((len(arc), max(count, 1)), np.inf)
    if len(proposal):
        boxes = shapely.polygons(box_rings(PACIFICA.boxes(poses)))
        gaps[proposal, hit] = shapely.distance(boxes[proposal], obstacles.polygons[first + hit])
    distance, nearest = gaps.min(axis=1), first + np.argmin(gaps, axis=1)
    found = np.zeros((len(arc), 3))
    for row in range(len(arc)):
        if leaks and row and paths[row] == paths[row - 1]:
            found[row] = found[row - 1]
        if np.isfinite(distance[row]):
            found[row, 0] = arc[row] + distance[row]
            if not obstacles.is_stop[nearest[row]]:
                turn = obstacles.headings[nearest[row]] - poses[row, 2]
                found[row, 1] = obstacles.speeds[nearest[row]] * np.cos(turn)
        else:
            found[row, 0], found[row, 2] = ends[row], PACIFICA.length / 2
    return found
