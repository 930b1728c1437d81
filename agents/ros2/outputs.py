"""What a cycle decided becomes what is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.runtime.envelope import CycleOutcome, EgoMotion
from diffdrive.scene import Trajectory

from .config import BridgeConfig
from .conversion.diagnostics import Told, diagnostics_message
from .conversion.making import MakesMessages
from .conversion.markers import markers_message
from .conversion.odometry import OdometrySample
from .conversion.trajectories import Place, TimedPoints, candidates_message, trajectory_message


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message on its way out."""

    topic: str
    message: Any


def outgoing(
    make: MakesMessages,
    told: Told,
    motion: EgoMotion | None,
    newest: OdometrySample | None,
    config: BridgeConfig,
) -> tuple[Outgoing, ...]:
    """The messages of a cycle, the trajectory first.

    ``motion`` is the last one that the envelope knows; without it there is no place in the world to give a trajectory in, and
    diagnostics are all there is. ``newest`` names frame and height.
    """
    topics, outcome = config.outputs, told.outcome
    made = {}
    if motion is not None and newest is not None:
        place = Place(frame_id=newest.frame_id, pose=motion.odometry_pose, height=newest.height, stamp_us=outcome.cycle.now_us)
        made = _plans(make, outcome, motion, place, config)
    if topics.diagnostics:
        made[topics.diagnostics] = diagnostics_message(make, told, vehicle=config.vehicle)
    return tuple(Outgoing(topic=topic, message=message) for topic, message in made.items())


def _plans(make: MakesMessages, outcome: CycleOutcome, motion: EgoMotion, place: Place, config: BridgeConfig) -> dict[str, Any]:
    topics, wheel_base = config.outputs, config.envelope.wheel_base
    decision, plan = outcome.decision, None if outcome.answer is None else outcome.answer.plan
    made = {}
    if topics.trajectory:
        points = TimedPoints.of(decision.trajectory, motion.present, wheel_base, config.points_per_pose)
        made[topics.trajectory] = trajectory_message(make, points, place, wheel_base)
    if topics.candidates and plan is not None and len(plan.scores):
        best_first = np.argsort(-plan.scores, kind="stable")
        proposals = [Trajectory(plan.proposals[mode], plan.trajectory.interval_s) for mode in best_first]
        candidates = [TimedPoints.of(each, motion.present, wheel_base, 1) for each in proposals]
        made[topics.candidates] = candidates_message(make, candidates, place, wheel_base)
    if topics.markers:
        made[topics.markers] = markers_message(make, decision.trajectory, decision.status, plan, place)
    return made
