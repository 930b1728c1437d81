"""Run SUMO and write down what it did. Started as a process of its own: libsumo brings another Arrow than pyarrow's.

python -m diffdrive.world.traffic.sumo_process NETWORK ROUTES OUTPUT.npz SEED DURATION_S STEP_S
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

LATERAL_RESOLUTION_M = 0.5


def main(arguments: list[str]) -> int:
    network, routes, output, seed, duration, step = arguments
    command = ["sumo", "--net-file", network, "--route-files", routes, "--seed", seed, "--step-length", step]
    command += ["--default.action-step-length", step, "--lateral-resolution", str(LATERAL_RESOLUTION_M)]
    command += ["--no-step-log", "--no-warnings", "--ignore-route-errors", "--time-to-teleport", "-1"]
    command += ["--collision.action", "warn", "--collision.check-junctions", "true", "--device.rerouting.probability", "0"]
    log = _Log()
    log.run(command, round(float(duration) / float(step)))
    np.savez(Path(output), **log.arrays())
    return 0


class _Log:
    """Everything of a run, one row per road user and step."""

    def __init__(self) -> None:
        self.users: dict[str, int] = {}
        self.types: list[str] = []
        self.routes: list[str] = []
        self.lanes: dict[str, int] = {"": 0}
        self.rows: list[tuple[float, ...]] = []
        self.signals: list[str] = []
        self.collisions: list[tuple[int, int, int]] = []
        self.signal_names: list[str] = []

    def run(self, command: list[str], steps: int) -> None:
        import libsumo

        libsumo.start(command)
        try:
            self.signal_names = sorted(libsumo.trafficlight.getIDList())
            for step in range(steps):
                libsumo.simulationStep()
                self._step(libsumo, step)
        finally:
            libsumo.close()

    def _step(self, sumo: Any, step: int) -> None:
        vehicle, person, codes = sumo.vehicle, sumo.person, sumo.constants
        for name in vehicle.getIDList():
            if name not in self.users:
                self._meet(name, vehicle.getTypeID(name), " ".join(vehicle.getRoute(name)))
                vehicle.subscribe(name, (codes.VAR_POSITION, codes.VAR_ANGLE, codes.VAR_SPEED, codes.VAR_LANE_ID))
        for name, values in vehicle.getAllSubscriptionResults().items():
            x, y = values[codes.VAR_POSITION][:2]
            lane = self.lanes.setdefault(values[codes.VAR_LANE_ID], len(self.lanes))
            self.rows.append((self.users[name], step, x, y, values[codes.VAR_ANGLE], values[codes.VAR_SPEED], lane))
        for name in person.getIDList():
            if name not in self.users:
                self._meet(name, person.getTypeID(name), "")
            x, y = person.getPosition(name)[:2]
            self.rows.append((self.users[name], step, x, y, person.getAngle(name), person.getSpeed(name), 0))
        self.signals.append("|".join(sumo.trafficlight.getRedYellowGreenState(name) for name in self.signal_names))
        for collision in sumo.simulation.getCollisions():
            pair = [self.users.get(name, -1) for name in (collision.collider, collision.victim)]
            self.collisions.append((step, pair[0], pair[1]))

    def _meet(self, name: str, kind: str, route: str) -> None:
        self.users[name] = len(self.users)
        self.types.append(kind.split("@")[0])
        self.routes.append(route)

    def arrays(self) -> dict[str, Any]:
        return {
            "users": np.array(list(self.users), dtype=str),
            "types": np.array(self.types, dtype=str),
            "routes": np.array(self.routes, dtype=str),
            "lanes": np.array(list(self.lanes), dtype=str),
            "rows": np.array(self.rows, dtype=np.float64).reshape(-1, 7),
            "signal_names": np.array(self.signal_names, dtype=str),
            "signals": np.array(self.signals, dtype=str),
            "collisions": np.array(self.collisions, dtype=np.int64).reshape(-1, 3),
        }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
