"""The cascade diffusion decoder: noisy points in, refined trajectories and scores out."""

from diffdrive.model.decoder.decoder import TrajectoryDecoder

__all__ = ["TrajectoryDecoder"]
