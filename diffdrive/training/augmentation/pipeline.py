"""All changes of a training batch, one after the other."""

from __future__ import annotations

from typing import Protocol

import torch

from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.augmentation.cut_out import cut_out_some
from diffdrive.training.augmentation.ego_jitter import jitter_ego_some
from diffdrive.training.augmentation.image_colour import recolour_some
from diffdrive.training.augmentation.lidar_drop_out import drop_lidar_some
from diffdrive.training.augmentation.mirroring import mirror_some
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config.augmentation import AugmentationConfig


class Layouts(Protocol):
    """Size and meaning of the batch's tensors: a ``PlannerConfig`` has it, and so has a ``CacheSpec``."""

    @property
    def inputs(self) -> InputLayout: ...

    @property
    def targets(self) -> TargetLayout: ...


@torch.no_grad()
def augment(batch: PackedBatch, config: AugmentationConfig, layouts: Layouts, generator: torch.Generator) -> PackedBatch:
    """``batch`` as training sees it: a function of the arguments, on the batch's device. ``generator`` lives on the CPU.

    The mirror and the moved frame come first, as they change what is where; then what sensors make of it.
    """
    # Under mixed precision, half a mantissa would be too little for coordinates of pixels.
    with torch.autocast(batch.camera.device.type, enabled=False):
        batch = mirror_some(batch, config.mirror_probability, generator)
        batch = jitter_ego_some(batch, config.ego_jitter, layouts.inputs, layouts.targets, generator)
        batch = drop_lidar_some(batch, config.lidar_drop_out, generator)
        batch = recolour_some(batch, config.colour, generator)
        return cut_out_some(batch, config.cut_out, generator)
