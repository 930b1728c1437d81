"""Cycles as lines of JSON, and back: a decision can be made again, to the bit, from what was written down.

The first line holds the configuration, each further one a cycle and its decision. Numbers are written as Python writes
floats, which read back unchanged. Sensor data are not recorded: ``decide`` does not see them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.runtime.envelope.config import EnvelopeConfig
from diffdrive.runtime.envelope.decision import Cycle, Decision, DecisionMemory, decide
from diffdrive.runtime.envelope.inputs import EgoMotion
from diffdrive.runtime.plan import Plan, PlanStatus
from diffdrive.scene import EgoState, Trajectory

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A cycle, decided again."""

    cycle: Cycle
    decision: Decision
    is_same: bool
    """Whether status, mode and every bit of the trajectory are those of the record."""


def header_line(config: EnvelopeConfig) -> str:
    """The first line of a record."""
    return json.dumps({"format": FORMAT, "config": to_mapping(config)})


def cycle_line(cycle: Cycle, decision: Decision) -> str:
    """A cycle and what was decided."""
    return json.dumps({"cycle": _cycle_values(cycle), "decision": _decision_values(decision)})


def replay(lines: Iterable[str]) -> Iterator[Replayed]:
    """Decide every recorded cycle again, in order. Raises ``InputError`` for lines that are no record, by number."""
    rows = iter(lines)
    config, memory = _config(next(rows, "")), DecisionMemory()
    for number, line in enumerate(rows, start=2):
        try:
            values = json.loads(line)
            cycle = _cycle(values["cycle"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"Line {number} of the record holds no cycle: {error}. Was its writing interrupted?") from error
        decision, memory = decide(cycle, memory, config)
        is_same = json.loads(json.dumps(_decision_values(decision))) == values["decision"]
        yield Replayed(cycle=cycle, decision=decision, is_same=is_same)


def _config(line: str) -> EnvelopeConfig:
    try:
        values = json.loads(line)
        number = values["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"The first line of a record holds its configuration, got {line[:60]!r}.") from error
    if number != FORMAT:
        raise InputError(f"The record has format {number}, this version reads {FORMAT}.")
    return build(EnvelopeConfig, values["config"])


def _cycle_values(cycle: Cycle) -> dict[str, Any]:
    plan, motion = cycle.plan, cycle.motion
    return {
        "now_us": cycle.now_us,
        "reason": cycle.reason,
        "motion": None
        if motion is None
        else {"history": [_state_values(state) for state in motion.history], "odometry_pose": motion.odometry_pose.tolist()},
        "plan": None
        if plan is None
        else {
            "status": plan.status.name,
            "detail": plan.detail,
            "interval_s": plan.trajectory.interval_s,
            "trajectory": plan.trajectory.poses.tolist(),
            "proposals": plan.proposals.tolist(),
            "scores": plan.scores.tolist(),
        },
    }


def _state_values(state: EgoState) -> dict[str, Any]:
    return {
        "timestamp_us": state.timestamp_us,
        "pose": state.pose.tolist(),
        "velocity": state.velocity.tolist(),
        "acceleration": state.acceleration.tolist(),
        "yaw_rate": state.yaw_rate,
    }


def _decision_values(decision: Decision) -> dict[str, Any]:
    return {
        "status": decision.status.name,
        "mode": decision.mode,
        "detail": decision.detail,
        "trajectory": decision.trajectory.poses.tolist(),
        "interval_s": decision.trajectory.interval_s,
        "plan_age_s": decision.plan_age_s,
    }


def _cycle(values: dict[str, Any]) -> Cycle:
    plan, motion = values["plan"], values["motion"]
    return Cycle(
        now_us=int(values["now_us"]),
        reason=str(values["reason"]),
        motion=None
        if motion is None
        else EgoMotion(
            history=tuple(EgoState(**state) for state in motion["history"]), odometry_pose=np.array(motion["odometry_pose"])
        ),
        plan=None if plan is None else _plan(plan),
    )


def _plan(values: dict[str, Any]) -> Plan:
    trajectory = Trajectory(np.array(values["trajectory"]), interval_s=values["interval_s"])
    return Plan(
        trajectory=trajectory,
        proposals=np.array(values["proposals"]).reshape(-1, trajectory.num_poses, 3),
        scores=np.array(values["scores"]),
        status=PlanStatus[values["status"]],
        detail=values["detail"],
    )
