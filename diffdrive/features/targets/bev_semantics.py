"""The semantic map ahead of the car: one class per cell, drawn in layers, later ones over earlier ones."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.features.targets.map_square import MapSquare
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind, AreaKind, MapConvention, Scene
from diffdrive.tensors import TargetLayout


class BevClass(enum.IntEnum):
    """Classes in drawing order."""

    NOTHING = 0
    ROAD = 1
    WALKWAY = 2
    CENTERLINE = 3
    STATIC_OBJECT = 4
    VEHICLE = 5
    PEDESTRIAN = 6


# Bicycles are no class of the public model's targets, so they are not drawn.
_KINDS_OF_CLASS = {
    BevClass.STATIC_OBJECT: (AgentKind.CZONE_SIGN, AgentKind.BARRIER, AgentKind.TRAFFIC_CONE, AgentKind.GENERIC_OBJECT),
    BevClass.VEHICLE: (AgentKind.VEHICLE,),
    BevClass.PEDESTRIAN: (AgentKind.PEDESTRIAN,),
}
# A pen of three cells across, symmetric: what OpenCV draws, as the public implementation does, when asked for thickness 2.
_PEN = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def build_bev_semantic(scene: Scene, layout: TargetLayout) -> Tensor:
    """[rows, columns] int64 of ``BevClass``: row i begins x = i pixels ahead of the rear axle, the middle column at y = 0.

    Lanes (connectors too) and intersections are road; lanes for cars have a centreline, bicycle lanes have none. With
    nuPlan's own layers connectors are no road, and what does not meet the square that the public targets ask the map for
    is not drawn even where it lies in a corner of the canvas.
    Pillow draws what the public implementation draws with OpenCV: on exported real roads 98.8 % of the cells are equal, in
    exported towns 99.6 %. Those that differ lie on borders, most of them on those of centrelines.

    Raises ``InputError`` for a layout with another number of classes.
    """
    if layout.bev_classes != len(BevClass):
        raise InputError(
            f"The semantic map has {len(BevClass)} classes but the layout says {layout.bev_classes}. "
            f"Set bev_classes={len(BevClass)}, or draw the new classes in diffdrive/features/targets/bev_semantics.py."
        )
    canvas = Image.new("L", (layout.bev_columns, layout.bev_rows), int(BevClass.NOTHING))
    brush = ImageDraw.Draw(canvas)
    ground = _drawn_ground(scene, layout)
    _fill(brush, ground.road, BevClass.ROAD, layout)
    _fill(brush, ground.walkways, BevClass.WALKWAY, layout)
    for line in ground.centerlines:
        cells = _cells(line, layout)
        for offset in _PEN:
            brush.line((cells + offset).ravel().tolist(), fill=int(BevClass.CENTERLINE))
    for bev_class, kinds in _KINDS_OF_CLASS.items():
        _fill(brush, box_corners(scene.agents.of_kind(*kinds).boxes), bev_class, layout)
    return torch.from_numpy(np.array(canvas, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What is drawn of a map, in the ego frame."""

    road: list[np.ndarray]
    walkways: list[np.ndarray]
    centerlines: list[np.ndarray]


def _drawn_ground(scene: Scene, layout: TargetLayout) -> _Ground:
    vector_map = scene.vector_map
    lanes, intersections = vector_map.lanes, [area.outline for area in vector_map.areas_of(AreaKind.INTERSECTION)]
    walkways = [area.outline for area in vector_map.areas_of(AreaKind.WALKWAY)]
    if vector_map.convention is MapConvention.EDGE_TO_EDGE:
        return _Ground(
            road=[lane.polygon for lane in lanes] + intersections,
            walkways=walkways,
            centerlines=[lane.centerline for lane in lanes if not lane.is_bike_lane],
        )
    reach_m = max(layout.bev_rows, layout.bev_columns / 2) * layout.bev_pixel_m
    asked = MapSquare(reach_m, float(scene.world_from_ego[2]))
    plain = [lane for lane in lanes if lane.intersection_id is None and asked.meets_area(lane.polygon)]
    connectors = [lane for lane in lanes if lane.intersection_id is not None and asked.meets_line(lane.centerline)]
    return _Ground(
        road=[lane.polygon for lane in plain] + [outline for outline in intersections if asked.meets_area(outline)],
        walkways=[outline for outline in walkways if asked.meets_area(outline)],
        centerlines=[lane.centerline for lane in (*plain, *connectors)],
    )


def _fill(brush: ImageDraw.ImageDraw, outlines: Iterable[np.ndarray], bev_class: BevClass, layout: TargetLayout) -> None:
    for outline in outlines:
        if len(outline) >= 3:
            cells = _cells(outline, layout)
            brush.polygon(cells.ravel().tolist(), fill=int(bev_class))
            # Pillow leaves out cells along slanted sides that OpenCV fills; the border adds them.
            brush.line([*cells.ravel().tolist(), *cells[0].tolist()], fill=int(bev_class))


def _cells(points: np.ndarray, layout: TargetLayout) -> np.ndarray:
    """[N, 2] int column and row of points [N, 2], cut to whole cells as the public implementation does (towards zero)."""
    return (points[:, ::-1] / layout.bev_pixel_m + [layout.bev_columns / 2, 0.0]).astype(np.int64)
