"""The polygons around the ego, with their types and the flag for the route."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.preparation.lane_graph import LaneGraph
from diffdrive.scoring.preparation.route import square
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap

RADIUS_M = 100.0
"""Half the side of the square, not of a circle."""

_LANES = (AreaType.LANE, AreaType.LANE_CONNECTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the map holds in a square around the ego; objects that reach into it are kept whole. P polygons."""

    ids: tuple[str, ...]
    """Of roadblocks, lanes, lane connectors, intersections and carparks, in this order."""

    polygons: np.ndarray
    """[P] shapely polygons."""

    types: np.ndarray
    """[P] values of ``AreaType``."""

    def lanes_around(self, point: np.ndarray) -> list[str]:
        """Ids of the lanes and lane connectors that contain ``point`` [2] or have it on their border.

        In the order of a spatial index over all polygons, because that order settles ties in the devkit.
        """
        hits = shapely.STRtree(self.polygons).query(shapely.Point(point), predicate="intersects")
        return [self.ids[int(i)] for i in hits if self.types[i] in _LANES]

    def with_route(self, lane_ids: Collection[str]) -> DrivableMap:
        """The map to judge with, where ``lane_ids`` are the lanes of the (corrected) route."""
        route = set(lane_ids)
        return DrivableMap(
            polygons=flat_polygons(self.polygons),
            types=self.types,
            on_route=np.array([i in route for i in self.ids], dtype=bool) & np.isin(self.types, _LANES),
        )


def surroundings(graph: LaneGraph, center: np.ndarray, *, square_heading: float = 0.0) -> Surroundings:
    """What of ``graph`` meets the square around the ego's ``center`` [2].

    ``square_heading``: direction of the world's x axis in the frame of the values; the square lies along the world's axes.
    """
    crop = square(center, RADIUS_M, square_heading)
    roads = _meeting({i: b.polygon for i, b in graph.blocks.items() if not b.is_connector}, crop)
    links = _meeting({i: b.polygon for i, b in graph.blocks.items() if b.is_connector}, crop)
    layers: list[tuple[AreaType, dict[str, shapely.Polygon]]] = [
        (AreaType.ROADBLOCK, roads),
        (AreaType.LANE, {lane.lane_id: lane.polygon for lane in graph.lanes_of(roads)}),
        (AreaType.LANE_CONNECTOR, {lane.lane_id: lane.polygon for lane in graph.lanes_of(links)}),
        (AreaType.INTERSECTION, _meeting(dict(graph.intersections), crop)),
        (AreaType.CARPARK, _meeting(dict(graph.carparks), crop)),
    ]
    return Surroundings(
        ids=tuple(i for _, layer in layers for i in layer),
        polygons=np.array([polygon for _, layer in layers for polygon in layer.values()], dtype=object),
        types=np.array([kind for kind, layer in layers for _ in layer], dtype=np.int64),
    )


def _meeting(polygons: dict[str, shapely.Polygon], crop: shapely.Polygon) -> dict[str, shapely.Polygon]:
    shapely.prepare(crop)
    hits = shapely.intersects(crop, np.array(list(polygons.values()), dtype=object))
    return {i: polygon for (i, polygon), hit in zip(polygons.items(), np.atleast_1d(hits), strict=True) if hit}


def flat_polygons(polygons: np.ndarray) -> Polygons:
    """From shapely polygons [P] without holes."""
    if not len(polygons):
        return Polygons.of(())
    rings = shapely.get_exterior_ring(polygons)
    points, owner = shapely.get_coordinates(rings, return_index=True)
    # A ring repeats its first point at its end.
    is_last = np.append(np.diff(owner) > 0, True)
    sizes = shapely.get_num_coordinates(rings) - 1
    return Polygons(vertices=points[~is_last], offsets=np.concatenate([[0], np.cumsum(sizes)]))
