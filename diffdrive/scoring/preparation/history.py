"""The ego's past at 10 Hz, for comfort that looks back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdrive.scene import EgoState
from diffdrive.vehicle.state import STATE_SIZE

_STEP_US = 100_000
_FRAME_US = 500_000
_FRAMES = 3


def initial_state(state: EgoState) -> np.ndarray:
    """[11] a logged state as the simulation begins with it: steering and yaw rate count as zero."""
    row = np.zeros(STATE_SIZE)
    row[:7] = np.concatenate([state.pose, state.velocity, state.acceleration])
    return row


def past_states(states: Sequence[EgoState], *, corrected: bool = False) -> np.ndarray:
    """[H, 11] states before t = 0, which is the last of ``states`` (strictly increasing in time).

    From the frames at about -1.5, -1, -0.5 and 0 s, whatever else ``states`` holds. The devkit samples every 0.1 s from the
    first of them and drops the last sample: 14 or 15 samples, depending on microseconds, that end 0.2 or 0.1 s before t = 0
    and are then treated as if they ended 0.1 s before it. ``corrected`` samples at -0.1, -0.2, ... back to the first frame.
    """
    frames = _half_second_frames(states)
    times = np.array([state.timestamp_us for state in frames], dtype=np.int64)
    first, now = int(times[0]), int(times[-1])
    queries = np.arange(now - _STEP_US, first - 1, -_STEP_US)[::-1] if corrected else np.arange(first, now, _STEP_US)[:-1]
    known = np.stack([initial_state(state) for state in frames])
    known[:, 2] = np.unwrap(known[:, 2])
    elapsed = (times - first).astype(np.float64)
    return np.column_stack([np.interp((queries - first).astype(np.float64), elapsed, column) for column in known.T])


def _half_second_frames(states: Sequence[EgoState]) -> list[EgoState]:
    times = np.array([state.timestamp_us for state in states], dtype=np.int64)
    wanted = times[-1] - np.arange(_FRAMES, -1, -1) * _FRAME_US
    nearest = [int(np.argmin(np.abs(times - time))) for time in wanted]
    return [states[i] for i in dict.fromkeys(nearest)]
