"""Drivers to compare with: one that knows nothing, one that knows the boxes and the map, and the log's own."""

from __future__ import annotations

import numpy as np

from diffdrive.baselines import ConstantVelocity
from diffdrive.geometry import to_local
from diffdrive.scene import Scene, Trajectory
from diffdrive.scoring.preparation.history import initial_state
from diffdrive.scoring.preparation.prepare import road_of
from diffdrive.scoring.preparation.red_lights import red_lights
from diffdrive.scoring.reference_planner import Situation, drive
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS, Protocol
from diffdrive.simulation.drivers.protocol import Drive
from diffdrive.simulation.stage import Start
from diffdrive.world.records import STEP_US


class ConstantVelocityDriver:
    """Straight on at the present speed."""

    needs_sensors = False

    def __init__(self) -> None:
        self._planner = ConstantVelocity()

    def drive(self, scene: Scene) -> Drive:
        return Drive(trajectory=self._planner.plan(scene.observation))


class PdmClosedDriver:
    """PDM-Closed (Dauner et al. 2023, arXiv 2306.07962), which is told the true boxes, the map, the signals and the route.

    The planner of ``scoring.reference_planner``, without the devkit's known mistakes.
    """

    needs_sensors = False

    def drive(self, scene: Scene) -> Drive:
        road, ego = road_of(scene), scene.observation.ego
        situation = Situation(
            timestamp_us=ego.timestamp_us,
            ego_state=initial_state(ego),
            agents=scene.agents,
            drivable_map=road.drivable_map,
            centerline=road.centerline,
            speed_limit_mps=road.speed_limit_mps,
            red=red_lights(road.graph, road.route, (scene.traffic_lights,), 1).polygons,
        )
        plan = drive(situation, Protocol.V2, corrected=True)
        return Drive(
            trajectory=Trajectory(plan.reference[1:], INTERVAL_S), proposals=plan.proposals[:, 5::5], scores=plan.scores
        )


class HumanDriver:
    """Drives what the log's own driver drove, at the log's own times, whatever happens: a bound, no planner."""

    needs_sensors = False

    def __init__(self, start: Start) -> None:
        self._poses, self._first_step = start.expert.poses, start.first_step

    def drive(self, scene: Scene) -> Drive:
        step = scene.observation.ego.timestamp_us // STEP_US - self._first_step
        rows = np.minimum(np.arange(step + 1, step + NUM_STEPS), len(self._poses) - 1)
        return Drive(trajectory=Trajectory(to_local(self._poses[rows], scene.world_from_ego), INTERVAL_S))
