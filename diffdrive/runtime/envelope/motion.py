"""What evenly spaced poses ask of a vehicle that drives through them: speeds, accelerations, curvatures, interval by interval.

Every interval is read as an arc of a circle, driven at the speed that its length and duration give. That speed is the
vehicle's in the middle of the interval; rates are taken between the middles, the first one from the present state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError
from diffdrive.runtime.envelope.arc_path import arcs_between

SHORTEST_WAY_M = 0.25
"""Within a shorter way a turn is divided by this length: at a crawl, jitter of headings is no curvature."""

CRAWL_MPS = 1.0
"""Below this speed a yaw rate tells no curvature, and an acceleration nothing of the next moment: standing ends braking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """One value for each interval; arrays [..., T], float64."""

    speeds: np.ndarray
    """m/s along the vehicle's own axis, negative backwards."""

    accelerations: np.ndarray
    """m/s^2 along the vehicle's own axis: from the interval before, first from the present speed."""

    jerks: np.ndarray
    """m/s^3 along the vehicle's own axis; first from the present acceleration."""

    curvatures: np.ndarray
    """1/m, to the left positive."""

    lateral_accelerations: np.ndarray
    """m/s^2: squared speed times curvature."""

    steering_rates: np.ndarray
    """rad/s of the front wheels; first from the present curvature."""

    slips: np.ndarray
    """Metres that the vehicle would move sideways, across the mean of its headings: wheels roll, so none is right."""

    @classmethod
    def through(
        cls,
        poses: np.ndarray,
        interval_s: float,
        *,
        speed: float,
        acceleration: float,
        yaw_rate: float,
        wheel_base: float,
    ) -> Motion:
        """Of rear-axle poses [..., T, 3] in the frame of the present pose, ``interval_s`` seconds apart.

        ``speed`` (m/s), ``acceleration`` (m/s^2) along the vehicle's axis and ``yaw_rate`` (rad/s) are the present ones,
        ``wheel_base`` is in metres. Raises ``InputError`` for other shapes, values that are not finite and no interval.
        """
        Axes("Motion.through").check("poses", poses, "... T 3", finite=True)
        if not interval_s > 0:
            raise InputError(f"Motion.through needs a positive interval_s, got {interval_s}.")
        path = np.concatenate([np.zeros_like(poses[..., :1, :]), poses], axis=-2).astype(np.float64)
        ways, turns, slips = arcs_between(path)
        speeds = ways / interval_s
        middle_s = (np.arange(poses.shape[-2]) + 0.5) * interval_s
        accelerations, between_s = _rates(speeds, middle_s, speed)
        curvatures = turns / np.copysign(np.maximum(np.abs(ways), SHORTEST_WAY_M), ways)
        steerings = np.arctan(wheel_base * curvatures)
        crawls = abs(speed) < CRAWL_MPS
        steering = steerings[..., :1] if crawls else np.arctan(wheel_base * yaw_rate / speed)
        known = accelerations[..., :1] if crawls else acceleration
        return cls(
            speeds=speeds,
            accelerations=accelerations,
            jerks=_rates(accelerations, between_s, known)[0],
            curvatures=curvatures,
            lateral_accelerations=speeds**2 * curvatures,
            steering_rates=_rates(steerings, middle_s, steering)[0],
            slips=slips,
        )


def _rates(values: np.ndarray, times_s: np.ndarray, present: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rates of ``values`` [..., T] known at ``times_s`` [T], which were ``present`` at 0, and when those rates hold [T]."""
    before = np.broadcast_to(np.asarray(present, dtype=np.float64), (*values.shape[:-1], 1))
    times = np.concatenate([[0.0], times_s])
    return np.diff(np.concatenate([before, values], axis=-1), axis=-1) / np.diff(times), (times[1:] + times[:-1]) / 2
