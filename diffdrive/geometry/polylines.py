"""Polylines on the ground plane, measured by arc length."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array


@dataclass(frozen=True, slots=True)
class Polyline:
    """Connected straight pieces through ``points`` [K, 2] (metres), K >= 2; repeated points are dropped."""

    points: np.ndarray
    arc: np.ndarray = field(init=False)
    """Arc length at each point [K], metres, starting at 0."""

    def __post_init__(self) -> None:
        points = np.asarray(self.points, dtype=np.float64)
        Axes("Polyline").check("points", points, "K 2", finite=True)
        steps = np.hypot(*np.diff(points, axis=0).T)
        keep = np.concatenate([[True], steps > 1e-9])
        if keep.sum() < 2:
            raise InputError(f"Polyline needs two distinct points, got {len(points)} that coincide.")
        object.__setattr__(self, "points", frozen_array(points[keep], np.float64))
        object.__setattr__(self, "arc", frozen_array(np.concatenate([[0.0], np.cumsum(steps[keep[1:]])]), np.float64))

    @property
    def length(self) -> float:
        """Total arc length, metres."""
        return float(self.arc[-1])

    def interpolate(self, arc: np.ndarray | float) -> np.ndarray:
        """Poses [..., 3] (x, y, heading of the piece) at arc lengths [...]; clamped to the ends."""
        arc = np.clip(np.asarray(arc, dtype=np.float64), 0.0, self.length)
        index = np.clip(np.searchsorted(self.arc, arc, side="right") - 1, 0, len(self.arc) - 2)
        step = self.points[index + 1] - self.points[index]
        share = (arc - self.arc[index]) / (self.arc[index + 1] - self.arc[index])
        position = self.points[index] + step * share[..., None]
        return np.concatenate([position, np.arctan2(step[..., 1], step[..., 0])[..., None]], axis=-1)

    def project(self, point: np.ndarray) -> tuple[float, float]:
        """Arc length of the point of the line closest to ``point`` [2], and the signed distance to it (left positive)."""
        start, step = self.points[:-1], np.diff(self.points, axis=0)
        share = np.clip(np.sum((point - start) * step, axis=1) / np.sum(step * step, axis=1), 0.0, 1.0)
        offset = point - (start + step * share[:, None])
        distance = np.hypot(offset[:, 0], offset[:, 1])
        k = int(np.argmin(distance))
        side = step[k, 0] * offset[k, 1] - step[k, 1] * offset[k, 0]
        arc = self.arc[k] + share[k] * (self.arc[k + 1] - self.arc[k])
        return float(arc), float(np.copysign(distance[k], side))
