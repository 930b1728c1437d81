"""What is watched at every step of a drive: contacts, red lights, the time to collision."""

from __future__ import annotations

import math

import numpy as np

from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.scene import AgentKind, Agents, LightState
from diffdrive.scoring.reference_planner.forecast import STATIC_KINDS
from diffdrive.simulation.infractions import Infraction, InfractionKind
from diffdrive.simulation.judging import is_to_blame
from diffdrive.simulation.stage import Stage
from diffdrive.simulation.trace import Trace
from diffdrive.simulation.view import View
from diffdrive.vehicle import PACIFICA
from diffdrive.vehicle.state import VELOCITY_X
from diffdrive.world.plausibility import boxes_overlap
from diffdrive.world.traffic.recording import INTERVAL_S

TTC_HORIZON_S = 5.0
OVER_LINE_M = 1.0
"""Who is over a stop line by more than this has not stopped at it."""

_NEAR_M = 60.0
_ALIGNED_RAD = math.pi / 4
_LINE_M = PACIFICA.rear_axle_to_center + PACIFICA.length / 2 - OVER_LINE_M
_MOVING_MPS = 0.1


def rows_touched(state: np.ndarray, agents: Agents) -> np.ndarray:
    """Rows of ``agents`` whose boxes overlap the ego's body in ``state`` [11], all in one frame."""
    ego = PACIFICA.boxes(state[:3])
    reach = (math.hypot(PACIFICA.length, PACIFICA.width) + np.hypot(*agents.boxes[:, 3:5].T)) / 2
    close = np.flatnonzero(np.hypot(*(agents.boxes[:, :2] - ego[:2]).T) <= reach)
    if not len(close):
        return close
    return close[boxes_overlap(np.broadcast_to(ego, (len(close), 5)), agents.boxes[close])]


class Contacts:
    """Who touches the ego. Each is judged once, at first contact."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self.blameless: list[str] = []
        """Tokens of those whom the ego touched without being at fault."""

    def watch(self, trace: Trace, view: View) -> list[Infraction]:
        """New contacts at the present step for which the ego is to blame."""
        agents, found = trace.agents[-1], []
        for row in rows_touched(trace.state, agents).tolist():
            token = agents.track_tokens[row]
            if token in self._known:
                continue
            self._known.add(token)
            # What touches the ego from the very beginning is nobody's fault.
            if trace.step > 0 and is_to_blame(trace, view, token):
                found.append(Infraction(kind=_kind(agents.kinds[row]), time_s=round(trace.step * INTERVAL_S, 1), token=token))
            else:
                self.blameless.append(token)
        return found


def _kind(kind: AgentKind) -> InfractionKind:
    if kind is AgentKind.PEDESTRIAN:
        return InfractionKind.COLLISION_PEDESTRIAN
    return InfractionKind.COLLISION_STATIC if kind in STATIC_KINDS else InfractionKind.COLLISION_VEHICLE


class RedLights:
    """Crossing a stop line on red. Who entered a junction before the light turned has done nothing wrong."""

    def __init__(self, stage: Stage) -> None:
        signals, lanes = stage.network.signals, stage.network.vector_map.lanes
        governed = [lane for lane in lanes if lane.lane_id in signals and not lane.is_bike_lane]
        self._ids = [lane.lane_id for lane in governed]
        lines = [Polyline(lane.centerline) for lane in governed]
        self._lines = np.array([line.interpolate(0.0) for line in lines]).reshape(-1, 3)
        self._half_widths = np.array([np.hypot(*(lane.left_boundary[0] - lane.right_boundary[0])) / 2 for lane in governed])

    def watch(self, trace: Trace) -> list[Infraction]:
        """The stop line that the ego crossed in the last step, if any: where lines of several lanes lie there, all are red."""
        before, now = (_over_line(state) for state in trace.states(trace.step - 1, trace.step))
        (along_before, _), (along, aside) = self._seen_from_lines(before), self._seen_from_lines(now)
        crossed = (along_before < 0.0) & (along >= 0.0) & (np.abs(aside) <= self._half_widths)
        crossed &= np.abs(wrap_angle(self._lines[:, 2] - now[2])) < _ALIGNED_RAD
        names = [self._ids[k] for k in np.flatnonzero(crossed)]
        states = {light.lane_id: light.state for light in trace.lights[-1]}
        if not names or any(states.get(name) is not LightState.RED for name in names):
            return []
        return [Infraction(kind=InfractionKind.RED_LIGHT, time_s=round(trace.step * INTERVAL_S, 1), token=names[0])]

    def _seen_from_lines(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Metres [L] beyond each stop line, and to the left of the middle of the lane that it closes."""
        away, cosine, sine = point[:2] - self._lines[:, :2], np.cos(self._lines[:, 2]), np.sin(self._lines[:, 2])
        return away[:, 0] * cosine + away[:, 1] * sine, away[:, 1] * cosine - away[:, 0] * sine


def _over_line(state: np.ndarray) -> np.ndarray:
    """[3] the pose of the point of the body that decides: a little behind the front bumper."""
    return np.array([state[0] + _LINE_M * math.cos(state[2]), state[1] + _LINE_M * math.sin(state[2]), state[2]])


def time_to_collision(state: np.ndarray, agents: Agents) -> float:
    """Seconds until the ego in ``state`` [11] meets one of ``agents`` (same frame) that is not behind it, if nobody changes
    speed or direction; infinite beyond ``TTC_HORIZON_S`` and for an ego that stands."""
    speed = float(state[VELOCITY_X])
    if speed < _MOVING_MPS:
        return math.inf
    direction = np.array([math.cos(state[2]), math.sin(state[2])])
    apart = agents.boxes[:, :2] - state[:2]
    rows = np.flatnonzero((np.hypot(*apart.T) <= _NEAR_M) & (apart @ direction > 0.0))
    if not len(rows):
        return math.inf
    times = np.arange(0.0, TTC_HORIZON_S + 1e-9, INTERVAL_S)
    ego = np.tile(PACIFICA.boxes(state[:3]), (len(rows), len(times), 1))
    ego[..., :2] += speed * times[:, None] * direction
    others = np.repeat(agents.boxes[rows, None], len(times), axis=1)
    others[..., :2] += agents.velocities[rows, None] * times[:, None]
    reach = (math.hypot(PACIFICA.length, PACIFICA.width) + np.hypot(others[..., 3], others[..., 4])) / 2
    who, when = np.nonzero(np.hypot(*(others - ego)[..., :2].transpose(2, 0, 1)) <= reach)
    hit = boxes_overlap(ego[who, when], others[who, when])
    return float(times[when[hit]].min()) if hit.any() else math.inf
