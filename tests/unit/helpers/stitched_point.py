"""Where a point of the world shows in the stitched picture, computed from the cameras and the crop alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from diffdrive.features.inputs.stitching import Stitching
from diffdrive.geometry import invert_transform, project_points, transform_points
from diffdrive.tensors import InputLayout
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, Camera


def rig_tensor(rig: Sequence[Camera] = NUPLAN_FRONT_RIG) -> Tensor:
    """[1, 3, 18] as in ``PackedBatch``."""
    rows = [
        [c.focal, c.focal, *c.centre, c.width, c.height, *c.ego_from_camera[:3, :3].ravel(), *c.ego_from_camera[:3, 3]]
        for c in rig
    ]
    return torch.tensor(np.array(rows), dtype=torch.float32)[None]


def stitched_point(
    point: Sequence[float], layout: InputLayout, rig: Sequence[Camera] = NUPLAN_FRONT_RIG
) -> tuple[float, float] | None:
    """Column and row of a point [3] of the ego frame, metres, in the picture of ``layout``; None where no camera sees it."""
    begin = 0
    for index, camera in enumerate(rig):
        stitching = Stitching.of((camera.height, camera.width), layout)
        columns = stitching.outer_columns if index != 1 else slice(0, camera.width)
        seen = transform_points(invert_transform(camera.ego_from_camera), np.array(point))
        (column, row), depth = project_points(seen, camera.intrinsics)
        if depth > 0 and columns.start <= column < columns.stop and stitching.rows.start <= row < stitching.rows.stop:
            scale = layout.camera_width / stitching.width
            return (begin + column - columns.start) * scale, (row - stitching.rows.start) * scale
        begin += columns.stop - columns.start
    return None
