"""A lane follower: keeps to the route's line, and to the intelligent driver model behind whatever is in the way.

It is told the true boxes, the signals and the route. Source of the model: Treiber et al. 2000 (arXiv cond-mat/0002177).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline, box_corners
from diffdrive.scene import LightState, Scene, Trajectory
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS
from diffdrive.simulation.drivers.protocol import Drive
from diffdrive.vehicle import PACIFICA

_SIGHT_M = 100.0
_FRONT_M = PACIFICA.rear_axle_to_center + PACIFICA.length / 2
_CURVE_REACH_M = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IdmConfig:
    """Manners of the lane follower. Metres, seconds, m/s."""

    default_speed: float = 13.0
    """Where the map gives no limit."""

    min_gap: float = 2.0
    headway_s: float = 1.5
    acceleration: float = 1.5
    braking: float = 2.0
    """Comfortable, positive."""

    hardest_braking: float = 6.0
    exponent: float = 4.0
    lateral_acceleration: float = 2.0
    """In bends."""

    margin: float = 0.3
    """On either side of the body; what reaches into the lane this far is in the way."""

    return_m: float = 12.0
    """Way within which most of an offset from the line is made up for."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise InputError(f"IdmConfig.{name} must be positive, got {getattr(self, name)}.")


class IdmDriver:
    """Follows the route's line; never changes lanes, and never goes round anything."""

    needs_sensors = False

    def __init__(self, config: IdmConfig | None = None) -> None:
        self._config = config or IdmConfig()

    def drive(self, scene: Scene) -> Drive:
        if scene.route is None:
            raise InputError(f"The lane follower needs a route, and scene '{scene.token}' has none.")
        line = Polyline(scene.route)
        ways = self._ways(line, scene)
        return Drive(trajectory=Trajectory(_poses(line, ways, self._config.return_m), INTERVAL_S))

    def _ways(self, line: Polyline, scene: Scene) -> np.ndarray:
        """[40] arc lengths at 0.1, 0.2 ... 4 s."""
        leaders = [*_in_the_way(line, scene, self._config.margin), *_red_lines(line, scene)]
        wanted = _speed_limits(line, scene, self._config)
        arc, speed, ways = 0.0, max(float(scene.observation.ego.velocity[0]), 0.0), []
        for step in range(NUM_STEPS - 1):
            time = step * INTERVAL_S
            limit = float(np.interp(arc, np.arange(len(wanted)), wanted))
            acceleration = self._free(speed, limit)
            for place, pace in leaders:
                acceleration = min(acceleration, self._behind(speed, limit, place + pace * time - arc - _FRONT_M, pace))
            speed = max(0.0, speed + INTERVAL_S * max(acceleration, -self._config.hardest_braking))
            arc += INTERVAL_S * speed
            ways.append(arc)
        return np.array(ways)

    def _free(self, speed: float, limit: float) -> float:
        config = self._config
        if speed > limit:
            return -config.braking * (1.0 - (limit / speed) ** config.exponent)
        return config.acceleration * (1.0 - (speed / max(limit, 0.1)) ** config.exponent)

    def _behind(self, speed: float, limit: float, gap: float, pace: float) -> float:
        config = self._config
        closing = speed * (speed - pace) / (2.0 * math.sqrt(config.acceleration * config.braking))
        wanted = config.min_gap + max(0.0, config.headway_s * speed + closing)
        return self._free(speed, limit) - config.acceleration * (wanted / max(gap, 0.1)) ** 2


def _poses(line: Polyline, ways: np.ndarray, return_m: float) -> np.ndarray:
    """[T, 3] along the line, from the ego's offset to none."""
    _, aside = line.project(np.zeros(2))
    # The ego is left of the line where the line is right of the ego.
    fine = np.arange(0.0, ways[-1] + 2.0, 0.25)
    on_line = line.interpolate(fine)
    normal = np.column_stack([-np.sin(on_line[:, 2]), np.cos(on_line[:, 2])])
    points = on_line[:, :2] + aside * np.exp(-fine / return_m)[:, None] * normal
    path = Polyline(points)
    poses = path.interpolate(np.minimum(ways * path.length / fine[-1], path.length))
    behind, ahead = path.interpolate(ways - 1.0), path.interpolate(ways + 1.0)
    poses[:, 2] = np.arctan2(*(ahead - behind)[:, [1, 0]].T)
    return poses


def _in_the_way(line: Polyline, scene: Scene, margin: float) -> list[tuple[float, float]]:
    """Arc length of the rear end and speed along the line of everybody who reaches into the body's strip."""
    found = []
    half = PACIFICA.width / 2 + margin
    corners = box_corners(scene.agents.boxes)
    for k in np.flatnonzero(np.hypot(*scene.agents.boxes[:, :2].T) < _SIGHT_M).tolist():
        reach = np.array([line.project(corner) for corner in corners[k]])
        arcs, asides = reach[:, 0], reach[:, 1]
        if arcs.max() <= _FRONT_M - 1.0 or asides.min() > half or asides.max() < -half or np.abs(asides).min() > 8.0:
            continue
        heading = float(line.interpolate(float(arcs.mean()))[2])
        pace = float(scene.agents.velocities[k] @ [math.cos(heading), math.sin(heading)])
        found.append((float(arcs.min()), max(pace, 0.0)))
    return found


def _red_lines(line: Polyline, scene: Scene) -> list[tuple[float, float]]:
    """Arc length of each stop line on the route whose light is not green, as somebody who stands there."""
    closed = {light.lane_id for light in scene.traffic_lights if light.state in (LightState.RED, LightState.YELLOW)}
    found = []
    for lane in scene.vector_map.lanes:
        if lane.lane_id not in closed:
            continue
        (arc, aside), (_, end) = line.project(lane.centerline[0]), line.project(lane.centerline[-1])
        if abs(aside) < 1.0 and abs(end) < 1.0 and arc > _FRONT_M - 1.0 and _can_stop(arc - _FRONT_M, scene):
            found.append((arc + 1.0, 0.0))
    return found


def _can_stop(distance_m: float, scene: Scene) -> bool:
    """Whether there is room to brake; who is too close drives on, as one does when the light turns yellow."""
    speed = scene.observation.ego.speed
    return speed**2 / (2.0 * 4.5) <= distance_m + 1.0


def _speed_limits(line: Polyline, scene: Scene, config: IdmConfig) -> np.ndarray:
    """[K] wanted speed at every metre of the line: the limit where the ego is, less in bends and before them."""
    arcs = np.arange(0.0, min(line.length, _SIGHT_M) + 1.0)
    before = line.interpolate(arcs - _CURVE_REACH_M)[:, 2]
    after = line.interpolate(arcs + _CURVE_REACH_M)[:, 2]
    turn = np.abs((after - before + np.pi) % (2 * np.pi) - np.pi) / (2 * _CURVE_REACH_M)
    speeds = np.minimum(_limit(scene, config), np.sqrt(config.lateral_acceleration / np.maximum(turn, 1e-3)))
    for k in range(len(speeds) - 2, -1, -1):
        speeds[k] = min(speeds[k], math.sqrt(speeds[k + 1] ** 2 + 2.0 * config.braking))
    return speeds


def _limit(scene: Scene, config: IdmConfig) -> float:
    """Of the lane whose centre line is nearest, among those that point the ego's way."""
    best, limit = math.inf, config.default_speed
    for lane in scene.vector_map.lanes:
        if lane.speed_limit_mps is None or lane.is_bike_lane:
            continue
        distances = np.hypot(*lane.centerline.T)
        k = int(np.argmin(distances))
        step = lane.centerline[min(k + 1, len(lane.centerline) - 1)] - lane.centerline[max(k - 1, 0)]
        if step[0] > 0 and distances[k] < best:
            best, limit = float(distances[k]), lane.speed_limit_mps
    return limit
