"""Which objects of a map meet the square around the ego that NAVSIM's map is asked for."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry.se2 import rotation


class MapSquare:
    """A square around the ego with sides along the axes of the world, which the ego frame is turned against."""

    def __init__(self, reach_m: float, ego_heading: float) -> None:
        self.reach_m = reach_m
        self._to_world_axes = rotation(ego_heading).T

    def meets_area(self, outline: np.ndarray) -> bool:
        """Whether the polygon ``outline`` [P, 2], in the ego frame, has a point of the square."""
        points = outline @ self._to_world_axes
        if not self._may_meet(points):
            return False
        return self._meets_segments(points, np.roll(points, -1, axis=0)) or _holds_origin(points)

    def meets_line(self, line: np.ndarray) -> bool:
        """Whether ``line`` [K, 2], in the ego frame, has a point of the square."""
        points = line @ self._to_world_axes
        return self._may_meet(points) and self._meets_segments(points[:-1], points[1:])

    def _may_meet(self, points: np.ndarray) -> bool:
        return bool((points.min(axis=0) <= self.reach_m).all() and (points.max(axis=0) >= -self.reach_m).all())

    def _meets_segments(self, starts: np.ndarray, ends: np.ndarray) -> bool:
        """Liang and Barsky's test: the part of each segment within both strips of the square is not empty."""
        steps = ends - starts
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (-self.reach_m - starts) / steps, (self.reach_m - starts) / steps
        stands, inside = steps == 0, np.abs(starts) <= self.reach_m
        enters = np.where(stands, np.where(inside, 0.0, np.inf), np.minimum(first, second)).max(axis=1)
        leaves = np.where(stands, 1.0, np.maximum(first, second)).min(axis=1)
        return bool((np.maximum(enters, 0.0) <= np.minimum(leaves, 1.0)).any())


def _holds_origin(points: np.ndarray) -> bool:
    """Whether the polygon ``points`` [P, 2] winds around the origin, by the even-odd rule."""
    following = np.roll(points, -1, axis=0)
    crosses = (points[:, 1] > 0) != (following[:, 1] > 0)
    turn = points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]
    return bool((crosses & ((turn > 0) == (following[:, 1] > points[:, 1]))).sum() % 2)
