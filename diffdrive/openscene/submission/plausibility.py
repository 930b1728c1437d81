"""Find plans that cannot be meant: degrees, other frames, sides mixed up, one answer to everything.

The frame is the ego's at the present: rear axle, x forward, y left, heading counter-clockwise in radians.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from diffdrive.geometry import wrap_angle
from diffdrive.openscene.submission.finding import Finding, error, warning

MAX_SPEED_MPS = 50.0
_MOVING_MPS = 2.0
_MAX_SLIP = np.pi / 4
"""How far a moving car's heading may be from its course, mid step."""

_COURSE_RANGE = (0.05, 1.2)
"""Courses (rad) that say which unit and sign headings have: turned enough to tell, and far from where angles wrap."""

_MIN_STEPS = 10
"""So many such steps before anything is concluded of the whole file."""


def check_plausibility(tokens: Sequence[Any], poses: np.ndarray, interval_s: float) -> Iterator[Finding]:
    """What cannot be meant in plans of one sampling. ``poses``: [N, T, 3], finite."""
    # Far beyond the earth all is equally wrong, and nothing overflows.
    poses = poses.clip(-1e9, 1e9)
    steps = np.diff(poses[..., :2], axis=1, prepend=0.0)
    speeds = np.hypot(steps[..., 0], steps[..., 1]) / interval_s
    yield from _check_positions(tokens, speeds, interval_s)
    yield from _check_headings(tokens, poses[..., 2], steps, speeds > _MOVING_MPS)
    yield from _check_repeats(tokens, poses)


def _check_positions(tokens: Sequence[Any], speeds: np.ndarray, interval_s: float) -> Iterator[Finding]:
    beyond = speeds > MAX_SPEED_MPS
    far, fast = beyond[:, 0], np.any(beyond[:, 1:], axis=1)
    if far.any():
        yield error(
            f"the first pose is up to {speeds[:, 0].max() * interval_s:.4g} m from the ego, out of reach in {interval_s:g} s. "
            "Poses are in the ego's frame, in metres: rear axle at the origin, x forward, y left.",
            _chosen(tokens, far),
        )
    if fast.any():
        yield warning(
            f"poses follow each other at up to {speeds[:, 1:].max():.4g} m/s, beyond {MAX_SPEED_MPS:g}.", _chosen(tokens, fast)
        )


def _check_headings(tokens: Sequence[Any], headings: np.ndarray, steps: np.ndarray, moving: np.ndarray) -> Iterator[Finding]:
    course = np.arctan2(steps[..., 1], steps[..., 0])
    # The car's heading half way through a step is what its course has to match.
    middle = (headings + np.concatenate([np.zeros((len(headings), 1)), headings[:, :-1]], axis=1)) / 2
    unit = _unit(middle, course, moving)
    if unit is not None:
        yield unit
        return
    outside = (np.abs(headings) > np.pi + 1e-6).any(axis=1)
    if outside.any():
        yield warning(
            f"headings reach {np.abs(headings).max():.4g}, beyond pi. They are radians in [-pi, pi]; are these degrees?",
            _chosen(tokens, outside),
        )
    slipping = moving & (np.abs(wrap_angle(middle - course)) > _MAX_SLIP)
    aside = slipping.sum(axis=1) * 2 > moving.sum(axis=1)
    if aside.any():
        yield warning(
            "the car moves sideways or backwards, more than 45 degrees off its heading, in most of its steps. "
            "x points forward, y left, and headings turn from x to y.",
            _chosen(tokens, aside),
        )


def _unit(headings: np.ndarray, course: np.ndarray, moving: np.ndarray) -> Finding | None:
    """What headings are in, if not in radians and counter-clockwise: their ratio to the course where the car turns."""
    size = np.abs(course)
    telling = moving & (size > _COURSE_RANGE[0]) & (size < _COURSE_RANGE[1])
    if telling.sum() < _MIN_STEPS:
        return None
    ratio = float(np.median(headings[telling] / course[telling]))
    seen = f"(heading over course is {ratio:.3g} in the median of {int(telling.sum())} steps in turns)"
    if ratio > 20:
        return error(f"headings are in degrees; they must be radians {seen}.")
    if ratio < -0.5:
        return warning(
            f"headings turn the other way than the positions: y points left and headings are counter-clockwise {seen}."
        )
    if abs(ratio) < 0.05:
        return warning(f"headings stay near zero where the car turns {seen}.")
    return None


def _check_repeats(tokens: Sequence[Any], poses: np.ndarray) -> Iterator[Finding]:
    """No two scenes have equal plans to the last bit, unless a fallback or a constant answered."""
    if len(tokens) < 2:
        return
    flat = poses.reshape(len(poses), -1)
    distinct, group, counts = np.unique(flat, axis=0, return_inverse=True, return_counts=True)
    group, most = group.reshape(-1), int(counts.argmax())
    what = "all zeros" if not distinct[most].any() else f"the last pose is {np.round(distinct[most][-3:], 2).tolist()}"
    if len(distinct) == 1:
        yield error(
            f"every scene has the same trajectory ({what}). Did the agent load its weights, or fail in every scene?", tokens
        )
    elif counts[most] > 1:
        yield warning(
            f"scenes share one trajectory ({what}); repeated plans come from a fallback or a standing car.",
            _chosen(tokens, group == most),
        )


def _chosen(tokens: Sequence[Any], mask: np.ndarray) -> list[Any]:
    return [token for token, chosen in zip(tokens, mask, strict=True) if chosen]
