"""What turns a perceived scene into trajectories: the cascade diffusion decoder, and the ones it is compared with."""

from diffdrive.model.decoder.decoder import TrajectoryDecoder
from diffdrive.model.decoder.regression import RegressionDecoder
from diffdrive.model.decoder.unet import UNetDecoder

AnyDecoder = TrajectoryDecoder | RegressionDecoder | UNetDecoder

__all__ = ["AnyDecoder", "RegressionDecoder", "TrajectoryDecoder", "UNetDecoder"]
