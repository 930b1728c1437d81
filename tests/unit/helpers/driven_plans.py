"""Plans along arcs of circles, and vehicles that drive them."""

from __future__ import annotations

import numpy as np

from diffdrive.runtime.envelope import EgoMotion
from diffdrive.runtime.plan import Plan, PlanStatus
from diffdrive.scene import EgoState, Trajectory

INTERVAL_S = 0.5
TIMES = np.arange(1, 9) * INTERVAL_S
SPEED = 8.0


def arc(curvature: float = 0.0, speed: float = SPEED) -> np.ndarray:
    way = speed * TIMES
    turn = curvature * way
    chord = way * np.sinc(turn / (2 * np.pi))
    return np.stack([chord * np.cos(turn / 2), chord * np.sin(turn / 2), turn], axis=-1)


def motion(place: np.ndarray | None = None, speed: float = SPEED, yaw_rate: float = 0.0) -> EgoMotion:
    state = EgoState(
        timestamp_us=0, pose=np.zeros(3), velocity=np.array([speed, 0.0]), acceleration=np.zeros(2), yaw_rate=yaw_rate
    )
    return EgoMotion(history=(state,), odometry_pose=np.zeros(3) if place is None else place)


def plan(*proposals: np.ndarray, scores: tuple[float, ...] | None = None) -> Plan:
    given_scores = np.array(scores if scores is not None else np.arange(len(proposals), 0, -1), dtype=np.float64)
    given_scores = given_scores / given_scores.sum()
    stacked = np.stack(proposals)
    chosen = Trajectory(stacked[int(given_scores.argmax())], interval_s=INTERVAL_S)
    return Plan(trajectory=chosen, proposals=stacked, scores=given_scores, status=PlanStatus.PLANNED)
