"""The semantic map ahead of the car: one class per cell, drawn in layers, later ones over earlier ones."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind, AreaKind, Scene
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
_CENTERLINE_WIDTH_PIXELS = 2


def build_bev_semantic(scene: Scene, layout: TargetLayout) -> Tensor:
    """[rows, columns] int64 of ``BevClass``: row i begins x = i pixels ahead of the rear axle, the middle column at y = 0.

    Lanes (connectors too) and intersections are road; lanes for cars have a centreline, bicycle lanes have none.
    Raises ``InputError`` for a layout with another number of classes.
    """
    if layout.bev_classes != len(BevClass):
        raise InputError(
            f"The semantic map has {len(BevClass)} classes but the layout says {layout.bev_classes}. "
            f"Set bev_classes={len(BevClass)}, or draw the new classes in diffdrive/features/targets/bev_semantics.py."
        )
    canvas = Image.new("L", (layout.bev_columns, layout.bev_rows), int(BevClass.NOTHING))
    brush = ImageDraw.Draw(canvas)
    reach = layout.bev_pixel_m * max(layout.bev_rows, layout.bev_columns / 2 + 1)
    vector_map = scene.vector_map.near(np.zeros(2), reach)

    road = [lane.polygon for lane in vector_map.lanes]
    road += [area.outline for area in vector_map.areas_of(AreaKind.INTERSECTION)]
    _fill(brush, road, BevClass.ROAD, layout)
    _fill(brush, (area.outline for area in vector_map.areas_of(AreaKind.WALKWAY)), BevClass.WALKWAY, layout)
    for lane in vector_map.lanes:
        if not lane.is_bike_lane:
            brush.line(_pixels(lane.centerline, layout), fill=int(BevClass.CENTERLINE), width=_CENTERLINE_WIDTH_PIXELS)
    for bev_class, kinds in _KINDS_OF_CLASS.items():
        _fill(brush, box_corners(scene.agents.of_kind(*kinds).boxes), bev_class, layout)
    return torch.from_numpy(np.array(canvas, dtype=np.int64))


def _fill(brush: ImageDraw.ImageDraw, outlines: Iterable[np.ndarray], bev_class: BevClass, layout: TargetLayout) -> None:
    for outline in outlines:
        if len(outline) >= 3:
            brush.polygon(_pixels(outline, layout), fill=int(bev_class), outline=int(bev_class))


def _pixels(points: np.ndarray, layout: TargetLayout) -> list[tuple[int, int]]:
    """(column, row) of points [N, 2], cut to whole pixels as the public implementation does (towards zero)."""
    scaled = points / layout.bev_pixel_m + [0.0, layout.bev_columns / 2]
    return [(int(column), int(row)) for row, column in scaled]
