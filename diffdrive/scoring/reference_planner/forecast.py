"""Where others will be if they keep their velocity: what PDM-Closed expects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.geometry import wrap_angle
from diffdrive.scene import AgentKind, Agents
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.reference_planner.boxes import box_rings, ring_centroids
from diffdrive.scoring.rules import INTERVAL_S
from diffdrive.scoring.scoring_scene import Tracks

_REACH_M = 100.0
RESOLUTION = 2
"""Steps for which the forecast stands still before it moves on: PDM-Closed looks at every second step."""

STATIC_KINDS = (AgentKind.TRAFFIC_CONE, AgentKind.BARRIER, AgentKind.CZONE_SIGN, AgentKind.GENERIC_OBJECT)
"""What cannot move and is no agent."""

_MOST = (
    ((AgentKind.VEHICLE,), 50),
    ((AgentKind.PEDESTRIAN,), 25),
    ((AgentKind.BICYCLE,), 10),
    (STATIC_KINDS, 50),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A objects over O steps of 0.1 s."""

    tracks: Tracks
    headings: np.ndarray
    """[A] of the boxes: for what travels backwards not the direction of travel, as in PDM-Closed."""


def forecast(agents: Agents, ego_center: np.ndarray, ego_box: shapely.Polygon, num_steps: int) -> Forecast:
    """The objects nearest to ``ego_center`` [2] at constant velocity along their heading.

    One whose velocity points backwards travels backwards. What touches ``ego_box`` at t = 0 is left out.
    """
    near = agents.select(_nearest(agents, ego_center))
    moves = np.array([kind not in STATIC_KINDS for kind in near.kinds], dtype=bool)
    speeds = np.hypot(*near.velocities.T)
    heading = near.boxes[:, 2]
    course = np.arctan2(near.velocities[:, 1], near.velocities[:, 0])
    forward = np.abs(wrap_angle(heading - course)) < np.pi / 2
    travel = np.where(forward, heading, wrap_angle(heading + np.pi))
    seen_at = np.arange(num_steps) // RESOLUTION * RESOLUTION * INTERVAL_S
    velocity = np.where(moves, speeds, 0.0)[:, None] * np.column_stack([np.cos(travel), np.sin(travel)])
    now = box_rings(near.boxes)
    corners = now[:, None] + (velocity[:, None] * seen_at[:, None])[:, :, None]
    kept = ~np.atleast_1d(shapely.intersects(shapely.polygons(now), ego_box))
    return Forecast(
        tracks=Tracks(
            tokens=tuple(token for token, keep in zip(near.track_tokens, kept, strict=True) if keep),
            corners=corners[kept],
            is_present=np.ones((int(kept.sum()), num_steps), dtype=bool),
            centroids=ring_centroids(corners[kept]),
            is_agent=moves[kept],
            speeds=np.where(moves, speeds, 0.0)[kept],
        ),
        headings=heading[kept],
    )


def _nearest(agents: Agents, center: np.ndarray) -> np.ndarray:
    """Rows of the objects that PDM-Closed heeds."""
    distances = np.hypot(*(agents.boxes[:, :2] - center).T)
    rows: list[int] = []
    for kinds, most in _MOST:
        of_kind = np.array([kind in kinds for kind in agents.kinds], dtype=bool)
        candidates = np.flatnonzero(of_kind & (distances <= _REACH_M))
        rows += candidates[np.argsort(distances[candidates], kind="stable")][:most].tolist()
    return np.array(rows, dtype=np.int64)


def stopping_polygons(red: Polygons, ego_box: shapely.Polygon) -> np.ndarray:
    """[R] shapely polygons of red connectors to stop before: all but those that the ego is wholly inside of already."""
    polygons = np.array([shapely.Polygon(red.ring(i)) for i in range(len(red))], dtype=object)
    return polygons[~shapely.contains(polygons, ego_box)] if len(polygons) else polygons
