"""Begin elsewhere than at the anchors, with a network that adds noise to anchors: choose the noise so that it gets there."""

from __future__ import annotations

from torch import Tensor

from diffdrive.diffusion.schedule import NoiseSchedule


def noise_to_start_at(start: Tensor, anchors: Tensor | None, level: int, schedule: NoiseSchedule) -> Tensor:
    """The noise [..., T, 2] with which ``anchors`` become ``start`` (box coordinates, both [..., T, 2]) at ``level``.

    Without anchors the noise is the start itself. It undoes ``NoiseSchedule.add_noise``; it is standard normal no longer.
    """
    if anchors is None:
        return start
    signal, spread = schedule.signal_and_noise(level)
    return (start - signal * anchors) / spread
