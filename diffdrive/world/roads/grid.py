"""The grid that a town grows from: junctions, curved arterials through them, and minor streets between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from diffdrive.world.roads.config import TownConfig
from diffdrive.world.roads.street import Node, Street, StreetKind, is_connected, limit_for

POINTS = 21
"""Of the line of a street."""

Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Junctions by column and row, and the streets between them."""

    size: int
    positions: dict[Node, np.ndarray]
    """Junction centres [2], metres."""

    streets: tuple[Street, ...]

    @property
    def side(self) -> tuple[Street, ...]:
        """The streets of the first row, from the first column to the last: beyond them there is no town."""
        row = [grid_node((i, 0)) for i in range(self.size)]
        ends = set(pairwise(row))
        return tuple(street for street in self.streets if (street.start, street.end) in ends)


def grid_node(cell: Cell) -> Node:
    """The name of a junction of the grid."""
    return f"n{cell[0]}_{cell[1]}"


def lay_grid(rng: np.random.Generator, config: TownConfig) -> Grid:
    """Junctions on a jittered grid, arterials as smooth curves through whole rows and columns, some minor streets left out."""
    size = config.nodes_per_side
    axes = [_grid_lines(rng, config) for _ in range(2)]
    arterial = [set(rng.choice(size, config.arterials_per_axis, replace=False).tolist()) for _ in range(2)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    places = places + rng.uniform(-config.jitter, config.jitter, places.shape)
    for axis in range(2):
        for line in sorted(arterial[axis]):
            # Across itself an arterial swings in one long wave; along itself its junctions keep their jitter.
            where = (line, slice(None), axis) if axis == 0 else (slice(None), line, axis)
            places[where] = axes[axis][line] + _wave(axes[1 - axis], rng, config)
    links = [((i, j), (i + 1, j), j in arterial[1]) for i in range(size - 1) for j in range(size)]
    links += [((i, j), (i, j + 1), i in arterial[0]) for i in range(size) for j in range(size - 1)]
    links = _leave_gaps(links, rng, config.gap_share)
    lanes = {key: int(rng.choice([2, 3], p=[0.75, 0.25])) for key in _arterials(arterial)}
    speeds = {key: float(rng.choice([13.89, 16.67])) for key in lanes}
    bike_lanes = {key: bool(rng.random() < 1.5 * config.bike_lane_share) for key in lanes}
    streets = []
    for a, b, is_arterial in links:
        if not is_arterial:
            streets.append(_minor(places, a, b, rng, config))
            continue
        key = (1, a[1]) if a[1] == b[1] else (0, a[0])
        line = places[:, a[1]] if key[0] == 1 else places[a[0]]
        points = _through(line)[a[0] if key[0] == 1 else a[1]]
        streets.append(
            Street(
                start=grid_node(a),
                end=grid_node(b),
                points=points,
                kind=StreetKind.ARTERIAL,
                lanes=lanes[key],
                lanes_back=lanes[key],
                speed_limit=limit_for(points, speeds[key]),
                has_bike_lanes=bike_lanes[key],
            )
        )
    positions = {grid_node((i, j)): places[i, j] for i in range(size) for j in range(size)}
    return Grid(size=size, positions=positions, streets=tuple(streets))


def with_one_ways(streets: tuple[Street, ...], rng: np.random.Generator, share: float) -> tuple[Street, ...]:
    """Some minor streets go one way, as long as every street can be reached from every other.

    Next to an expressway and its ramps they stay as they are: whoever may not use these could not get there, or away.
    """
    result = list(streets)
    fast = {node for s in streets if not s.has_sidewalks for node in (s.start, s.end)}
    minor = [k for k, s in enumerate(streets) if s.kind is StreetKind.MINOR and not fast & {s.start, s.end}]
    wanted, done = round(share * len(minor)), 0
    for k in rng.permutation(minor) if minor else ():
        if done == wanted:
            break
        changed = [*result[:k], result[k].one_way(forward=bool(rng.random() < 0.5)), *result[k + 1 :]]
        if is_connected(changed):
            result, done = changed, done + 1
    return tuple(result)


def _grid_lines(rng: np.random.Generator, config: TownConfig) -> np.ndarray:
    steps = rng.uniform(config.spacing_min, config.spacing_max, config.nodes_per_side - 1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _wave(along: np.ndarray, rng: np.random.Generator, config: TownConfig) -> np.ndarray:
    """[N] how far an arterial lies off its line at each of its junctions."""
    waves, phase = rng.uniform(0.5, 0.9), rng.uniform(0.0, 2 * np.pi)
    height = config.arterial_curve * config.spacing_min * rng.uniform(0.8, 1.2)
    return height * np.sin(2 * np.pi * waves * along / along[-1] + phase)


def _arterials(arterial: list[set[int]]) -> list[tuple[int, int]]:
    return [(axis, line) for axis in range(2) for line in sorted(arterial[axis])]


def _leave_gaps(links: list[tuple[Cell, Cell, bool]], rng: np.random.Generator, share: float) -> list[tuple[Cell, Cell, bool]]:
    """Drop minor streets, but never below two streets at a junction, so that no car is ever stuck in a dead end."""
    degree: dict[Cell, int] = {}
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


def _through(junctions: np.ndarray) -> list[np.ndarray]:
    """One smooth curve through all of ``junctions`` [N, 2], cut at each of them: N - 1 lines [K, 2]."""
    # Catmull-Rom: the slope at a junction is that between its neighbours.
    slopes = np.gradient(junctions, axis=0)
    share = np.linspace(0.0, 1.0, POINTS)[:, None]
    pieces = []
    for k in range(len(junctions) - 1):
        start, end, leave, arrive = junctions[k], junctions[k + 1], slopes[k], slopes[k + 1]
        cubic = (2 * share**3 - 3 * share**2 + 1) * start + (share**3 - 2 * share**2 + share) * leave
        pieces.append(cubic + (3 * share**2 - 2 * share**3) * end + (share**3 - share**2) * arrive)
    return pieces


def _minor(places: np.ndarray, a: Cell, b: Cell, rng: np.random.Generator, config: TownConfig) -> Street:
    start, along = places[a], places[b] - places[a]
    normal = np.array([-along[1], along[0]]) / float(np.hypot(*along))
    share = np.linspace(0.0, 1.0, POINTS)
    bow = float(np.clip(rng.normal(0.0, config.bend), -2 * config.bend, 2 * config.bend))
    # A squared sine leaves both ends straight, so that streets meet their junctions head on.
    points = start + np.outer(share, along) + np.outer(bow * np.sin(np.pi * share) ** 2, normal)
    lanes = int(rng.choice([1, 2], p=[0.8, 0.2]))
    street = Street(
        start=grid_node(a),
        end=grid_node(b),
        points=points,
        kind=StreetKind.MINOR,
        lanes=lanes,
        lanes_back=lanes,
        speed_limit=limit_for(points, float(rng.choice([8.33, 11.11, 13.89]))),
    )
    has_parking, has_bike_lanes = rng.random(2) < [config.parking_share, config.bike_lane_share]
    # Nobody parks on a bicycle lane, and there is no room for both.
    return replace(
        street, has_parking=bool(has_parking) and lanes == 1 and not has_bike_lanes, has_bike_lanes=bool(has_bike_lanes)
    )
