"""The reader's scorer: from a scene and references to everything that a score is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import oracle_comfort as comfort
import oracle_rules as rules
from oracle_vehicle import simulate
from oracle_world import Drive, World

from diffdrive.scoring.scoring_scene import ScoringScene

V1_MULTIPLIERS = ("no_at_fault_collisions", "drivable_area_compliance")
V2_MULTIPLIERS = (*V1_MULTIPLIERS, "driving_direction_compliance", "traffic_light_compliance")
V1_WEIGHTS = {"ego_progress": 5, "time_to_collision": 5, "comfort": 2}
V2_WEIGHTS = {"ego_progress": 5, "time_to_collision": 5, "lane_keeping": 2, "history_comfort": 2, "extended_comfort": 2}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One drive, judged. ``sub_scores`` lacks ``extended_comfort`` until a preceding drive is compared."""

    states: np.ndarray
    is_nondrivable: np.ndarray
    is_in_multiple_lanes: np.ndarray
    is_oncoming: np.ndarray
    collisions: list[rules.Event]
    time_to_collision: list[rules.Event]
    uncomfortable: list[str]
    progress: float
    sub_scores: dict[str, float]
    forgiven: tuple[str, ...] = ()
    measures: dict[str, np.ndarray] = field(default_factory=dict)


def judge(world: World, states: np.ndarray, *, history: bool = True) -> Judged:
    """Everything about the drive ``states`` [41, 11] that needs no other drive. ``history=False``: comfort is not judged in
    v2, as for the human's own row."""
    drive = Drive(world, states)
    collisions, closings = rules.collisions(drive), rules.time_to_collision(drive)
    past = world.scene.past_states if world.version == 2 else np.zeros((0, 11))
    measures = comfort.measures(np.concatenate([past, states]), world.version)
    uncomfortable = comfort.exceeded(measures) if history or world.version == 1 else []
    sub_scores = {
        "no_at_fault_collisions": rules.no_at_fault_collisions(drive, collisions),
        "drivable_area_compliance": rules.drivable_area_compliance(drive),
        "driving_direction_compliance": rules.driving_direction_compliance(drive),
        "time_to_collision": float(not any(event.is_fault for event in closings)),
        "comfort" if world.version == 1 else "history_comfort": float(not uncomfortable),
    }
    if world.version == 2:
        sub_scores["traffic_light_compliance"] = rules.traffic_light_compliance(drive)
        sub_scores["lane_keeping"] = rules.lane_keeping(drive)
    return Judged(
        states=states,
        is_nondrivable=drive.is_nondrivable,
        is_in_multiple_lanes=drive.is_in_multiple_lanes,
        is_oncoming=drive.is_oncoming,
        collisions=collisions,
        time_to_collision=closings,
        uncomfortable=uncomfortable,
        progress=rules.progress(drive),
        sub_scores=sub_scores,
        measures=measures,
    )


def product(version: int, sub_scores: dict[str, float]) -> float:
    return float(np.prod([sub_scores[name] for name in (V1_MULTIPLIERS if version == 1 else V2_MULTIPLIERS)]))


def total(version: int, sub_scores: dict[str, float]) -> float:
    """The product times the weighted mean of those sub-scores that are there."""
    weights = V1_WEIGHTS if version == 1 else V2_WEIGHTS
    present = {name: weight for name, weight in weights.items() if name in sub_scores}
    mean = sum(weight * sub_scores[name] for name, weight in present.items()) / sum(present.values())
    return product(version, sub_scores) * mean


def with_progress(version: int, judged: Judged, other: Judged) -> Judged:
    """``judged`` with its progress measured against the better of itself and ``other``."""
    factor = product(version, judged.sub_scores)
    best = max(judged.progress * factor, other.progress * product(version, other.sub_scores))
    if version == 1:
        value = judged.progress * factor / best if best > 5 else float(factor > 0)
    else:
        value = float(np.clip(judged.progress / best, 0, 1)) if best > 5 else 1.0
    return replace(judged, sub_scores={**judged.sub_scores, "ego_progress": value})


def forgive(judged: Judged, human: Judged) -> Judged:
    """``judged`` without what the human lost too. A half of the human's forgives nothing."""
    lost = tuple(name for name, value in human.sub_scores.items() if value == 0)
    forgiven = {name: 1.0 for name in lost if name in judged.sub_scores}
    return replace(judged, sub_scores={**judged.sub_scores, **forgiven}, forgiven=lost)


def judge_references(scene: ScoringScene, references: np.ndarray) -> tuple[list[Judged], Judged, Judged | None]:
    """The proposals, each with its progress, the planner's own row alone, and the human's row alone where there is one."""
    world = World(scene)
    planner = judge(world, simulate(scene.ego_state, scene.reference))
    found = [judge(world, simulate(scene.ego_state, reference)) for reference in references]
    proposals = [with_progress(world.version, each, planner) for each in found]
    if scene.human_reference is None or world.version == 1:
        return proposals, planner, None
    human = judge(world, simulate(scene.ego_state, scene.human_reference), history=False)
    return proposals, planner, with_progress(world.version, human, human)
