"""How far along its route the ego is, and how far it is to go."""

from __future__ import annotations

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline
from diffdrive.simulation.stage import HISTORY_STEPS, Start

_BACK_M, _AHEAD_M = 5.0, 40.0
"""A route may cross itself, so the ego is looked for near where it was."""


class Route:
    """The planned route of one drive, in the world frame. The goal is where the log's own driver was when the log ended."""

    def __init__(self, start: Start) -> None:
        poses, route = start.record.poses, start.record.route
        if route is None:
            raise InputError(f"Log '{start.name}' has no route to drive along. Choose another episode.")
        self.line = Polyline(route)
        arc = self.line.project(poses[0, :2])[0]
        for pose in poses[: HISTORY_STEPS + 1]:
            arc = self.advance(arc, pose[:2])[0]
        self.start = arc
        for pose in poses[HISTORY_STEPS:]:
            arc = self.advance(arc, pose[:2])[0]
        self.goal = arc

    @property
    def length_m(self) -> float:
        """From start to goal, metres."""
        return self.goal - self.start

    def advance(self, arc: float, point: np.ndarray) -> tuple[float, float]:
        """Arc length of the point of the line nearest to ``point`` [2], looked for around ``arc``, and the distance to it."""
        low, high = np.searchsorted(self.line.arc, [arc - _BACK_M, arc + _AHEAD_M])
        first = max(int(low) - 1, 0)
        piece = Polyline(self.line.points[first : max(int(high) + 1, first + 2)])
        along, aside = piece.project(point)
        return float(self.line.arc[first]) + along, abs(aside)

    def completion(self, arc: float) -> float:
        """Share of the way from start to goal, 0..1."""
        return float(np.clip((arc - self.start) / max(self.length_m, 1e-6), 0.0, 1.0))

    def ahead(self, arc: float) -> np.ndarray:
        """[K, 2] what is left of the whole route at ``arc``, beyond the goal, too."""
        beyond = self.line.points[self.line.arc > arc + 1e-6]
        if not len(beyond):
            beyond = self.line.points[-1:]
        return np.concatenate([self.line.interpolate(arc)[None, :2], beyond])
