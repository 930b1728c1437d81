"""The vector map: lanes that connect, and areas."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import numpy as np

from diffdrive.contracts import Axes, frozen_array
from diffdrive.geometry import to_local


class AreaKind(enum.Enum):
    """What an area polygon is."""

    INTERSECTION = "intersection"
    CROSSWALK = "crosswalk"
    WALKWAY = "walkway"
    CARPARK = "carpark"
    GENERIC_DRIVABLE = "generic_drivable"
    STOP_ZONE = "stop_zone"
    LANE_GROUP = "lane_group"


class LineKind(enum.Enum):
    """What a line is."""

    ROAD_EDGE = "road_edge"
    DASHED_WHITE = "dashed_white"
    SOLID_WHITE = "solid_white"
    DASHED_YELLOW = "dashed_yellow"
    SOLID_YELLOW = "solid_yellow"
    OTHER = "other"


class MapConvention(enum.Enum):
    """How a map's layers fit together, which decides what of them counts as drivable."""

    EDGE_TO_EDGE = "edge_to_edge"
    """Neighbours share edges, and any drivable ground counts: maps of 123D."""

    NUPLAN = "nuplan"
    """nuPlan's own layers: road blocks, intersections and car parks count exactly as they are drawn, nothing else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One lane piece, drawn in driving direction. A lane with ``intersection_id`` is a lane connector."""

    lane_id: str
    centerline: np.ndarray
    """[K, 2] metres."""

    left_boundary: np.ndarray
    """[L, 2] metres."""

    right_boundary: np.ndarray
    """[R, 2] metres."""

    predecessor_ids: tuple[str, ...] = ()
    successor_ids: tuple[str, ...] = ()
    left_lane_id: str | None = None
    """Neighbour in the same driving direction."""

    right_lane_id: str | None = None
    lane_group_id: str | None = None
    intersection_id: str | None = None
    """None: not a connector. Empty: a connector of which the map does not say where it lies."""

    speed_limit_mps: float | None = None
    is_bike_lane: bool = False
    outline: np.ndarray | None = None
    """[P, 2] metres, not repeated at the end: the lane's ground, where the map draws it apart from its boundaries."""

    def __post_init__(self) -> None:
        for name in ("centerline", "left_boundary", "right_boundary", "outline"):
            if getattr(self, name) is None:
                continue
            object.__setattr__(self, name, _points(f"Lane '{self.lane_id}'", name, getattr(self, name)))

    @property
    def polygon(self) -> np.ndarray:
        """[P, 2] the lane's ground, not repeated at the end: ``outline``, or what lies between the boundaries."""
        if self.outline is not None:
            return self.outline
        return np.concatenate([self.left_boundary, self.right_boundary[::-1]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A polygon with a meaning."""

    area_id: str
    kind: AreaKind
    outline: np.ndarray
    """[P, 2] metres, not repeated at the end."""

    lane_ids: tuple[str, ...] = ()
    """Stop zones: the lanes that stop there."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "outline", _points(f"Area '{self.area_id}'", "outline", self.outline))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A painted line or a road edge."""

    line_id: str
    kind: LineKind
    points: np.ndarray
    """[K, 2] metres."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _points(f"Line '{self.line_id}'", "points", self.points))


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorMap:
    """Lanes, areas and lines, all in one frame: the ego frame inside a ``Scene``, the world frame inside a source."""

    lanes: tuple[Lane, ...] = ()
    areas: tuple[Area, ...] = ()
    lines: tuple[Line, ...] = ()
    convention: MapConvention = MapConvention.EDGE_TO_EDGE

    def areas_of(self, *kinds: AreaKind) -> tuple[Area, ...]:
        return tuple(area for area in self.areas if area.kind in kinds)

    def lane(self, lane_id: str) -> Lane | None:
        return next((lane for lane in self.lanes if lane.lane_id == lane_id), None)

    def near(self, point: np.ndarray, radius_m: float) -> VectorMap:
        """The objects whose bounding box comes within ``radius_m`` of ``point`` [2] along both axes."""
        return VectorMap(
            lanes=tuple(lane for lane in self.lanes if _is_near(lane.polygon, point, radius_m)),
            areas=tuple(area for area in self.areas if _is_near(area.outline, point, radius_m)),
            lines=tuple(line for line in self.lines if _is_near(line.points, point, radius_m)),
            convention=self.convention,
        )

    def to_local(self, origin: np.ndarray) -> VectorMap:
        """The same map in the frame of the pose ``origin`` [3]."""
        return VectorMap(
            lanes=tuple(
                replace(
                    lane,
                    centerline=to_local(lane.centerline, origin),
                    left_boundary=to_local(lane.left_boundary, origin),
                    right_boundary=to_local(lane.right_boundary, origin),
                    outline=None if lane.outline is None else to_local(lane.outline, origin),
                )
                for lane in self.lanes
            ),
            areas=tuple(replace(area, outline=to_local(area.outline, origin)) for area in self.areas),
            lines=tuple(replace(line, points=to_local(line.points, origin)) for line in self.lines),
            convention=self.convention,
        )


def _points(owner: str, name: str, values: np.ndarray) -> np.ndarray:
    """``values`` as read-only points [K, 2]. Raises ``InputError`` unless they are finite points."""
    array = frozen_array(values, np.float64)
    # A city has a hundred thousand of these: the contract is only spelt out where it is broken.
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        Axes(owner).check(name, array, "K 2", finite=True)
    return array


def _is_near(points: np.ndarray, point: np.ndarray, radius_m: float) -> bool:
    low, high = points.min(axis=0), points.max(axis=0)
    return bool(np.all(low <= point + radius_m) and np.all(high >= point - radius_m))
