"""What a drive did wrong, and what that costs."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from diffdrive.contracts import InputError


class InfractionKind(enum.Enum):
    """Mistakes that are counted one by one."""

    COLLISION_PEDESTRIAN = "collision_pedestrian"
    COLLISION_VEHICLE = "collision_vehicle"
    """Cars, motorcycles and bicycles."""

    COLLISION_STATIC = "collision_static"
    """Cones, barriers, signs and other things."""

    RED_LIGHT = "red_light"

    @property
    def is_collision(self) -> bool:
        return self is not InfractionKind.RED_LIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Infraction:
    """One mistake."""

    kind: InfractionKind
    time_s: float
    """Since the drive began."""

    token: str
    """Who was hit, or the lane whose light was red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyConfig:
    """Factors of the driving score: those of the CARLA leaderboard, whose score this is."""

    collision_pedestrian: float = 0.50
    collision_vehicle: float = 0.60
    collision_static: float = 0.65
    red_light: float = 0.70

    def __post_init__(self) -> None:
        for kind in InfractionKind:
            if not 0.0 <= self.factor(kind) <= 1.0:
                raise InputError(f"PenaltyConfig.{kind.value} is a factor between 0 and 1, got {self.factor(kind)}.")

    def factor(self, kind: InfractionKind) -> float:
        """By which each infraction of a kind multiplies the score."""
        return float(getattr(self, kind.value))


def driving_score(
    route_completion: float,
    infractions: Iterable[Infraction],
    off_road_share: float,
    wrong_way_share: float,
    penalties: PenaltyConfig,
) -> float:
    """0..1: route completion times a factor for each infraction, times what of the way was driven on the road and in a lane
    of the route's direction. All arguments are shares 0..1."""
    score = route_completion * (1.0 - off_road_share) * (1.0 - wrong_way_share)
    for infraction in infractions:
        score *= penalties.factor(infraction.kind)
    return score
