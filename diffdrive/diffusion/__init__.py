"""Truncated diffusion as arithmetic: a noise schedule, a coordinate box, and tables of denoising jumps. No network."""

from diffdrive.diffusion.normalizer import BoxNormalizer
from diffdrive.diffusion.sampler import CLEAN, JumpTable, step
from diffdrive.diffusion.schedule import NoiseSchedule
from diffdrive.diffusion.start import noise_to_start_at
from diffdrive.diffusion.tables import DDIM, JUMP_TABLES, REFERENCE, ddim_table, noise_table, reference_table

__all__ = [
    "CLEAN",
    "DDIM",
    "JUMP_TABLES",
    "REFERENCE",
    "BoxNormalizer",
    "JumpTable",
    "NoiseSchedule",
    "ddim_table",
    "noise_table",
    "noise_to_start_at",
    "reference_table",
    "step",
]
