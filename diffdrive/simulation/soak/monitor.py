"""Looks at every trajectory that is handed to the vehicle, and trusts nobody: numpy, a few lines of kinematics, and the truth.

Nothing of the envelope is imported here. What a trajectory asks is worked out from its poses anew, and what may be driven
follows from what the soak itself delivered: a defect of the envelope's own checks must not hide itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """What counts as safe. Above the envelope's defaults by what reading half-second poses in another way may differ."""

    acceleration: float = 6.0
    """m/s^2."""

    braking: float = 10.5
    """m/s^2."""

    lateral_acceleration: float = 8.0
    """m/s^2."""

    curvature: float = 0.25
    """1/m."""

    jerk: float = 36.0
    """m/s^3."""

    backwards_m: float = 0.2
    sideways_m: float = 0.45
    """Metres in one interval."""

    start_aside_m: float = 1.25
    """Metres of the first pose beside the arc that the vehicle is in."""

    moving: float = 1.0
    """m/s from which odometry that repeats itself is wrong for certain."""

    plan_age_s: float = 0.5
    """Without a plan for longer, the vehicle must brake."""

    motion_age_s: float = 0.15
    """Without knowing its motion for longer, it must brake hard."""

    motion_shown_age_s: float = 0.45
    """Likewise, while it moves, where messages go on to say where it was so long ago."""

    shown_age_s: float = 0.75
    """What a plan was made from may show the world as it was so long ago: the limit of frozen inputs and the time of two
    messages."""

    brakes: float = 1.5
    brakes_hard: float = 4.5
    """m/s^2 on average, at least, from the present speed to standstill or the trajectory's end."""

    cycle_s: float = 1.5
    """A decision comes by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What the vehicle was handed in a frame, as plain values."""

    poses: np.ndarray
    """[T, 3]."""

    interval_s: float
    is_new: bool
    """Whether it claims to be planned in this frame."""

    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the soak knows of the frame."""

    now_s: float
    speed: float
    yaw_rate: float
    """As the vehicle was told last."""

    motion_age_s: float
    """Since then."""

    motion_shown_age_s: float
    """Since the newest moment that a message of its motion truly told of."""

    plan_age_s: float
    """Since a planner last answered."""

    shown_age_s: float
    """Since the oldest view that the sensors show."""


def faults_of(handed: Handed, truth: Truth, safe: Safe) -> tuple[str, ...]:
    """Everything that is unsafe about what was handed, a sentence each."""
    late = [f"The decision took {handed.took_s:.2f} s, more than {safe.cycle_s:g} s."] if handed.took_s > safe.cycle_s else []
    poses = np.asarray(handed.poses, dtype=np.float64)
    if poses.ndim != 2 or poses.shape[1] != 3 or not len(poses) or not np.isfinite(poses).all():
        return (*late, "The trajectory is not finite, or has no poses.")
    return (*late, *_kinematics(poses, handed.interval_s, truth, safe), *_duties(poses, handed, truth, safe))


def _kinematics(poses: np.ndarray, dt: float, truth: Truth, safe: Safe) -> Iterator[str]:
    path = np.vstack([np.zeros(3), poses])
    steps = np.diff(path[:, :2], axis=0)
    turns = np.angle(np.exp(1j * np.diff(path[:, 2])))
    middle = path[:-1, 2] + turns / 2
    along = steps[:, 0] * np.cos(middle) + steps[:, 1] * np.sin(middle)
    aside = steps[:, 1] * np.cos(middle) - steps[:, 0] * np.sin(middle)
    speeds = along / dt
    gaps = np.array([dt / 2, *[dt] * (len(poses) - 1)])
    changes = np.diff([truth.speed, *speeds]) / gaps
    jerks = np.diff(changes) / np.diff([dt / 4, *(dt * np.arange(1, len(poses)))])
    turning = np.hypot(*steps.T) > 1.0  # over less, a heading's jitter is no bend
    tightest = np.abs(turns[turning] / along[turning]).max(initial=0.0)
    # The first arc from the vehicle's own motion; its share aside is what no steering could make up for.
    kept = truth.speed * dt
    turn = truth.yaw_rate * dt
    there = kept * np.array([np.sinc(turn / np.pi), np.sin(turn / 2) * np.sinc(turn / 2 / np.pi)])
    start = abs(float((poses[0, :2] - there) @ [-np.sin(turn), np.cos(turn)]))
    for what, value, limit in (
        ("speeds up at {:.1f} m/s^2", changes.max(), safe.acceleration),
        ("brakes at {:.1f} m/s^2", -changes.min(), safe.braking),
        ("has a jerk of {:.0f} m/s^3", np.abs(jerks).max(initial=0.0), safe.jerk),
        ("pulls aside at {:.1f} m/s^2", np.abs(speeds * turns / dt).max(), safe.lateral_acceleration),
        ("bends by {:.2f} 1/m", tightest, safe.curvature),
        ("goes {:.2f} m backwards", -along.min(), safe.backwards_m),
        ("slides {:.2f} m sideways", np.abs(aside).max(), safe.sideways_m),
        ("begins {:.2f} m aside of the vehicle", start, safe.start_aside_m),
    ):
        if value > limit:
            yield f"The trajectory {what.format(float(value))}, more than {limit:g}."


def _duties(poses: np.ndarray, handed: Handed, truth: Truth, safe: Safe) -> Iterator[str]:
    if handed.is_new and truth.shown_age_s > safe.shown_age_s:
        yield f"It was planned from a view that is {truth.shown_age_s:.2f} s old, more than {safe.shown_age_s:g} s."
    if handed.is_new and truth.plan_age_s > 0:
        yield "It claims to be planned in a frame in which no planner answered."
    hard, unknown_s = _motion_is_lost(truth, safe)
    if not hard and (handed.is_new or truth.plan_age_s <= safe.plan_age_s + 1e-6):
        return
    rate = safe.brakes_hard if hard else safe.brakes
    last = float(np.hypot(*(poses[-1, :2] - (poses[-2, :2] if len(poses) > 1 else 0.0)))) / handed.interval_s
    allowed = max(truth.speed - rate * (len(poses) - 0.5) * handed.interval_s, 0.0) + 0.3
    if last > allowed:
        why = f"its motion is unknown for {unknown_s:.2f} s" if hard else f"no plan came for {truth.plan_age_s:.2f} s"
        yield f"The vehicle must brake, because {why}, but still drives {last:.1f} m/s at the end, more than {allowed:.1f} m/s."


def _motion_is_lost(truth: Truth, safe: Safe) -> tuple[bool, float]:
    """Whether the vehicle can no longer know how it moves, and for how many seconds."""
    if truth.motion_age_s > safe.motion_age_s:
        return True, truth.motion_age_s
    return truth.speed > safe.moving and truth.motion_shown_age_s > safe.motion_shown_age_s, truth.motion_shown_age_s
