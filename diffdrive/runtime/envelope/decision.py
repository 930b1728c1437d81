"""What the vehicle shall do in a cycle, given what the planner said: drive a proposal, or the next best thing down the ladder.

    a proposal that can be driven                                   PLANNED
    the best one, bent to what the vehicle can do                   REPAIRED       a little, or further where none can be driven
    the plan before, driven on                                      CARRIED_ON     no plan, and the last one is young
    a comfortable stop on the path of the plan before               STOPPING       no plan for longer
    a hard stop from what was last known of the motion              EMERGENCY_STOP the motion is unknown too

``decide`` is a pure function: the same cycle and memory give the same decision, to the bit.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import numpy as np

from diffdrive.runtime.envelope.arc_path import ArcPath, arc_step
from diffdrive.runtime.envelope.carrying import PastPlan, retimed, stop_along
from diffdrive.runtime.envelope.config import Braking, EnvelopeConfig
from diffdrive.runtime.envelope.feasibility import Violation, check_proposals
from diffdrive.runtime.envelope.inputs import EgoMotion
from diffdrive.runtime.envelope.repair import repaired
from diffdrive.runtime.envelope.selection import Choice, departures_from, select
from diffdrive.runtime.fallback import braking_ways
from diffdrive.runtime.plan import Plan
from diffdrive.scene import Trajectory


class DecisionStatus(enum.Enum):
    """Which rung of the ladder the vehicle is on. Every value is a sentence that can be shown to a person as it is."""

    PLANNED = "The planner's best proposal that can be driven is driven."
    REPAIRED = "The planner's best proposal cannot be driven as it is, so it was bent to what the vehicle can do."
    CARRIED_ON = "There is no new plan, so the plan before is driven on."
    STOPPING = "There has been no plan for too long, so the vehicle brakes comfortably to a stop."
    EMERGENCY_STOP = "The vehicle does not know how it moves, so it brakes hard to a stop."

    @property
    def is_planned(self) -> bool:
        """True where what is driven was planned in this cycle."""
        return self in (DecisionStatus.PLANNED, DecisionStatus.REPAIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What a cycle ended with."""

    now_us: int
    """When it began, on the vehicle's clock."""

    plan: Plan | None
    """The planner's answer, if it was asked and answered in time."""

    reason: str = ""
    """Why there is no plan."""

    motion: EgoMotion | None = None
    """How the vehicle moves; None where that may not be relied on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMemory:
    """What a decision needs of the ones before it."""

    past: PastPlan | None = None
    """The last plan of the planner that was driven."""

    motion: EgoMotion | None = None
    """The last known motion."""

    @property
    def shape(self) -> tuple[int, float]:
        """Number of poses and interval (s) of trajectories: the last plan's, else the network's usual ones."""
        return (8, 0.5) if self.past is None else (self.past.trajectory.num_poses, self.past.trajectory.interval_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to drive, in the vehicle's frame at the beginning of the cycle, and why."""

    trajectory: Trajectory
    status: DecisionStatus
    detail: str = ""
    mode: int | None = None
    """The proposal that it is, or was bent from."""

    choice: Choice | None = None
    violations: tuple[Violation, ...] = ()
    """The limits that the proposal with the highest score breaks."""

    num_infeasible: int = 0
    """Proposals that cannot be driven."""

    plan_age_s: float = 0.0
    """Since the plan that it rests on was made; 0 where it rests on none."""


def decide(cycle: Cycle, memory: DecisionMemory, config: EnvelopeConfig) -> tuple[Decision, DecisionMemory]:
    """The decision of ``cycle``, and what to remember of it."""
    motion = cycle.motion
    memory = memory if motion is None else replace(memory, motion=motion)
    if motion is None:
        return _emergency_stop(cycle, memory, config), memory
    if cycle.plan is None or not cycle.plan.status.is_planned:
        return _without_plan(cycle, motion, memory, config), memory
    decision = _planned(cycle.plan, cycle.now_us, motion, memory, config)
    past = PastPlan(trajectory=decision.trajectory, odometry_pose=motion.odometry_pose, stamp_us=cycle.now_us)
    return decision, replace(memory, past=past)


def _planned(plan: Plan, now_us: int, motion: EgoMotion, memory: DecisionMemory, config: EnvelopeConfig) -> Decision:
    interval_s = plan.trajectory.interval_s
    checked = check_proposals(plan.proposals, interval_s, motion.present, config.wheel_base, config.limits)
    before = memory.past
    is_young = before is not None and 0 < before.age_s(now_us) <= config.max_plan_age_s and _is_on(before, motion, config)
    carried = retimed(before, motion.odometry_pose, now_us) if before is not None and is_young else None
    best = int(plan.scores.argmax())
    wanted = Trajectory(plan.proposals[best], interval_s=interval_s)
    bent = _drivable(wanted, motion, config)
    proposals, can_be_driven = np.array(plan.proposals, dtype=np.float64), checked.is_feasible.copy()
    # A few decimetres of a network's jitter are no reason to drive something that it thinks less of.
    can_be_driven[best] |= departures_from(wanted, bent.poses[None])[0] <= config.selection.max_bend_m
    proposals[best] = bent.poses
    chosen = select(proposals, plan.scores, can_be_driven, carried, config.selection)
    mode, choice = (best, None) if chosen is None else (chosen.mode, chosen.choice)
    told = checked.violations(best)
    is_bent = mode == best and bool(told)
    return Decision(
        trajectory=Trajectory(proposals[mode], interval_s=interval_s),
        status=DecisionStatus.REPAIRED if is_bent else DecisionStatus.PLANNED,
        detail=" ".join(violation.value for violation in told) if is_bent else "",
        mode=mode,
        choice=choice,
        violations=told,
        num_infeasible=int((~checked.is_feasible).sum()),
    )


def _without_plan(cycle: Cycle, motion: EgoMotion, memory: DecisionMemory, config: EnvelopeConfig) -> Decision:
    reason, past = cycle.reason or _reason(cycle.plan), _followed(memory.past, motion, cycle.now_us, config)
    age_s = 0.0 if past is None else past.age_s(cycle.now_us)
    if past is not None and age_s <= config.max_plan_age_s:
        trajectory, status = retimed(past, motion.odometry_pose, cycle.now_us), DecisionStatus.CARRIED_ON
    else:
        trajectory, status = _stop(past, motion, memory, config.comfortable), DecisionStatus.STOPPING
    return Decision(trajectory=_drivable(trajectory, motion, config), status=status, detail=reason, plan_age_s=age_s)


def _followed(past: PastPlan | None, motion: EgoMotion, now_us: int, config: EnvelopeConfig) -> PastPlan | None:
    """``past``, if its path is young enough and the vehicle is on it."""
    is_followed = past is not None and 0 <= past.age_s(now_us) <= config.max_path_age_s and _is_on(past, motion, config)
    return past if is_followed else None


def _is_on(past: PastPlan, motion: EgoMotion, config: EnvelopeConfig) -> bool:
    """Whether the vehicle is where the plan led it, and not somewhere that it was put."""
    return past.departure_m(motion.odometry_pose) <= config.limits.max_start_offset


def _drivable(trajectory: Trajectory, motion: EgoMotion, config: EnvelopeConfig) -> Trajectory:
    """``trajectory``, bent where the vehicle, which may have left its path a little, cannot drive it as it is."""
    checked = check_proposals(trajectory.poses[None], trajectory.interval_s, motion.present, config.wheel_base, config.limits)
    return trajectory if checked.is_feasible[0] else repaired(trajectory, motion.present, config.wheel_base, config.limits)


def _emergency_stop(cycle: Cycle, memory: DecisionMemory, config: EnvelopeConfig) -> Decision:
    motion, past = memory.motion, None
    if motion is None:
        num_poses, interval_s = memory.shape
        trajectory = Trajectory(np.zeros((num_poses, 3)), interval_s=interval_s)
    else:
        past = _followed(memory.past, motion, cycle.now_us, config)
        trajectory = _drivable(_stop(past, motion, memory, config.emergency), motion, config)
    return Decision(
        trajectory=trajectory,
        status=DecisionStatus.EMERGENCY_STOP,
        detail=cycle.reason or _reason(cycle.plan),
        plan_age_s=0.0 if past is None else past.age_s(cycle.now_us),
    )


def _stop(past: PastPlan | None, motion: EgoMotion, memory: DecisionMemory, braking: Braking) -> Trajectory:
    """On the path of ``past``; without one on the arc that the vehicle is in."""
    speed, acceleration = float(motion.present.velocity[0]), float(motion.present.acceleration[0])
    if past is not None:
        return stop_along(past, motion.odometry_pose, speed, acceleration, deceleration=braking.deceleration, jerk=braking.jerk)
    num_poses, interval_s = memory.shape
    curvature = motion.present.yaw_rate / speed if speed > 1.0 else 0.0
    ways = braking_ways(
        max(speed, 0.0),
        acceleration,
        num_poses,
        interval_s,
        deceleration=braking.deceleration,
        jerk=braking.jerk,
    )
    return Trajectory(_arc(curvature).at(ways), interval_s=interval_s)


def _arc(curvature: float) -> ArcPath:
    """From the origin along x, a metre long: it goes on as it ends."""
    return ArcPath(np.array([[0.0, 0.0, 0.0], [*arc_step(1.0, curvature), curvature]]))


def _reason(plan: Plan | None) -> str:
    return "The planner did not answer." if plan is None else f"{plan.status.value} {plan.detail}".strip()
