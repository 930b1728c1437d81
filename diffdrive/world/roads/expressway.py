r"""An expressway along one side of the town: two carriageways, a way off and a way on, both ends at corners of the town.

The town lies to the left of the carriageway that goes forward along the first row, and to the right of the one that comes back.
Nothing crosses above or below, so only the latter has ramps; they meet the town at their foot, as half a diamond:

    n0_0 ------------- foot ------------- n3_0
      |            on /    \ off            |
       \   ..========'======'==========..  /     back, with an extra lane before "off" and after "on"
         ''============================''        forward
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from diffdrive.geometry import Polyline
from diffdrive.world.roads.grid import Grid
from diffdrive.world.roads.street import Node, Street, StreetKind, limit_for
from diffdrive.world.roads.surfaces import offset_polyline

EXPRESSWAY_SIDE_M = 340.0
"""The least width of a town that has room for an expressway."""

AWAY_M = (100.0, 120.0)
"""Between the town and its expressway."""

FOOT = "foot"
LANES = 2
LANE_M = 3.5
HALF_MEDIAN_M = 2.0
MEDIAN_TAPER_M = 45.0
HALF_GAP_M = 2.0
POINT_EVERY_M = 4.0
RAMP_REACH_M = 78.0
"""From the foot to where its ramps leave and join, along the expressway."""

EXTRA_LANE_M = 70.0
AWAY_ANGLE = np.deg2rad(8.0)
"""How far outwards an expressway leaves a corner; its curve is about as wide as it is deep."""

RAMP_ANGLE = np.deg2rad(20.0)
"""How far from head on the ramps meet the town."""

RAMP_SPEED = 13.89


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLink:
    """One lane leads into another; where some are given, nothing else is connected. Lanes count from the right."""

    nodes: tuple[Node, Node, Node]
    """From the first to the second, then to the third."""

    lane: int
    next_lane: int


def with_expressway(
    grid: Grid, rng: np.random.Generator
) -> tuple[dict[Node, np.ndarray], tuple[Street, ...], tuple[LaneLink, ...]]:
    """Junctions and streets of the town with its expressway, and how lanes go on where they fork and join.

    A town that is too narrow comes back as it is.
    """
    side = grid.side
    west, east = side[0].start, side[-1].end
    if grid.positions[east][0] - grid.positions[west][0] < EXPRESSWAY_SIDE_M:
        return grid.positions, grid.streets, ()
    positions, streets, foot = _with_foot(grid)
    corners = positions[west], positions[east]
    y = min(corner[1] for corner in (*corners, positions[foot])) - rng.uniform(*AWAY_M)
    curves = _curves(*corners, float(y))
    middle, bend = Polyline(np.concatenate(curves)), Polyline(curves[0]).length
    here = float(middle.project(np.array([positions[foot][0], y]))[0])
    forward, back = (_carriageway(middle, side=side) for side in (-1.0, +1.0))
    # From west to east, as shares of the length: both carriageways are about as long as their middle.
    far = RAMP_REACH_M + EXTRA_LANE_M
    offsets = {"join_end": -far, "join": -RAMP_REACH_M, "leave": RAMP_REACH_M, "leave_start": far}
    stops = {node: (here + offset) / middle.length for node, offset in offsets.items()}
    bends = {"bend1": bend / middle.length, "bend2": 1.0 - Polyline(curves[1]).length / middle.length}
    top = float(rng.choice([19.44, 22.22]))
    chain = [(east, 1.0), *reversed(stops.items()), (west, 0.0)]
    lanes = (LANES, LANES + 1, LANES, LANES + 1, LANES)
    new = [_section(back, a, b, count, top) for (a, b), count in zip(pairwise(chain), lanes, strict=True)]
    chain = [(west, 0.0), *bends.items(), (east, 1.0)]
    new += [_section(forward, a, b, LANES, top) for a, b in pairwise(chain)]
    new += _ramps(back, stops, positions[foot], foot)
    places = {node: _at(back, share) for node, share in stops.items()}
    places |= {node: _at(forward, share) for node, share in bends.items()}
    return positions | places, (*streets, *new), _links(east, west, foot)


def _with_foot(grid: Grid) -> tuple[dict[Node, np.ndarray], tuple[Street, ...], Node]:
    """The junction where the ramps meet the town: the middle one of the side, or a new one in its middle street."""
    side = grid.side
    half = len(side) // 2
    if len(side) % 2 == 0:
        return grid.positions, grid.streets, side[half].start
    cut = side[half]
    split = len(cut.points) // 2
    parts = cut.between(cut.points[: split + 1], end=FOOT), cut.between(cut.points[split:], start=FOOT)
    kept = tuple(street for street in grid.streets if street is not cut)
    return grid.positions | {FOOT: cut.points[split]}, (*kept, *parts), FOOT


def _curves(west: np.ndarray, east: np.ndarray, y: float) -> tuple[np.ndarray, np.ndarray]:
    """The line between the carriageways: out of one corner [K, 2], and, straight on along the town, into the other [K, 2]."""
    down = np.array([-np.sin(AWAY_ANGLE), -np.cos(AWAY_ANGLE)])
    curves = []
    for corner, outwards in ((west, 1.0), (east, -1.0)):
        depth = corner[1] - y
        straight = np.array([corner[0] + outwards * 0.85 * depth, y])
        leave = corner + 0.5 * depth * down * [outwards, 1.0]
        curves.append(_bezier(corner, leave, straight - [outwards * 0.58 * depth, 0.0], straight))
    return curves[0], curves[1][::-1]


def _bezier(*corners: np.ndarray, count: int = 40) -> np.ndarray:
    t = np.linspace(0.0, 1.0, count)[:, None]
    a, b, c, d = corners
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d


def _carriageway(middle: Polyline, side: float) -> Polyline:
    """The edge next to the median, every ``POINT_EVERY_M`` of the middle; the median closes towards both ends."""
    stations = np.linspace(0.0, middle.length, round(middle.length / POINT_EVERY_M))
    share = np.clip(np.minimum(stations, middle.length - stations) / MEDIAN_TAPER_M, 0.0, 1.0)
    gap = side * HALF_MEDIAN_M * share * share * (3 - 2 * share)
    return Polyline(offset_polyline(middle.interpolate(stations)[:, :2], gap))


def _at(line: Polyline, share: float) -> np.ndarray:
    return np.asarray(line.interpolate(share * line.length)[:2])


def _section(line: Polyline, start: tuple[Node, float], end: tuple[Node, float], lanes: int, top: float) -> Street:
    stations = np.array([start[1], end[1]]) * line.length
    count = max(3, round(abs(stations[1] - stations[0]) / POINT_EVERY_M))
    # Between two sections there is a gap for the lanes that connect them.
    gap = np.copysign(HALF_GAP_M, stations[1] - stations[0])
    stations += np.where((stations > 0.0) & (stations < line.length), [gap, -gap], 0.0)
    points = line.interpolate(np.linspace(stations[0], stations[1], count))[:, :2]
    return Street(
        start=start[0],
        end=end[0],
        points=points,
        kind=StreetKind.EXPRESSWAY,
        lanes=lanes,
        lanes_back=0,
        speed_limit=limit_for(points, top),
    )


def _ramps(back: Polyline, stops: dict[Node, float], foot: np.ndarray, foot_node: Node) -> list[Street]:
    """Off and on: their left edges run from the outermost lane's to the foot."""
    ramps = []
    for node, ahead in (("leave", -1.0), ("join", 1.0)):
        x, y, heading = back.interpolate(stops[node] * back.length)
        along = np.array([np.cos(heading), np.sin(heading)])
        start = np.array([x, y]) + LANES * LANE_M * np.array([-along[1], along[0]])
        reach = float(np.hypot(*(foot - start)))
        arrive = np.array([-ahead * np.sin(RAMP_ANGLE), -np.cos(RAMP_ANGLE)])
        points = _bezier(start, start + 0.32 * reach * ahead * along, foot + 0.48 * reach * arrive, foot)
        is_off = node == "leave"
        ramps.append(
            Street(
                start=node if is_off else foot_node,
                end=foot_node if is_off else node,
                points=points if is_off else points[::-1],
                kind=StreetKind.RAMP,
                lanes=1,
                lanes_back=0,
                speed_limit=limit_for(points, RAMP_SPEED),
            )
        )
    return ramps


def _links(east: Node, west: Node, foot: Node) -> tuple[LaneLink, ...]:
    """The extra lane opens on the right, leads off alone, and ends where the other one that came on has merged."""
    straight = (
        ((east, "leave_start", "leave"), 0, 1),
        (("leave_start", "leave", "join"), 1, 0),
        (("leave", "join", "join_end"), 0, 1),
        (("join", "join_end", west), 1, 0),
    )
    links = [
        LaneLink(nodes=nodes, lane=first + k, next_lane=second + k) for nodes, first, second in straight for k in range(LANES)
    ]
    links.append(LaneLink(nodes=("leave_start", "leave", foot), lane=0, next_lane=0))
    links.append(LaneLink(nodes=(foot, "join", "join_end"), lane=0, next_lane=0))
    return tuple(links)
