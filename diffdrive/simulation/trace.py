"""What has happened in a drive: the ego's states and everybody else, step after step, in the world frame."""

from __future__ import annotations

import math

import numpy as np
import torch

from diffdrive.scene import Agents, EgoState, TrafficLight, Trajectory
from diffdrive.scoring.simulation import interpolate_references, simulate
from diffdrive.simulation.route import Route
from diffdrive.simulation.stage import HISTORY_STEPS, Start
from diffdrive.vehicle import PACIFICA
from diffdrive.vehicle.state import (
    ACCELERATION_X,
    ACCELERATION_Y,
    STATE_SIZE,
    STEERING,
    VELOCITY_X,
    VELOCITY_Y,
    YAW_RATE,
)
from diffdrive.world.records import STEP_US

_ROLLING_MPS = 0.5
"""Slower than this, a yaw rate says nothing about the wheel."""


class Trace:
    """Step 0 is the moment at which the ego is taken over; the ``HISTORY_STEPS`` before it are the log's."""

    def __init__(self, start: Start, route: Route) -> None:
        self.first_step, self.route = start.first_step, route
        self._states = [_logged_state(start, row) for row in range(HISTORY_STEPS + 1)]
        self.agents: list[Agents] = []
        """By step, from 0 on, world frame."""
        self.lights: list[tuple[TrafficLight, ...]] = []
        self.arcs: list[float] = [route.start]
        self.asides: list[float] = [0.0]
        """Distances to the route's line, metres."""

    @property
    def step(self) -> int:
        """The present."""
        return len(self._states) - 1 - HISTORY_STEPS

    @property
    def state(self) -> np.ndarray:
        """[11] now."""
        return self._states[-1]

    def states(self, first: int, last: int) -> np.ndarray:
        """[N, 11] of the steps from first to last, both included; before the log begins, its first state."""
        rows = range(first + HISTORY_STEPS, last + HISTORY_STEPS + 1)
        return np.array([self._states[max(row, 0)] for row in rows]).reshape(-1, STATE_SIZE)

    def timestamp_us(self, step: int) -> int:
        """On the simulation's clock."""
        return (self.first_step + step) * STEP_US

    def ego(self, step: int) -> EgoState:
        """The ego at a step, pose in the world frame."""
        row = self._states[step + HISTORY_STEPS]
        return EgoState(
            timestamp_us=self.timestamp_us(step),
            pose=row[:3],
            velocity=row[VELOCITY_X : VELOCITY_Y + 1],
            acceleration=row[ACCELERATION_X : ACCELERATION_Y + 1],
            yaw_rate=float(row[YAW_RATE]),
        )

    def move(self, state: np.ndarray) -> None:
        """One step on: the ego comes to be in ``state`` [11]."""
        self._states.append(state)
        arc, aside = self.route.advance(self.arcs[-1], state[:2])
        self.arcs.append(arc)
        self.asides.append(aside)

    def see(self, agents: Agents, lights: tuple[TrafficLight, ...]) -> None:
        """Everybody else at the present step."""
        self.agents.append(agents)
        self.lights.append(lights)


def follow(state: np.ndarray, trajectory: Trajectory, timestamp_us: int) -> np.ndarray:
    """[40, 11] the states 0.1, 0.2, ... 4 s after ``state`` [11], world frame, of a vehicle that tracks ``trajectory``.

    The tracker and the bicycle of scoring. Raises ``InputError`` for a trajectory shorter than four seconds.
    """
    start = torch.from_numpy(state[None, :3].copy())
    poses = torch.from_numpy(np.array(trajectory.poses)[None, None])
    references = interpolate_references(start, torch.tensor([timestamp_us]), poses, trajectory.interval_s)
    ahead = simulate(torch.from_numpy(state[None].copy()), references, corrected=True)[0, 0, 1:].numpy()
    # The bicycle's rear axle feels turns, too; NAVSIM's simulation leaves that out, and a log does not.
    ahead[:, ACCELERATION_Y] = ahead[:, VELOCITY_X] * ahead[:, YAW_RATE]
    return ahead


def _logged_state(start: Start, row: int) -> np.ndarray:
    """[11]; the steering angle is the one that turns the car as it turned."""
    record, state = start.record, np.zeros(STATE_SIZE)
    state[:3], state[VELOCITY_X : VELOCITY_Y + 1] = record.poses[row], record.velocities[row]
    state[ACCELERATION_X : ACCELERATION_Y + 1] = record.accelerations[row]
    speed, turn = float(record.velocities[row, 0]), float(record.yaw_rates[row])
    state[YAW_RATE] = turn
    state[STEERING] = math.atan(PACIFICA.wheel_base * turn / speed) if speed > _ROLLING_MPS else 0.0
    return state
