"""A seed becomes the plan of a town: junctions on a jittered grid, curved streets between them, and how each is built."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError

Node = tuple[int, int]


class StreetKind(enum.Enum):
    """What a street is for; the value is the type of its edges in SUMO."""

    MINOR = "minor"
    ARTERIAL = "arterial"
    RING = "ring"
    EXPRESSWAY = "expressway"
    RAMP = "ramp"


@dataclass(frozen=True, slots=True, kw_only=True)
class TownConfig:
    """The kind of town. Lengths in metres, speeds in m/s, shares between 0 and 1."""

    nodes_per_side: int = 4
    """Junctions along each side of the grid."""

    spacing_min: float = 115.0
    spacing_max: float = 165.0
    """Distance between neighbouring junctions, one draw per row and per column."""

    jitter: float = 18.0
    """How far a junction may lie off its grid point, along each axis."""

    bend: float = 6.0
    """Standard deviation of the bow of a street at its middle."""

    arterials_per_axis: int = 1
    """Rows (and columns) of the grid that are wide, fast roads with priority."""

    gap_share: float = 0.12
    """Share of the minor streets that are left out where every junction keeps at least two streets."""

    signal_share: float = 0.35
    """Share of the junctions away from the arterials that get traffic lights."""

    stop_share: float = 0.2
    """Share of the remaining junctions that are all-way stops."""

    parking_share: float = 0.6
    """Share of the minor streets with parking strips on both sides."""

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
        for name in ("gap_share", "signal_share", "stop_share", "parking_share", "parking_occupancy"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"TownConfig.{name} is a share between 0 and 1, got {getattr(self, name)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """One street, both directions alike."""

    start: Node
    end: Node
    points: np.ndarray
    """[K, 2] line between the two directions, metres."""

    is_arterial: bool
    lanes: int
    """Driving lanes in each direction."""

    speed_limit: float
    has_bike_lanes: bool
    has_parking: bool

    @property
    def lane_width(self) -> float:
        return 3.5 if self.is_arterial else 3.3


@dataclass(frozen=True, slots=True, kw_only=True)
class TownLayout:
    """The plan that ``build_network`` turns into lanes."""

    seed: int
    cycle_s: int
    positions: dict[Node, np.ndarray]
    """Junction centres [2], metres."""

    controls: dict[Node, str]
    """SUMO's junction type: ``traffic_light``, ``allway_stop`` or ``priority``."""

    radii: dict[Node, float]
    """Corner radius, metres."""

    streets: tuple[Street, ...]


def lay_out(seed: int, config: TownConfig) -> TownLayout:
    """The town of a seed. The same seed and configuration give the same town."""
    rng = np.random.default_rng([seed, 1])
    size = config.nodes_per_side
    columns, rows = (_grid_lines(rng, config) for _ in range(2))
    positions = {
        (i, j): np.array([columns[i], rows[j]]) + rng.uniform(-config.jitter, config.jitter, 2)
        for i in range(size)
        for j in range(size)
    }
    arterial = [set(rng.choice(size, config.arterials_per_axis, replace=False).tolist()) for _ in range(2)]
    links = [((i, j), (i + 1, j), j in arterial[1]) for i in range(size - 1) for j in range(size)]
    links += [((i, j), (i, j + 1), i in arterial[0]) for i in range(size) for j in range(size - 1)]
    links = _leave_gaps(links, rng, config.gap_share)
    streets = tuple(_street(positions[a], positions[b], a, b, main, rng, config) for a, b, main in links)
    controls = {node: _control(node, streets, rng, config) for node in positions}
    radii = {node: float(rng.uniform(6.0, 9.5)) for node in positions}
    return TownLayout(seed=seed, cycle_s=config.cycle_s, positions=positions, controls=controls, radii=radii, streets=streets)


def _grid_lines(rng: np.random.Generator, config: TownConfig) -> np.ndarray:
    steps = rng.uniform(config.spacing_min, config.spacing_max, config.nodes_per_side - 1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _leave_gaps(links: list[tuple[Node, Node, bool]], rng: np.random.Generator, share: float) -> list[tuple[Node, Node, bool]]:
    """Drop minor streets, but never below two streets at a junction, so that no car is ever stuck in a dead end."""
    degree: dict[Node, int] = {}
    for a, b, _ in links:
        degree[a] = degree.get(a, 0) + 1
        degree[b] = degree.get(b, 0) + 1
    kept = []
    for a, b, main in links:
        if not main and degree[a] > 3 and degree[b] > 2 and rng.random() < share * 2:
            degree[a] -= 1
            degree[b] -= 1
        else:
            kept.append((a, b, main))
    return kept


def _street(
    start: np.ndarray, end: np.ndarray, a: Node, b: Node, is_arterial: bool, rng: np.random.Generator, config: TownConfig
) -> Street:
    along = end - start
    length = float(np.hypot(*along))
    normal = np.array([-along[1], along[0]]) / length
    share = np.linspace(0.0, 1.0, 15)
    bow = float(np.clip(rng.normal(0.0, config.bend), -2 * config.bend, 2 * config.bend))
    # A squared sine leaves both ends straight, so that streets meet their junctions head on.
    points = start + np.outer(share, along) + np.outer(bow * np.sin(np.pi * share) ** 2, normal)
    if is_arterial:
        lanes, speed = int(rng.choice([2, 3], p=[0.75, 0.25])), float(rng.choice([13.4, 15.6, 17.9]))
        return Street(
            start=a,
            end=b,
            points=points,
            is_arterial=True,
            lanes=lanes,
            speed_limit=speed,
            has_bike_lanes=bool(rng.random() < 0.5),
            has_parking=False,
        )
    lanes, speed = int(rng.choice([1, 2], p=[0.8, 0.2])), float(rng.choice([8.9, 11.2, 13.4]))
    has_parking = bool(rng.random() < config.parking_share) and lanes == 1
    return Street(
        start=a,
        end=b,
        points=points,
        is_arterial=False,
        lanes=lanes,
        speed_limit=speed,
        has_bike_lanes=False,
        has_parking=has_parking,
    )


def _control(node: Node, streets: tuple[Street, ...], rng: np.random.Generator, config: TownConfig) -> str:
    here = [street for street in streets if node in (street.start, street.end)]
    main = sum(street.is_arterial for street in here)
    signal, stop = rng.random(2)
    if len(here) < 3:
        return "priority"
    if main >= 3 or (main >= 2 and signal < 0.7) or (main == 0 and signal < config.signal_share):
        return "traffic_light"
    if main == 0 and stop < config.stop_share:
        return "allway_stop"
    return "priority"
