"""Name what the ego does: the rules of ``world.manoeuvres``, told from a scene and its map instead of a simulated track."""

from __future__ import annotations

import itertools

import numpy as np

from diffdrive.benchmark.tags.drive import Drive
from diffdrive.benchmark.tags.lanes import LaneNet, LaneStep
from diffdrive.world.manoeuvres import Manoeuvre

TURN_RAD = 0.5
STANDS_M = 1.0
SLOW_MPS = 0.7
FAST_MPS = 2.0


def name_manoeuvre(drive: Drive, net: LaneNet, steps: tuple[LaneStep, ...]) -> Manoeuvre:
    """The first rule that holds for the next four seconds; ``steps`` are the lanes of the drive."""
    travel = float(np.hypot(*np.diff(drive.poses[:, :2], axis=0).T).sum())
    turn = float(drive.turn[-1])
    before, after = float(drive.speeds[0]), float(drive.speeds[-1])
    rules = (
        (travel < STANDS_M, Manoeuvre.STANDING),
        (_is_round(net, steps), Manoeuvre.ROUNDABOUT),
        (_merges(net, steps), Manoeuvre.MERGE),
        (turn > TURN_RAD, Manoeuvre.LEFT),
        (turn < -TURN_RAD, Manoeuvre.RIGHT),
        (any(step.changed_from is not None for step in steps), Manoeuvre.LANE_CHANGE),
        (before < SLOW_MPS and after > FAST_MPS, Manoeuvre.LAUNCH),
        (before > FAST_MPS and after < SLOW_MPS, Manoeuvre.STOP),
        (after - before > FAST_MPS, Manoeuvre.ACCELERATE),
        (before - after > FAST_MPS, Manoeuvre.DECELERATE),
    )
    return next((name for holds, name in rules if holds), Manoeuvre.CRUISE)


def _is_round(net: LaneNet, steps: tuple[LaneStep, ...]) -> bool:
    driven = {step.lane.lane_id: step.lane for step in steps}
    return any(net.is_ring(lane) for lane in driven.values())


def _merges(net: LaneNet, steps: tuple[LaneStep, ...]) -> bool:
    """Out of a lane that ends, or along one that runs into another."""
    for before, now in itertools.pairwise(steps):
        if now.changed_from is not None and not now.changed_from.successor_ids:
            return True
        if now.lane is not before.lane and now.changed_from is None and net.is_joined(now.lane):
            return True
    return False
