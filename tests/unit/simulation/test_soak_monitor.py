"""The monitor: what is unsafe is seen, what is safe is not, and it borrows no eyes."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driven_plans import arc

import diffdrive.simulation.soak.monitor as monitor
from diffdrive.runtime.fallback import braking_ways
from diffdrive.simulation.soak.monitor import Handed, Safe, Truth, faults_of

SPEED = 8.0
TRUTH = Truth(
    now_s=5.0,
    speed=SPEED,
    yaw_rate=0.0,
    motion_age_s=0.0,
    motion_shown_age_s=0.0,
    plan_age_s=0.0,
    shown_age_s=0.0,
)
LATE = replace(TRUTH, plan_age_s=0.6)
BLIND = replace(TRUTH, motion_age_s=0.2, plan_age_s=0.2)


def seen(poses: np.ndarray, truth: Truth = TRUTH, *, is_new: bool = True, took_s: float = 0.1) -> str:
    return " ".join(faults_of(Handed(poses=poses, interval_s=0.5, is_new=is_new, took_s=took_s), truth, Safe()))


def straight(ways: np.ndarray) -> np.ndarray:
    return np.stack([ways, 0 * ways, 0 * ways], axis=-1)


def stop(deceleration: float, jerk: float) -> np.ndarray:
    return straight(braking_ways(SPEED, 0.0, 8, 0.5, deceleration=deceleration, jerk=jerk))


def test_it_imports_nothing_of_what_it_watches() -> None:
    tree = ast.parse(Path(str(monitor.__file__)).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"__future__", "collections.abc", "dataclasses", "numpy"}


@pytest.mark.parametrize("curvature", [0.0, 0.03, -0.08])
def test_a_good_plan_is_good(curvature: float) -> None:
    assert seen(arc(curvature), replace(TRUTH, yaw_rate=curvature * SPEED)) == ""


STEADY = np.arange(1, 9) * 4.0


@pytest.mark.parametrize(
    ("poses", "words"),
    [
        (straight(STEADY) + [30.0, 0.0, 0.0], "speeds up"),
        (straight(STEADY) + [0.0, 3.0, 0.0], "begins 3.00 m aside"),
        (straight(np.where(np.arange(8) < 3, STEADY, STEADY[2])), "brakes"),
        (straight(-0.5 * np.arange(1, 9)), "backwards"),
        (np.stack([STEADY, 0 * STEADY, np.linspace(0, 5, 8)], axis=-1), "slides"),
        (arc(0.3), "bends by 0.32"),
        (arc(0.14), "pulls aside"),
        (straight(np.cumsum(4.0 + np.array([0, 1.2, 0, -1.2, 0, 1.2, 0, -1.2]) * 2)), "jerk"),
        (np.full((8, 3), np.nan), "not finite"),
        (np.zeros((0, 3)), "has no poses"),
    ],
)
def test_what_no_vehicle_could_do_is_seen(poses: np.ndarray, words: str) -> None:
    assert words in seen(poses)


def test_without_a_plan_it_must_brake() -> None:
    assert "must brake, because no plan came for 0.60 s" in seen(arc(), LATE, is_new=False)
    assert seen(arc(), replace(LATE, plan_age_s=0.5), is_new=False) == ""
    assert seen(stop(2.0, 2.0), LATE, is_new=False) == ""


def test_without_motion_it_must_brake_hard() -> None:
    fast = replace(BLIND, speed=20.0)
    comfortable, hard = (straight(braking_ways(20.0, 0.0, 8, 0.5, deceleration=rate, jerk=2 * rate)) for rate in (2.0, 6.0))
    assert "its motion is unknown for 0.20 s" in seen(comfortable, fast, is_new=False)
    assert seen(hard, fast, is_new=False) == ""
    assert "must brake" in seen(arc(), BLIND, is_new=False)


def test_a_plan_of_an_old_view_and_a_plan_of_nobody_are_seen() -> None:
    assert "planned from a view that is 0.80 s old" in seen(arc(), replace(TRUTH, shown_age_s=0.8))
    assert "no planner answered" in seen(arc(), replace(TRUTH, plan_age_s=0.1))
    assert "took 2.00 s" in seen(arc(), took_s=2.0)
