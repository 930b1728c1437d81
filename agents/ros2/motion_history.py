"""The ego history, put together from odometry and acceleration messages that come when they come.

A cycle's messages go in, one reading of the motion comes out. Between messages everything is interpolated; over a gap
nothing is: the cycle in which a gap ends, or in which time or frame jump, gets a reading with a fault, and the history begins
anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import to_local, wrap_angle
from diffdrive.runtime.envelope import EgoMotion, Reading, motion_reading
from diffdrive.scene import EgoState

from .config import HistoryConfig
from .conversion.odometry import AccelerationSample, OdometrySample

_SECOND_US = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionHistory:
    """What is known of the motion, oldest first, without gaps."""

    odometry: tuple[OdometrySample, ...] = ()
    accelerations: tuple[AccelerationSample, ...] = ()

    @property
    def newest(self) -> OdometrySample | None:
        """Where the vehicle was seen last."""
        return self.odometry[-1] if self.odometry else None


def receive_motion(
    history: MotionHistory,
    odometry: Sequence[Reading[OdometrySample]],
    accelerations: Sequence[Reading[AccelerationSample]],
    now_us: int,
    config: HistoryConfig,
) -> tuple[MotionHistory, Reading[EgoMotion] | None]:
    """Take a cycle's messages in, in the order of their arrival. Returns what is known now, and this cycle's reading, if any.

    ``now_us`` is the time of the cycle on the clock that stamps the messages. Messages that newer ones overtook are left out.
    One that is not usable counts only where no usable one came.
    """
    known = list(history.odometry)
    before_us = known[-1].stamp_us if known else None
    broken = ""
    if before_us is not None and before_us - now_us > config.max_gap_s * _SECOND_US:
        broken, known = f"Time went back by {(before_us - now_us) / _SECOND_US:.3f} s.", []
    left_out: Reading[OdometrySample] | None = None
    for reading in odometry:
        sample = reading.value
        if sample is None:
            left_out = reading
            continue
        step_s = (sample.stamp_us - known[-1].stamp_us) / _SECOND_US if known else config.max_gap_s
        if known and sample.frame_id != known[-1].frame_id:
            broken = f"The odometry's frame changed from '{known[-1].frame_id}' to '{sample.frame_id}'."
            known = [sample]
        elif step_s > config.max_gap_s:
            broken = f"Odometry is missing for {step_s:.3f} s, more than {config.max_gap_s:g} s."
            known = [sample]
        elif step_s < 0:
            left_out = Reading(stamp_us=sample.stamp_us, value=None, fault="Odometry came late, after newer ones.")
        elif step_s > 0:
            known.append(sample)
    pushed = _merged(history.accelerations, accelerations)
    kept = _recent(MotionHistory(odometry=tuple(known), accelerations=pushed), config)
    return kept, _reading(kept, before_us, broken, left_out, config)


def _merged(
    known: tuple[AccelerationSample, ...], readings: Sequence[Reading[AccelerationSample]]
) -> tuple[AccelerationSample, ...]:
    by_time = {sample.stamp_us: sample for sample in known}
    by_time |= {reading.stamp_us: reading.value for reading in readings if reading.value is not None}
    return tuple(by_time[stamp] for stamp in sorted(by_time))


def _recent(history: MotionHistory, config: HistoryConfig) -> MotionHistory:
    if history.newest is None:
        return MotionHistory(accelerations=history.accelerations[-1:])
    reach_us = (config.duration_s + config.max_gap_s) * _SECOND_US
    newest_us = history.newest.stamp_us
    return MotionHistory(
        odometry=tuple(each for each in history.odometry if newest_us - each.stamp_us <= reach_us),
        # Those of a clock that was set back lie far ahead and would never grow old.
        accelerations=tuple(each for each in history.accelerations if abs(newest_us - each.stamp_us) <= reach_us),
    )


def _reading(
    history: MotionHistory,
    before_us: int | None,
    broken: str,
    left_out: Reading[OdometrySample] | None,
    config: HistoryConfig,
) -> Reading[EgoMotion] | None:
    newest = history.newest
    if newest is not None and broken:
        return Reading(stamp_us=newest.stamp_us, value=None, fault=broken)
    if newest is not None and newest.stamp_us != before_us:
        return motion_reading(lambda: _motion(history, newest, config), newest.stamp_us)
    if left_out is not None:
        return Reading(stamp_us=left_out.stamp_us, value=None, fault=left_out.fault)
    return None


def _motion(history: MotionHistory, newest: OdometrySample, config: HistoryConfig) -> EgoMotion:
    steps = int(config.duration_s / config.interval_s + 1e-6)
    back_us = np.arange(steps, -1, -1) * round(config.interval_s * _SECOND_US)
    times = newest.stamp_us - back_us
    stamps = np.array([each.stamp_us for each in history.odometry])
    poses = _between(times, stamps, np.array([each.pose for each in history.odometry]), headings=True)
    velocities = _between(times, stamps, np.array([each.velocity for each in history.odometry]))
    rates = np.interp(times, stamps, [each.yaw_rate for each in history.odometry])
    pushed_us = np.array([each.stamp_us for each in history.accelerations])
    if not len(pushed_us) or not _reached(times[-1:], pushed_us, config)[0]:
        last = f"the last is {(newest.stamp_us - pushed_us[-1]) / _SECOND_US:.3f} s old" if len(pushed_us) else "none came yet"
        raise InputError(f"There is no acceleration within {config.max_gap_s:g} s of the odometry: {last}.")
    accelerations = _between(times, pushed_us, np.array([each.acceleration for each in history.accelerations]))
    is_known = (times >= stamps[0]) & _reached(times, pushed_us, config)
    first = len(times) - int(np.argmin(np.append(is_known[::-1], False)))
    local = to_local(poses, newest.pose)
    return EgoMotion(
        history=tuple(
            EgoState(
                timestamp_us=int(times[index]),
                pose=local[index],
                velocity=velocities[index],
                acceleration=accelerations[index],
                yaw_rate=float(rates[index]),
            )
            for index in range(first, len(times))
        ),
        odometry_pose=newest.pose,
    )


def _between(times: np.ndarray, stamps: np.ndarray, values: np.ndarray, *, headings: bool = False) -> np.ndarray:
    """``values`` [K, C] of ``stamps`` [K] at ``times`` [T], along straight lines; the last column turns the shorter way."""
    columns = list(values.T)
    if headings:
        columns[-1] = np.unwrap(columns[-1])
    mixed = np.stack([np.interp(times, stamps, column) for column in columns], axis=-1)
    if headings:
        mixed[:, -1] = wrap_angle(mixed[:, -1])
    return mixed


def _reached(times: np.ndarray, stamps: np.ndarray, config: HistoryConfig) -> np.ndarray:
    """[T] whether something was measured near each time."""
    return np.abs(times[:, None] - stamps[None, :]).min(axis=1) <= config.max_gap_s * _SECOND_US
