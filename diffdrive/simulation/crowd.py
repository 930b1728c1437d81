"""From SUMO's points to bodies while the simulation runs: the generator's way of lifting, which here cannot look ahead.

As in ``world.traffic.lift``, a vehicle's centre follows the line of its front bumper, and its rear axle does not slip. The
generator smooths over what comes next, too; a body here is a few centimetres from where a log would show it.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.scene import AgentKind, Agents, TrafficLight
from diffdrive.simulation.frames import Briefing, Frame
from diffdrive.simulation.stage import Stage
from diffdrive.world.traffic import recording
from diffdrive.world.traffic.events.aftermath import shifted_front
from diffdrive.world.traffic.events.sites import Bottleneck
from diffdrive.world.traffic.recording import REAR_AXLE_SHARE
from diffdrive.world.traffic.road_users import ROAD_USERS

_SPARE_M = 2.0
_LEAST_STEP_M = 1e-3


class Crowd:
    """Everybody but the ego, step after step."""

    def __init__(self, stage: Stage, ego: str, briefing: Briefing) -> None:
        self._stage, self._ego = stage, ego
        self._signal_names = {name: k for k, name in enumerate(briefing.signal_names)}
        self._bodies: dict[str, _Body] = {}
        self._sites = {site.lane_id: (site, _centre_line(stage, site)) for site in stage.plan.bottlenecks}
        self.agents = Agents.none()
        """World frame, the standing ones included."""

        for frame in briefing.frames:
            self.see(frame)

    def see(self, frame: Frame) -> Agents:
        """Everybody at the step of ``frame``, in the world frame. To be called with every frame, in order."""
        present = [k for k, token in enumerate(frame.tokens) if token != self._ego]
        users = [ROAD_USERS[frame.types[k]] for k in present]
        poses = np.array([self._pose(frame, k) for k in present]).reshape(-1, 3)
        sizes = np.array([(user.length, user.width, user.height) for user in users]).reshape(-1, 3)
        # A walker of a script is where the script says, and tells no speed.
        speeds = frame.places[present, 3]
        standing = self._stage.standing
        self.agents = Agents(
            track_tokens=tuple(frame.tokens[k] for k in present) + standing.track_tokens,
            kinds=tuple(user.kind for user in users) + standing.kinds,
            boxes=np.concatenate([np.column_stack([poses[:, :2], wrap_angle(poses[:, 2]), sizes[:, :2]]), standing.boxes]),
            vertical=np.concatenate([np.column_stack([sizes[:, 2] / 2, sizes[:, 2]]), standing.vertical]),
            velocities=np.concatenate([self._velocities(frame, present, poses, speeds), standing.velocities]),
        )
        return self.agents

    def lights(self, frame: Frame) -> tuple[TrafficLight, ...]:
        """Every signal of the town."""
        # The generator is frozen, so the part of it that reads SUMO's signals keeps its private name.
        return recording._lights(self._stage.network, self._signal_names, [frame.signals])[0]

    def _pose(self, frame: Frame, row: int) -> tuple[float, float, float]:
        token, (x, y, angle, _) = frame.tokens[row], frame.places[row].tolist()
        user, heading = ROAD_USERS[frame.types[row]], math.radians(90.0 - angle)
        if user.kind is AgentKind.PEDESTRIAN:
            return x - user.length / 2 * math.cos(heading), y - user.length / 2 * math.sin(heading), heading
        front = np.array([x, y])
        lane = self._stage.network.lane_of.get(frame.lanes[row], "")
        if lane in self._sites:
            site, line = self._sites[lane]
            front = shifted_front(front[None], site, line, length=user.length, width=user.width)[0]
        body = self._bodies.get(token)
        if body is None:
            body = self._bodies[token] = _Body(front, heading, user.length)
        return body.move(front)

    def _velocities(self, frame: Frame, present: list[int], poses: np.ndarray, speeds: np.ndarray) -> np.ndarray:
        found = speeds[:, None] * np.column_stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])])
        before = {token: row for row, token in enumerate(self.agents.track_tokens)}
        for row, k in enumerate(present):
            token = frame.tokens[k]
            if frame.lanes[k] == "" and token in before:
                found[row] = (poses[row, :2] - self.agents.boxes[before[token], :2]) / recording.INTERVAL_S
        return found


class _Body:
    """One vehicle: the line that its front bumper drew, its centre on that line, its rear axle behind the centre."""

    def __init__(self, front: np.ndarray, heading: float, length: float) -> None:
        direction = np.array([math.cos(heading), math.sin(heading)])
        self._half, self._axle = length / 2, REAR_AXLE_SHARE * length
        self._line: deque[tuple[float, float, float]] = deque()
        """Arc length, x, y."""
        begin = front - (length + _SPARE_M) * direction
        self._line.append((-(length + _SPARE_M), float(begin[0]), float(begin[1])))
        self._line.append((0.0, float(front[0]), float(front[1])))
        self._rear = front - (self._half + self._axle) * direction
        self._last = (*(front - self._half * direction).tolist(), heading)

    def move(self, front: np.ndarray) -> tuple[float, float, float]:
        """The pose of its centre, now that its front bumper is at ``front`` [2]."""
        arc, x, y = self._line[-1]
        step = math.hypot(front[0] - x, front[1] - y)
        if step < _LEAST_STEP_M:
            return self._last
        self._line.append((arc + step, float(front[0]), float(front[1])))
        behind = arc + step - self._half
        while len(self._line) > 2 and self._line[1][0] < behind - _SPARE_M:
            self._line.popleft()
        cx, cy = self._at(behind)
        # The rear axle is pulled along: it goes where the centre is.
        dx, dy = cx - self._rear[0], cy - self._rear[1]
        heading = math.atan2(dy, dx)
        self._rear = np.array([cx - self._axle * math.cos(heading), cy - self._axle * math.sin(heading)])
        self._last = (cx, cy, heading)
        return self._last

    def _at(self, arc: float) -> tuple[float, float]:
        for k in range(len(self._line) - 2, -1, -1):
            first, second = self._line[k], self._line[k + 1]
            if first[0] <= arc:
                share = (arc - first[0]) / (second[0] - first[0])
                return first[1] + share * (second[1] - first[1]), first[2] + share * (second[2] - first[2])
        return self._line[0][1:]


def _centre_line(stage: Stage, site: Bottleneck) -> Polyline:
    lane = stage.network.vector_map.lane(site.lane_id)
    if lane is None:
        raise LookupError(f"The blocked lane {site.lane_id} is not on the map of {stage.location}.")
    return Polyline(lane.centerline)
