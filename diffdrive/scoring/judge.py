"""From simulated states to verdicts: everything in a score that is about where the ego is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scoring.areas import Areas
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.encounters import Candidates
from diffdrive.scoring.meetings import Meetings
from diffdrive.scoring.metrics.drivable_area_compliance import drivable_area_compliance
from diffdrive.scoring.metrics.driving_direction_compliance import driving_direction_compliance
from diffdrive.scoring.metrics.ego_progress import raw_progress
from diffdrive.scoring.metrics.lane_keeping import lane_keeping
from diffdrive.scoring.metrics.no_at_fault_collisions import meetings_now, no_at_fault_collisions
from diffdrive.scoring.metrics.time_to_collision import meetings_ahead, time_to_collision
from diffdrive.scoring.metrics.traffic_light_compliance import traffic_light_compliance
from diffdrive.scoring.motion import Motion
from diffdrive.scoring.rules import EPDMS, NUM_STEPS, PDMS, Protocol, Rules
from diffdrive.scoring.scores import Verdict
from diffdrive.vehicle.state import STATE_SIZE

ROWS_AT_ONCE = 2048
"""Rows, of all scenes together, that are judged in one go; bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What R rows in each of S scenes did."""

    verdicts: Mapping[str, Verdict]
    """[S, R] by sub-score."""

    progress: Tensor
    """[S, R] metres along the centreline, never negative."""


def judge(batch: SceneBatch, states: Tensor) -> Judgement:
    """Judge ``states`` [S, R, 41, 11] (rear axle, in the frame of each scene) by the rules of the batch's protocol.

    Rows do not influence each other. Raises ``InputError`` for another shape.
    """
    if states.ndim != 4 or len(states) != len(batch) or states.shape[2:] != (NUM_STEPS, STATE_SIZE):
        raise InputError(f"States must have axes [{len(batch)}, R, {NUM_STEPS}, {STATE_SIZE}], got {list(states.shape)}.")
    parts = [_judge(batch, part) for part in states.split(max(1, ROWS_AT_ONCE // len(batch)), dim=1)]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _judge(batch: SceneBatch, states: Tensor) -> Judgement:
    v2 = batch.protocol is Protocol.V2
    rules = EPDMS if v2 else PDMS
    motion = Motion.of(states, batch.origins)
    areas = Areas.of(batch.areas, motion)
    collision, ahead = _meetings(batch, motion, areas, rules)
    verdicts = {
        "no_at_fault_collisions": no_at_fault_collisions(collision),
        "drivable_area_compliance": drivable_area_compliance(areas),
        "driving_direction_compliance": driving_direction_compliance(areas, spares_intersections=v2),
        "time_to_collision": time_to_collision(ahead, areas),
    }
    if v2:
        verdicts["traffic_light_compliance"] = traffic_light_compliance(batch.red, motion)
        verdicts["lane_keeping"] = lane_keeping(batch.lane_grid, areas)
    shape = states.shape[:2]
    return Judgement(
        verdicts={name: _reshaped(verdict, shape) for name, verdict in verdicts.items()},
        progress=raw_progress(batch.centerlines, motion.centre.unflatten(0, shape)),
    )


def _meetings(batch: SceneBatch, motion: Motion, areas: Areas, rules: Rules) -> tuple[Meetings, Meetings]:
    """What decides on collisions, and on the time to collision."""
    candidates = Candidates.find(motion, batch.tracks)
    asked = meetings_now(candidates), meetings_ahead(candidates, rules.collision_time_steps)
    first = candidates.first_meetings(*asked)
    found = Meetings.of(first, areas, corrected=batch.corrected)
    return found.where(first.rule == 0), found.where(first.rule == 1)


def _reshaped(verdict: Verdict, shape: torch.Size) -> Verdict:
    return Verdict(
        value=verdict.value.reshape(shape),
        step=verdict.step.reshape(shape),
        agent=verdict.agent.reshape(shape),
        corner=verdict.corner.reshape(shape),
    )


def _joined(parts: list[Judgement]) -> Judgement:
    def join(name: str) -> Verdict:
        found = [part.verdicts[name] for part in parts]
        return Verdict(
            value=torch.cat([verdict.value for verdict in found], dim=1),
            step=torch.cat([verdict.step for verdict in found], dim=1),
            agent=torch.cat([verdict.agent for verdict in found], dim=1),
            corner=torch.cat([verdict.corner for verdict in found], dim=1),
        )

    return Judgement(
        verdicts={name: join(name) for name in parts[0].verdicts},
        progress=torch.cat([part.progress for part in parts], dim=1),
    )
