"""Drivers that show how hard a scene is: what each of them fails at is what a planner has to be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diffdrive.baselines import ConstantTurnRate, ConstantVelocity, Human
from diffdrive.baselines.constant_velocity import signed_speed
from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline
from diffdrive.scene import Scene, Trajectory
from diffdrive.tensors import TargetLayout

DRIVERS = ("human", "constant_velocity", "constant_turn_rate", "blind", "pdm_closed")
"""Every driver whose scores a benchmark states, in the order of its tables."""

_HORIZON_M = 400.0
_SHORTEST_M = 0.05


@dataclass(frozen=True, slots=True)
class Blind:
    """The expert's own path at the present speed, deaf to traffic, lights and bends.

    Privileged: the path is the one that was driven. It fails where speed has to change, and nowhere else.
    """

    layout: TargetLayout = field(default_factory=TargetLayout)
    name: str = "blind"

    def plan_scene(self, scene: Scene) -> Trajectory:
        """Raises ``InputError`` for a scene without a future."""
        times = np.arange(1, self.layout.num_poses + 1) * self.layout.interval_s
        path = path_ahead(scene)
        poses = path.interpolate(np.maximum(signed_speed(scene.observation), 0.0) * times)
        # The piece under the car may be a millimetre long and point anywhere.
        poses[poses[:, 0] ** 2 + poses[:, 1] ** 2 < _SHORTEST_M**2, 2] = 0.0
        return Trajectory(poses, self.layout.interval_s)


def path_ahead(scene: Scene) -> Polyline:
    """The line that the ego drives: its future, then on along the planned route, then straight on; ego frame, metres.

    The route is moved sideways to where the driven path ends, so that the line has no jump. Raises ``InputError`` for a scene
    without a future.
    """
    if scene.future is None:
        raise InputError(f"Scene '{scene.token}' has no future, so nobody knows which path was driven. Choose another scene.")
    points = np.concatenate([np.zeros((1, 2)), scene.future.ego.poses[:, :2]])
    # Standing still, a recording moves by a millimetre back and forth.
    points = _advancing(points)
    end = points[-1]
    heading = np.arctan2(*(end - points[-2])[::-1]) if len(points) > 1 else float(scene.future.ego.poses[-1, 2])
    rest = _route_beyond(scene.route, end)
    if len(rest):
        points = np.concatenate([points, rest])
        heading = np.arctan2(*(points[-1] - points[-2])[::-1])
    straight = points[-1] + _HORIZON_M * np.array([np.cos(heading), np.sin(heading)])
    return Polyline(np.concatenate([points, straight[None]]))


def _advancing(points: np.ndarray) -> np.ndarray:
    kept = [points[0]]
    for point in points[1:]:
        if np.hypot(*(point - kept[-1])) > _SHORTEST_M:
            kept.append(point)
    return np.array(kept)


def _route_beyond(route: np.ndarray | None, end: np.ndarray) -> np.ndarray:
    """[K, 2] the part of the route beyond ``end`` [2], moved to begin there; empty where there is none."""
    if route is None or len(route) < 2:
        return np.zeros((0, 2))
    line = Polyline(route)
    here, _ = line.project(end)
    beyond = line.points[line.arc > here + 1.0]
    return beyond + (end - line.interpolate(here)[:2])


def trajectories_of(scene: Scene, pdm_closed: Trajectory) -> dict[str, Trajectory]:
    """What every driver of ``DRIVERS`` does in a scene; what PDM-Closed does comes from its preparation."""
    found = {
        "human": Human().plan_scene(scene),
        "constant_velocity": ConstantVelocity().plan(scene.observation),
        "constant_turn_rate": ConstantTurnRate().plan(scene.observation),
        "blind": Blind().plan_scene(scene),
        "pdm_closed": pdm_closed,
    }
    return {name: found[name] for name in DRIVERS}
