"""SUMO with one vehicle moved from outside. A process of its own: libsumo is one per process, and brings another Arrow.

python -m diffdrive.simulation.traffic_process CONNECTION NETWORK ROUTES PLAN.json SEED STEP_S EGO FIRST_STEP NUM_STEPS

Runs the town as the generator did up to step FIRST_STEP, then waits. Each ``BEGIN`` forks: the copy lets one drive happen, the
original keeps the moment for the next one, so several drivers share the way there.
"""

from __future__ import annotations

import json
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from diffdrive.configuration import to_mapping
from diffdrive.simulation.frames import Briefing, Failure, Frame, Move
from diffdrive.world.traffic import sumo_process
from diffdrive.world.traffic.events import read_plan
from diffdrive.world.traffic.events.director import Director

BEGIN, END = "begin", "end"
BRIEFING_STEPS = 100
"""How much of the past a drive is told."""

EXACTLY_THERE = 2
"""SUMO's ``keepRoute``: at these very coordinates, on whichever lane they are, or on none."""

MATCH_M = 100.0
_CONTROLS = frozenset({"setSpeed", "setSpeedMode", "setLaneChangeMode", "changeLane"})


def main(arguments: list[str]) -> int:
    connection, network, routes, plan, seed, step, ego, first, count = arguments
    # As the generator starts it, or the traffic would be another.
    command = ["sumo", "--net-file", network, "--route-files", routes, "--seed", seed, "--step-length", step]
    command += ["--default.action-step-length", step, "--lateral-resolution", str(sumo_process.LATERAL_RESOLUTION_M)]
    command += ["--no-step-log", "--no-warnings", "--ignore-route-errors", "--time-to-teleport", "-1"]
    command += ["--collision.action", "warn", "--collision.check-junctions", "true", "--device.rerouting.probability", "0"]
    town = _LiveTown(Director(read_plan(Path(plan)), float(step)), float(step), ego, int(first), Connection(int(connection)))
    town.run(command, int(first) + int(count) + 1)
    return 0


# The generator is frozen, so the part of it that makes the recorded traffic keeps the private name it has.
class _LiveTown(sumo_process._Log):
    """The generator's own loop, which hands the ego over at ``first_step``."""

    def __init__(self, director: Director, interval_s: float, ego: str, first_step: int, connection: Connection) -> None:
        super().__init__(director, interval_s)
        self.ego, self.first_step = ego, first_step
        self._connection = connection
        self._told = 0
        """Rows that belong to earlier steps."""

    def _step(self, sumo: Any, step: int) -> None:
        self._told = len(self.rows)
        super()._step(sumo if step <= self.first_step else _HandsOff(sumo, self.ego), step)
        if step < self.first_step:
            return
        if step == self.first_step:
            self._wait_for_drives()
            sumo.vehicle.setSpeedMode(self.ego, 0)
            sumo.vehicle.setLaneChangeMode(self.ego, 0)
            self._connection.send(self._briefing(step))
        else:
            self._connection.send(self._frame(self.rows[self._told :], step))
        order = self._connection.recv()
        if not isinstance(order, Move):
            self._end(step)
        self._move(sumo, order)

    def _wait_for_drives(self) -> None:
        """Returns in a forked copy; the original stays here until nobody asks any more."""
        while True:
            try:
                self._connection.recv()
            except EOFError:
                os._exit(0)
            child = os.fork()
            if child == 0:
                return
            _, status = os.waitpid(child, 0)
            if status != 0:
                self._connection.send(Failure(reason=f"The process of the traffic ended with status {status}."))

    def _move(self, sumo: Any, move: Move) -> None:
        if self.ego not in sumo.vehicle.getIDList():
            self._connection.send(Failure(reason=f"SUMO took the vehicle {self.ego} out of the traffic."))
            os._exit(0)
        sumo.vehicle.setSpeed(self.ego, move.speed)
        sumo.vehicle.moveToXY(self.ego, "", -1, *move.front, move.angle_deg, EXACTLY_THERE, MATCH_M)

    def _end(self, step: int) -> NoReturn:
        told = [to_mapping(happening) for happening in self.director.happenings(step * self.interval_s)]
        self._connection.send(json.dumps(told))
        os._exit(0)

    def _briefing(self, step: int) -> Briefing:
        first = step - BRIEFING_STEPS + 1
        by_step: dict[int, list[tuple[float, ...]]] = {k: [] for k in range(max(first, 0), step + 1)}
        for row in reversed(self.rows):
            if row[1] < first:
                break
            by_step[int(row[1])].append(row)
        frames = tuple(self._frame(rows[::-1], k) for k, rows in by_step.items())
        return Briefing(signal_names=tuple(self.signal_names), frames=frames)

    def _frame(self, rows: list[tuple[float, ...]], step: int) -> Frame:
        users, lanes = list(self.users), list(self.lanes)
        who = [int(row[0]) for row in rows]
        return Frame(
            step=step,
            tokens=tuple(users[k] for k in who),
            types=tuple(self.types[k] for k in who),
            lanes=tuple(lanes[int(row[6])] for row in rows),
            places=np.array([row[2:6] for row in rows], dtype=np.float64).reshape(-1, 4),
            signals=self.signals[step],
        )


class _HandsOff:
    """SUMO for the scripts of a town, without the reins of the one vehicle that is driven from outside."""

    def __init__(self, sumo: Any, ego: str) -> None:
        self._sumo = sumo
        self.vehicle = _Vehicles(sumo.vehicle, ego)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sumo, name)


class _Vehicles:
    def __init__(self, vehicle: Any, ego: str) -> None:
        self._vehicle, self._ego = vehicle, ego

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._vehicle, name)
        return self._unless_driven(found) if name in _CONTROLS else found

    def _unless_driven(self, control: Any) -> Any:
        return lambda name, *values: None if name == self._ego else control(name, *values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
