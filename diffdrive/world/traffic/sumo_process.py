"""Run SUMO and write down what it did. Started as a process of its own: libsumo brings another Arrow than pyarrow's.

python -m diffdrive.world.traffic.sumo_process NETWORK ROUTES PLAN.json OUTPUT.npz SEED DURATION_S STEP_S
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.configuration import to_mapping
from diffdrive.world.traffic.events import read_plan
from diffdrive.world.traffic.events.director import Director
from diffdrive.world.traffic.events.streets import Car, Streets
from diffdrive.world.traffic.road_users import ROAD_USERS

LATERAL_RESOLUTION_M = 0.5
WALKER = "walker"


def main(arguments: list[str]) -> int:
    network, routes, plan, output, seed, duration, step = arguments
    command = ["sumo", "--net-file", network, "--route-files", routes, "--seed", seed, "--step-length", step]
    command += ["--default.action-step-length", step, "--lateral-resolution", str(LATERAL_RESOLUTION_M)]
    command += ["--no-step-log", "--no-warnings", "--ignore-route-errors", "--time-to-teleport", "-1"]
    command += ["--collision.action", "warn", "--collision.check-junctions", "true", "--device.rerouting.probability", "0"]
    log = _Log(Director(read_plan(Path(plan)), float(step)), float(step))
    log.run(command, round(float(duration) / float(step)))
    np.savez(Path(output), **log.arrays())
    return 0


class _Log:
    """Everything of a run, one row per road user and step."""

    def __init__(self, director: Director, interval_s: float) -> None:
        self.director = director
        self.interval_s = interval_s
        self.lengths: dict[str, float] = {}
        self.ways: dict[str, list[str]] = {}
        """Streets that each vehicle has before it, the present one included."""

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
                self._welcome(sumo, name)
        cars = []
        for name, values in vehicle.getAllSubscriptionResults().items():
            x, y = values[codes.VAR_POSITION][:2]
            lane, speed = values[codes.VAR_LANE_ID], values[codes.VAR_SPEED]
            number = self.lanes.setdefault(lane, len(self.lanes))
            self.rows.append((self.users[name], step, x, y, values[codes.VAR_ANGLE], speed, number))
            cars.append(self._car(name, lane, values[codes.VAR_LANEPOSITION], speed, (x, y)))
        self._script(sumo, step, cars)
        for name in person.getIDList():
            if name not in self.users:
                self._meet(name, person.getTypeID(name), "")
            x, y = person.getPosition(name)[:2]
            self.rows.append((self.users[name], step, x, y, person.getAngle(name), person.getSpeed(name), 0))
        self.signals.append("|".join(sumo.trafficlight.getRedYellowGreenState(name) for name in self.signal_names))
        for collision in sumo.simulation.getCollisions():
            pair = [self.users.get(name, -1) for name in (collision.collider, collision.victim)]
            self.collisions.append((step, pair[0], pair[1]))

    def _welcome(self, sumo: Any, name: str) -> None:
        """A new vehicle, unless it appears where a script has put something that SUMO does not know."""
        vehicle, codes = sumo.vehicle, sumo.constants
        if vehicle.getRoadID(name) in self.director.no_start:
            vehicle.remove(name)
            return
        way = list(vehicle.getRoute(name))
        self._meet(name, vehicle.getTypeID(name), " ".join(way))
        self.ways[name], self.lengths[name] = way, vehicle.getLength(name)
        watched = (codes.VAR_POSITION, codes.VAR_ANGLE, codes.VAR_SPEED, codes.VAR_LANE_ID, codes.VAR_LANEPOSITION)
        vehicle.subscribe(name, watched)

    def _car(self, name: str, lane: str, position: float, speed: float, place: tuple[float, float]) -> Car:
        edge, way = lane.rsplit("_", 1)[0], self.ways[name]
        if edge in way:
            del way[: way.index(edge)]
        return Car(
            name=name,
            type_name=self.types[self.users[name]],
            edge_id=edge,
            lane=lane,
            position=position,
            speed=speed,
            length=self.lengths[name],
            next_edge_id=way[1] if len(way) > 1 else "",
            place=place,
        )

    def _script(self, sumo: Any, step: int, cars: list[Car]) -> None:
        time = step * self.interval_s
        self.director.step(sumo, Streets(sumo, time, cars))
        for walker in self.director.walkers:
            if walker.site.token not in self.users:
                self._meet(walker.site.token, WALKER, "")
            x, y, heading = walker.pose(time)
            # The point in front of the body, as SUMO gives it for everybody.
            reach = ROAD_USERS[WALKER].length / 2
            front = (x + reach * math.cos(heading), y + reach * math.sin(heading))
            self.rows.append((self.users[walker.site.token], step, *front, 90.0 - math.degrees(heading), 0.0, 0))

    def _meet(self, name: str, kind: str, route: str) -> None:
        self.users[name] = len(self.users)
        self.types.append(kind.split("@")[0])
        self.routes.append(route)

    def arrays(self) -> dict[str, Any]:
        told = self.director.happenings((len(self.signals) - 1) * self.interval_s)
        return {
            "users": np.array(list(self.users), dtype=str),
            "types": np.array(self.types, dtype=str),
            "routes": np.array(self.routes, dtype=str),
            "lanes": np.array(list(self.lanes), dtype=str),
            "rows": np.array(self.rows, dtype=np.float64).reshape(-1, 7),
            "signal_names": np.array(self.signal_names, dtype=str),
            "signals": np.array(self.signals, dtype=str),
            "happenings": np.array(json.dumps([to_mapping(happening) for happening in told])),
            "collisions": np.array(self.collisions, dtype=np.int64).reshape(-1, 3),
        }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
