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
# A pen of three cells across, symmetric: what OpenCV draws, as the public implementation does, when asked for thickness 2.
_PEN = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def build_bev_semantic(scene: Scene, layout: TargetLayout) -> Tensor:
    """[rows, columns] int64 of ``BevClass``: row i begins x = i pixels ahead of the rear axle, the middle column at y = 0.

    Lanes (connectors too) and intersections are road; lanes for cars have a centreline, bicycle lanes have none.
    Pillow draws what the public implementation draws with OpenCV: on real city maps 98.7 % of the cells are equal, and
    those that differ lie on borders.

    Raises ``InputError`` for a layout with another number of classes.
    """
    if layout.bev_classes != len(BevClass):
        raise InputError(
            f"The semantic map has {len(BevClass)} classes but the layout says {layout.bev_classes}. "
            f"Set bev_classes={len(BevClass)}, or draw the new classes in diffdrive/features/targets/bev_semantics.py."
        )
    canvas = Image.new("L", (layout.bev_columns, layout.bev_rows), int(BevClass.NOTHING))
    brush = ImageDraw.Draw(canvas)
    vector_map = scene.vector_map

    road = [lane.polygon for lane in vector_map.lanes]
    road += [area.outline for area in vector_map.areas_of(AreaKind.INTERSECTION)]
    _fill(brush, road, BevClass.ROAD, layout)
    _fill(brush, (area.outline for area in vector_map.areas_of(AreaKind.WALKWAY)), BevClass.WALKWAY, layout)
    for lane in vector_map.lanes:
        if not lane.is_bike_lane:
            cells = _cells(lane.centerline, layout)
            for offset in _PEN:
                brush.line((cells + offset).ravel().tolist(), fill=int(BevClass.CENTERLINE))
    for bev_class, kinds in _KINDS_OF_CLASS.items():
        _fill(brush, box_corners(scene.agents.of_kind(*kinds).boxes), bev_class, layout)
    return torch.from_numpy(np.array(canvas, dtype=np.int64))


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
