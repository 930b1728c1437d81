"""What may happen to a training sample on its way to the network."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationConfig:
    """Nothing happens unless asked for."""

    mirror_probability: float = 0.0
    """Chance to mirror a training sample left-right. Mirrored scenes drive on the other side of the road: leave 0 where
    the side matters more than the extra data."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.mirror_probability <= 1.0:
            raise InputError(f"AugmentationConfig.mirror_probability must lie in [0, 1], got {self.mirror_probability}.")
