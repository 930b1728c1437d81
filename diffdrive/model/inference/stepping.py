"""The sampler between the passes, with everything constant computed once: ``PlannerModel.denoise`` around its decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffdrive.diffusion import JumpTable, NoiseSchedule
from diffdrive.model.config import PlannerConfig


class Stepping(nn.Module):
    """From noise to the first points, and from one pass's answer to the next pass's points, for one jump table."""

    anchors: Tensor
    normal_anchors: Tensor
    half_box: Tensor
    box_centre: Tensor

    def __init__(self, anchors: Tensor, config: PlannerConfig, jumps: JumpTable) -> None:
        super().__init__()
        self.has_anchors, self.offsets_from_anchors = config.has_anchors, config.offsets_from_anchors
        self.clips_prediction = jumps.clips_prediction
        # Looked up once: a compiler cannot trace through the schedule's table.
        self.first = config.schedule.signal_and_noise(jumps.start_level)
        self.weights = tuple(_jump_weights(config.schedule, *jump) for jump in jumps.jumps[:-1])
        box = config.normalizer
        low, high = torch.tensor([box.x_min_m, box.y_min_m]).double(), torch.tensor([box.x_max_m, box.y_max_m]).double()
        self.register_buffer("half_box", ((high - low) / 2).float())
        self.register_buffer("box_centre", ((high + low) / 2).float())
        self.register_buffer("anchors", anchors.detach().clone())
        self.register_buffer("normal_anchors", box.normalize(anchors.detach()))

    @property
    def last(self) -> int:
        """Index of the last pass."""
        return len(self.weights)

    def start(self, noise: Tensor) -> Tensor:
        """Box coordinates [B, M, T, 2] before the first pass."""
        if not self.has_anchors:
            return noise
        signal, spread = self.first
        return signal * self.normal_anchors + spread * noise

    def points(self, x_t: Tensor) -> Tensor:
        """``PlannerModel.points``."""
        return (x_t.clamp(-1.0, 1.0) if self.has_anchors else x_t) * self.half_box + self.box_centre

    def origins(self, points: Tensor) -> Tensor | None:
        """What the first offsets are added to, as ``points``; None where the configuration does not say the anchors."""
        return self.anchors.expand_as(points) if self.offsets_from_anchors and self.has_anchors else None

    def next(self, x_t: Tensor, points: Tensor, step: int) -> Tensor:
        """``diffusion.step`` after pass ``step``, which answered ``points`` in metres, with its constants multiplied out."""
        clean_weight, noise_weight, signal_from = self.weights[step]
        x0_hat = (points - self.box_centre) / self.half_box
        clean = x0_hat.clamp(-1.0, 1.0) if self.clips_prediction else x0_hat
        return clean_weight * clean + noise_weight * (x_t - signal_from * x0_hat)


def _jump_weights(schedule: NoiseSchedule, from_level: int, to_level: int) -> tuple[float, float, float]:
    """Of the clean prediction, of the predicted noise, and the signal that the noise prediction takes away."""
    signal_from, noise_from = schedule.signal_and_noise(from_level)
    signal_to, noise_to = schedule.signal_and_noise(to_level)
    return signal_to, noise_to / noise_from, signal_from
