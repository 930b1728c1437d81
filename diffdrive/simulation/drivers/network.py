"""A trained planner at the wheel, as it is or inside the envelope that it has in a vehicle."""

from __future__ import annotations

import numpy as np

from diffdrive.runtime.envelope import (
    AskInline,
    DecisionStatus,
    EgoMotion,
    PastProposals,
    Reading,
    SafePlanner,
    VehicleInputs,
    WarmStart,
)
from diffdrive.runtime.envelope.watchdog import AnswersObservations
from diffdrive.runtime.plan import Plan, PlanStatus
from diffdrive.scene import Scene, Trajectory
from diffdrive.simulation.drivers.protocol import Drive


class NetworkDriver:
    """Follows the planner's answer, whatever it is. With ``warm_start`` a plan begins at the plans before."""

    needs_sensors = True

    def __init__(self, planner: AnswersObservations, warm_start: WarmStart | None = None) -> None:
        self._planner, self._warm_start = planner, warm_start
        self._past: PastProposals | None = None

    def drive(self, scene: Scene) -> Drive:
        seen, noise = scene.observation, None
        if self._warm_start is not None:
            noise = self._warm_start.start(self._past, scene.world_from_ego, seen.ego.timestamp_us, seen.command).noise
        plan = self._planner.plan(seen, noise=noise)
        if plan.status.is_planned:
            self._past = _remembered(plan, scene)
        return _answer(plan.trajectory, plan.status, plan.detail, plan)


class EnvelopedDriver:
    """Asks the planner as a vehicle does: through ``SafePlanner``, once a plan, on the simulation's clock."""

    needs_sensors = True

    def __init__(self, planner: AnswersObservations, warm_start: WarmStart | None = None) -> None:
        self._now_us = 0
        # Time stands still while the planner thinks: what a driver does must not depend on the machine.
        ask = AskInline(planner=planner, clock=self._seconds)
        self._safe = SafePlanner(ask, now_us=lambda: self._now_us, clock=self._seconds, warm_start=warm_start)

    def drive(self, scene: Scene) -> Drive:
        self._now_us = scene.observation.ego.timestamp_us
        outcome = self._safe.cycle(inputs_of(scene))
        decision = outcome.decision
        plan = None if outcome.answer is None else outcome.answer.plan
        return _answer(decision.trajectory, decision.status, decision.detail, plan)

    def _seconds(self) -> float:
        return self._now_us * 1e-6


def inputs_of(scene: Scene) -> VehicleInputs:
    """The scene as a vehicle's messages, all of them measured just now.

    Without digests: rendered cameras have no noise, so at a standstill two images may be equal though nothing is frozen.
    """
    seen, now_us = scene.observation, scene.observation.ego.timestamp_us
    motion = EgoMotion(history=seen.ego_history, odometry_pose=scene.world_from_ego)
    return VehicleInputs(
        cameras={camera: Reading(stamp_us=now_us, value=frame) for camera, frame in seen.cameras.items()},
        lidar=None if seen.lidar is None else Reading(stamp_us=now_us, value=seen.lidar),
        motion=Reading(stamp_us=now_us, value=motion),
        command=Reading(stamp_us=now_us, value=seen.command),
    )


def _answer(trajectory: Trajectory, status: PlanStatus | DecisionStatus, detail: str, plan: Plan | None) -> Drive:
    has_proposals = plan is not None and len(plan.scores) > 0
    return Drive(
        trajectory=trajectory,
        status=status.name,
        sentence=status.value,
        detail=detail,
        proposals=plan.proposals if plan is not None and has_proposals else None,
        scores=plan.scores if plan is not None and has_proposals else None,
    )


def _remembered(plan: Plan, scene: Scene) -> PastProposals:
    return PastProposals(
        poses=plan.proposals[np.argsort(-plan.scores, kind="stable")],
        interval_s=plan.trajectory.interval_s,
        odometry_pose=scene.world_from_ego,
        stamp_us=scene.observation.ego.timestamp_us,
        command=scene.observation.command,
    )
