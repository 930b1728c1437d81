"""Lines to follow: the route's centreline and its parallels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.contracts import InputError, frozen_array
from diffdrive.vehicle import PACIFICA

OFFSETS_M = (0.0, -1.0, 1.0)
"""Left of the centreline, in the order in which the proposals are made."""

_HALF_WIDTH_M = PACIFICA.width / 2
_FIRST_M = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Poses along a line, addressed by arc length."""

    poses: np.ndarray
    """[K, 3] x, y, unwrapped heading."""

    arc: np.ndarray
    """[K] metres from the first pose."""

    line: shapely.LineString

    @classmethod
    def of(cls, poses: np.ndarray) -> Path:
        """From poses [K, 3], K >= 2. Poses may repeat (where two lanes join)."""
        steps = np.hypot(*np.diff(poses[:, :2], axis=0).T)
        if len(poses) < 2 or not steps.sum() > 0:
            raise InputError(f"A path needs two distinct poses or more, got {len(poses)}.")
        unwrapped = np.column_stack([poses[:, :2], np.unwrap(poses[:, 2])])
        return cls(
            poses=frozen_array(unwrapped, np.float64),
            arc=frozen_array(np.concatenate([[0.0], np.cumsum(steps)]), np.float64),
            line=shapely.LineString(poses[:, :2]),
        )

    @property
    def length(self) -> float:
        """Metres."""
        return float(self.arc[-1])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Arc length [...] of the point of the line closest to each of ``points`` [..., 2]."""
        return np.asarray(shapely.line_locate_point(self.line, shapely.points(points)))

    def interpolate(self, arc: np.ndarray) -> np.ndarray:
        """Poses [..., 3] at arc lengths [...], within the path."""
        arc = np.clip(arc, _FIRST_M, self.length)
        high = np.clip(np.searchsorted(self.arc, arc), 1, len(self.arc) - 1)
        low = high - 1
        slope = (self.poses[high] - self.poses[low]) / (self.arc[high] - self.arc[low])[..., None]
        return self.poses[low] + slope * (arc - self.arc[low])[..., None]

    def corridor(self, start: float, stop: float) -> shapely.Polygon:
        """As wide as the ego around the path's *vertices* between two arc lengths; empty without two of them."""
        vertices = self.poses[(self.arc >= start) & (self.arc <= stop), :2]
        if len(vertices) < 2:
            return shapely.Polygon()
        return shapely.LineString(vertices).buffer(_HALF_WIDTH_M, cap_style="square")


def parallel_paths(centerline: np.ndarray) -> tuple[Path, ...]:
    """The centreline [K, 3] and its parallels at ``OFFSETS_M``: each pose moved square to its heading."""
    headings = centerline[:, 2] + np.pi / 2
    left = np.column_stack([np.cos(headings), np.sin(headings), np.zeros(len(headings))])
    return tuple(Path.of(centerline + offset * left) for offset in OFFSETS_M)
