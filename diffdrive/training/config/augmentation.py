"""What may happen to a training sample on its way to the network. Nothing happens unless asked for."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from diffdrive.contracts import InputError


class Fill(enum.Enum):
    """What is painted where a picture shows nothing."""

    NOISE = "noise"
    """Random grey levels in each channel."""

    MEAN = "mean"
    """The picture's own mean colour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourConfig:
    """Other light, another camera: how far brightness, contrast, colours and gamma of a picture may go."""

    probability: float = 0.0
    brightness: float = 0.2
    """The factor is drawn from 1 - this .. 1 + this. So are the factors of contrast and saturation."""

    contrast: float = 0.2
    saturation: float = 0.2
    gamma: float = 0.15
    """The exponent is drawn from 1 / (1 + this) .. 1 + this, evenly in its logarithm."""

    hue_deg: float = 5.0
    """Colours turn around the grey axis by up to this much. Red and green signals must keep apart: up to 30."""

    def __post_init__(self) -> None:
        _check(self, 0.0, 1.0, "probability")
        _check(self, 0.0, 0.9, "brightness", "contrast", "saturation")
        _check(self, 0.0, 1.0, "gamma")
        _check(self, 0.0, 30.0, "hue_deg")


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOutConfig:
    """Dirt, glare, a wiper: rectangles of the stitched picture that show nothing (DeVries and Taylor 2017)."""

    probability: float = 0.0
    max_rectangles: int = 2
    """Between one and this many; they may overlap."""

    min_side: float = 0.1
    """Sides are drawn from ``min_side`` .. ``max_side`` of the picture's height."""

    max_side: float = 0.4
    fill: Fill = Fill.NOISE

    def __post_init__(self) -> None:
        _check(self, 0.0, 1.0, "probability", "min_side", "max_side")
        _check(self, 1, 16, "max_rectangles")
        if self.min_side > self.max_side:
            raise InputError(f"CutOutConfig.min_side must not exceed max_side, got {self.min_side} and {self.max_side}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarDropOutConfig:
    """A weaker, dirtier or half-blind LiDAR. The three kinds of loss are drawn apart and may meet in one sample."""

    thinning_probability: float = 0.0
    max_thinning: float = 0.5
    """Every point is lost with a chance that is drawn from 0 .. this for each sample."""

    cells_probability: float = 0.0
    max_cells: float = 0.2
    """Every cell is emptied with a chance that is drawn from 0 .. this for each sample."""

    sector_probability: float = 0.0
    max_sector_deg: float = 60.0
    """Seen from the rear axle an angle of 0 .. this, in any direction, is empty: something blocks the sensor."""

    def __post_init__(self) -> None:
        _check(self, 0.0, 1.0, "thinning_probability", "cells_probability", "sector_probability", "max_thinning", "max_cells")
        _check(self, 0.0, 360.0, "max_sector_deg")


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoJitterConfig:
    """The ego frame turned and moved a little, and everything seen and asked for from there."""

    probability: float = 0.0
    max_yaw_deg: float = 3.0
    """Turned to either side by up to this. Beyond 10 degrees most of an outer picture would come from no camera."""

    max_forward_m: float = 0.25
    """Moved forwards or backwards by up to this. Pictures have no depth, so they are wrong by more the farther the frame
    moves (see ``augmentation.stitched_view``): up to 1."""

    max_left_m: float = 0.25
    """Moved left or right by up to this, up to 1."""

    fill: Fill = Fill.MEAN
    """For what no camera of the picture saw."""

    def __post_init__(self) -> None:
        _check(self, 0.0, 1.0, "probability", "max_forward_m", "max_left_m")
        _check(self, 0.0, 10.0, "max_yaw_deg")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationConfig:
    """All changes of training samples, in the order in which they are made. Validation samples stay as they are."""

    mirror_probability: float = 0.0
    """Chance to mirror a training sample left-right. Mirrored scenes drive on the other side of the road: leave 0 where
    the side matters more than the extra data."""

    ego_jitter: EgoJitterConfig = field(default_factory=EgoJitterConfig)
    lidar_drop_out: LidarDropOutConfig = field(default_factory=LidarDropOutConfig)
    colour: ColourConfig = field(default_factory=ColourConfig)
    cut_out: CutOutConfig = field(default_factory=CutOutConfig)

    def __post_init__(self) -> None:
        _check(self, 0.0, 1.0, "mirror_probability")


def _check(config: Any, low: float, high: float, *names: str) -> None:
    """Raise ``InputError`` for a field outside ``low`` .. ``high``; NaN is outside."""
    for name in names:
        value = getattr(config, name)
        if not low <= value <= high:
            raise InputError(f"{type(config).__name__}.{name} must lie in [{low:g}, {high:g}], got {value}.")
