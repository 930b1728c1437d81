"""A seed becomes the plan of a town: a grid of streets, one-way streets, an expressway, roundabouts, and who gives way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.world.roads.config import TownConfig
from diffdrive.world.roads.expressway import LaneLink, with_expressway
from diffdrive.world.roads.grid import lay_grid, with_one_ways
from diffdrive.world.roads.roundabout import Roundabout, with_roundabouts
from diffdrive.world.roads.street import Node, Street, StreetKind

CORNER_RADIUS_M = (8.0, 11.0)
RING_CORNER_RADIUS_M = 5.0
PLAIN_RADIUS_M = 1.5
"""Where an expressway forks, nobody turns."""

_MAIN = (StreetKind.ARTERIAL, StreetKind.EXPRESSWAY)


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
    roundabouts: tuple[Roundabout, ...]
    links: tuple[LaneLink, ...]
    """Given connections of lanes; everywhere else SUMO finds them."""


def lay_out(seed: int, config: TownConfig) -> TownLayout:
    """The town of a seed. The same seed and configuration give the same town."""
    rng = np.random.default_rng([seed, 1])
    grid = lay_grid(rng, config)
    positions, streets, links = grid.positions, grid.streets, tuple[LaneLink, ...]()
    if rng.random() < config.expressway_share:
        positions, streets, links = with_expressway(grid, rng)
    streets = with_one_ways(streets, rng, config.one_way_share)
    positions, streets, roundabouts = with_roundabouts(positions, streets, rng, config.roundabout_share)
    controls = {node: _control(node, streets, rng, config) for node in positions}
    radii = {node: _radius(node, streets, rng) for node in positions}
    # Towns lie in all directions, as the rows of no real town follow the compass.
    angle = rng.uniform(0.0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return TownLayout(
        seed=seed,
        cycle_s=config.cycle_s,
        positions={node: turn @ place for node, place in positions.items()},
        controls=controls,
        radii=radii,
        streets=tuple(street.turned(turn) for street in streets),
        roundabouts=tuple(ring.turned(turn) for ring in roundabouts),
        links=links,
    )


def _streets_at(node: Node, streets: tuple[Street, ...]) -> list[Street]:
    return [street for street in streets if node in (street.start, street.end)]


def _radius(node: Node, streets: tuple[Street, ...], rng: np.random.Generator) -> float:
    drawn = float(rng.uniform(*CORNER_RADIUS_M))
    kinds = {street.kind for street in _streets_at(node, streets)}
    if StreetKind.RING in kinds:
        return RING_CORNER_RADIUS_M
    return PLAIN_RADIUS_M if kinds <= {StreetKind.EXPRESSWAY, StreetKind.RAMP} else drawn


def _control(node: Node, streets: tuple[Street, ...], rng: np.random.Generator, config: TownConfig) -> str:
    here = _streets_at(node, streets)
    kinds = {street.kind for street in here}
    signal, stop = rng.random(2)
    if len(here) < 3 or StreetKind.RING in kinds or kinds <= {StreetKind.EXPRESSWAY, StreetKind.RAMP}:
        return "priority"
    main = sum(street.kind in _MAIN for street in here)
    if main >= 3 or (main >= 1 and signal < 0.7) or (main == 0 and signal < config.signal_share):
        return "traffic_light"
    if main == 0 and stop < config.stop_share and StreetKind.RAMP not in kinds:
        return "allway_stop"
    return "priority"
