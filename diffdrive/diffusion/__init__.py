"""Truncated diffusion as arithmetic: a noise schedule, a coordinate box, and tables of denoising jumps. No network."""

from diffdrive.diffusion.normalizer import BoxNormalizer
from diffdrive.diffusion.sampler import CLEAN, DDIM, JUMP_TABLES, REFERENCE, JumpTable, step
from diffdrive.diffusion.schedule import NoiseSchedule

__all__ = ["CLEAN", "DDIM", "JUMP_TABLES", "REFERENCE", "BoxNormalizer", "JumpTable", "NoiseSchedule", "step"]
