"""What kind of town: every choice that a seed fills in."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.contracts import InputError

_SHARES = (
    "arterial_curve",
    "gap_share",
    "signal_share",
    "stop_share",
    "roundabout_share",
    "one_way_share",
    "expressway_share",
    "bike_lane_share",
    "parking_share",
    "parking_occupancy",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TownConfig:
    """The kind of town. Lengths in metres, speeds in m/s, shares between 0 and 1."""

    nodes_per_side: int = 4
    """Junctions along each side of the grid."""

    spacing_min: float = 115.0
    spacing_max: float = 165.0
    """Distance between neighbouring junctions, one draw per row and per column."""

    jitter: float = 16.0
    """How far a junction may lie off its grid point, along each axis."""

    bend: float = 6.0
    """Standard deviation of the bow of a minor street at its middle."""

    arterials_per_axis: int = 1
    """Rows (and columns) of the grid that are wide, fast roads with priority."""

    arterial_curve: float = 0.2
    """How far an arterial swings to each side of a straight line, as a share of ``spacing_min``."""

    gap_share: float = 0.15
    """Share of the minor streets that are left out where every junction keeps at least two streets."""

    signal_share: float = 0.35
    """Share of the junctions away from the arterials that get traffic lights."""

    stop_share: float = 0.2
    """Share of the remaining junctions that are all-way stops."""

    roundabout_share: float = 0.2
    """Share of the junctions of three or more minor streets that are roundabouts; at least one where it is not zero."""

    one_way_share: float = 0.2
    """Share of the minor streets that go one way, as far as every street can still be reached from every other."""

    expressway_share: float = 0.75
    """Probability that an expressway runs along one side of the town. Towns less than ``EXPRESSWAY_SIDE_M`` wide have none."""

    bike_lane_share: float = 0.3
    """Share of the streets with bicycle lanes; half as many again of the arterials."""

    parking_share: float = 0.85
    """Share of the minor streets with parking strips."""

    parking_occupancy: float = 0.5
    """Share of the parking spaces that are taken."""

    cycle_s: int = 60
    """Cycle of the traffic lights, seconds."""

    def __post_init__(self) -> None:
        if self.nodes_per_side < 3:
            raise InputError(f"TownConfig.nodes_per_side must be at least 3, got {self.nodes_per_side}.")
        if not 60.0 <= self.spacing_min <= self.spacing_max:
            raise InputError(
                f"TownConfig needs 60 <= spacing_min <= spacing_max metres, got {self.spacing_min} and {self.spacing_max}."
            )
        if not 0 <= self.arterials_per_axis < self.nodes_per_side:
            raise InputError(f"TownConfig.arterials_per_axis must be below nodes_per_side, got {self.arterials_per_axis}.")
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"TownConfig.{name} is a share between 0 and 1, got {getattr(self, name)}.")
