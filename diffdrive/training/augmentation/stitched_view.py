"""The stitched picture as the same three cameras would take it from a place nearby.

Every pixel of the new picture is a ray of one of the three cameras. Where the ray meets the flat ground, or at ``BACKDROP_M``
where that is nearer, lies the point it is taken to show; the old picture is looked up where that point was. A turn about the
cameras would not need the point. But cameras sit ahead of the rear axle, which the frame turns about, and a shift moves them
too: what stands at depth d instead of the assumed a moves by (1/d - 1/a) times the way of the camera across the ray, in
radians. For 0.5 m and the backdrop that is 0.4 degrees at 40 m, 1.7 at 10 m, 4.6 at 5 m; the flat road is exact.

Columns and rows are continuous pixels: the first one covers 0 .. 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from diffdrive.features.inputs.stitching import CROP_COLUMNS_1080P, CROP_ROWS_1080P
from diffdrive.training.augmentation.frame_change import FrameChange

BACKDROP_M = 25.0
"""Depth of what stands above the ground, metres along the axis of its camera: of 10, 25, 50 and 100 the one that came nearest
to pictures taken anew in the embedded world."""

_LEFT, _FRONT, _RIGHT = range(3)
_LOWEST_CAMERA_M = 0.1
_NEAREST = 1e-3


def seen_from(camera: Tensor, rig: Tensor, change: FrameChange) -> tuple[Tensor, Tensor]:
    """The picture [N, H, W, 3] uint8 from the new frame, and which of its pixels [N, H, W] were in the old picture.

    ``rig`` [N, 3, 18] as in ``PackedBatch``: it moves with the frame. Pixels that were not seen hold anything.
    """
    height, width = camera.shape[1:3]
    cameras = _Cameras.of(rig, height, width)
    left, front, right, end = cameras.edges
    middle = width // 2
    # A small turn leads into the neighbouring camera at most, so each part has its own camera and one to turn to.
    parts = ((left, front, _LEFT, _FRONT), (front, middle, _FRONT, _LEFT), (middle, right, _FRONT, _RIGHT))
    grid = rig.new_empty(2, len(camera), height, width)  # columns, rows
    seen = torch.empty(grid.shape[1:], dtype=torch.bool, device=rig.device)
    for first, last, own, neighbour in (*parts, (right, end, _RIGHT, _FRONT)):
        cameras.look_up(slice(first, last), own, neighbour, change, grid=grid[..., first:last], seen=seen[..., first:last])
    grid[0] *= 2 / width
    grid[1] *= 2 / height
    grid -= 1
    picture = camera.permute(0, 3, 1, 2).contiguous().float()
    found = F.grid_sample(picture, grid.permute(1, 2, 3, 0), mode="bilinear", padding_mode="border", align_corners=False)
    return found.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous(), seen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cameras:
    """The three cameras of N rigs as they show in a stitched picture."""

    height: int
    edges: tuple[int, int, int, int]
    """The column where each image begins, and where the last ends."""

    focal: Tensor
    """[N, 3, 2] pixels of the stitched picture, along columns and rows."""

    centre: Tensor
    """[N, 3, 2] principal point, likewise."""

    rotation: Tensor
    """[N, 3, 3, 3] vehicle from camera (x right, y down, z forward)."""

    position: Tensor
    """[N, 3, 3] in the vehicle, metres."""

    @classmethod
    def of(cls, rig: Tensor, height: int, width: int) -> _Cameras:
        outer, front = 1920 - 2 * CROP_COLUMNS_1080P, 1920
        side = width * outer // (2 * outer + front)
        edges = (0, side, width - side, width)
        full = rig[..., 4:6]  # width, height
        cut = full * rig.new_tensor([CROP_COLUMNS_1080P / 1920, CROP_ROWS_1080P / 1080])
        cut[:, _FRONT, 0] = 0.0
        columns = rig.new_tensor([last - first for first, last in pairwise(edges)])
        kept = full - 2 * cut
        scale = torch.stack([columns / kept[..., 0], height / kept[..., 1]], dim=-1)
        centre = (rig[..., 2:4] - cut) * scale
        centre[..., 0] += rig.new_tensor(edges[:3])
        return cls(
            height=height,
            edges=edges,
            focal=rig[..., :2] * scale,
            centre=centre,
            rotation=rig[..., 6:15].unflatten(-1, (3, 3)),
            position=rig[..., 15:],
        )

    def look_up(self, columns: slice, own: int, neighbour: int, change: FrameChange, *, grid: Tensor, seen: Tensor) -> None:
        """Fill ``grid`` [2, N, H, K] with the old column and row of what the camera ``own`` of the new frame sees at
        ``columns``, and ``seen`` [N, H, K] with whether the old ``own`` or else ``neighbour`` saw it."""
        column = torch.arange(columns.start, columns.stop, device=grid.device) + 0.5
        row = torch.arange(self.height, device=grid.device) + 0.5
        rays = self.rotation[:, own] @ self._rays_from_pixels(own)  # new vehicle from (column, row, 1)
        # One over depth is linear in the picture of a plane, and so is everything that follows but the last division.
        drop = rays[:, 2] / -self.position[:, own, 2:].clamp(min=_LOWEST_CAMERA_M)
        nearness = _plane(drop, column, row).clamp_(min=1 / BACKDROP_M)
        turn = _turn(change)
        place = (turn @ self.position[:, own, :, None])[..., 0]
        place = torch.cat([place[:, :2] + change.shift, place[:, 2:]], dim=1)
        x, y, is_own = self._project(own, turn @ rays, place, nearness, column, row)
        other_x, other_y, is_other = self._project(neighbour, turn @ rays, place, nearness, column, row)
        weight = is_own.to(x.dtype)
        torch.lerp(other_x, x, weight, out=grid[0])
        torch.lerp(other_y, y, weight, out=grid[1])
        torch.logical_or(is_own, is_other, out=seen)

    def _project(
        self, source: int, rays: Tensor, place: Tensor, nearness: Tensor, column: Tensor, row: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Where the camera ``source`` sees the points at one over depth ``nearness`` [N, H, K] on ``rays`` from ``place``.

        Returns columns and rows inside its image, and whether the points are really there, [N, H, K] each.
        """
        into = self._pixels_from_rays(source) @ self.rotation[:, source].mT
        across = into @ rays
        way = (into @ (place - self.position[:, source])[..., None])[..., None]
        x, y, z = (_plane(across[:, k], column, row).addcmul_(nearness, way[:, k]) for k in range(3))
        z = z.clamp_(min=_NEAREST).reciprocal_()  # what lies behind lands far outside
        x, y = x.mul_(z), y.mul_(z)
        begin, end = self.edges[source], self.edges[source + 1]
        inside = (x >= begin) & (x <= end) & (y >= 0) & (y <= self.height)
        # Samples at whole pixels from the border on, so that bilinear ones never mix two cameras.
        return x.clamp_(begin + 0.5, end - 0.5), y.clamp_(0.0, self.height), inside

    def _rays_from_pixels(self, index: int) -> Tensor:
        """[N, 3, 3] camera axes from (column, row, 1)."""
        inverse = self.focal.new_zeros(len(self.focal), 3, 3)
        inverse[:, 0, 0], inverse[:, 1, 1], inverse[:, 2, 2] = *self.focal[:, index].reciprocal().unbind(-1), 1.0
        inverse[:, :2, 2] = -self.centre[:, index] / self.focal[:, index]
        return inverse

    def _pixels_from_rays(self, index: int) -> Tensor:
        """[N, 3, 3] (column, row, 1) times depth from camera axes."""
        matrix = self.focal.new_zeros(len(self.focal), 3, 3)
        matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, 2, 2] = *self.focal[:, index].unbind(-1), 1.0
        matrix[:, :2, 2] = self.centre[:, index]
        return matrix


def _turn(change: FrameChange) -> Tensor:
    """[N, 3, 3] old vehicle axes from new ones."""
    matrix = change.cos.new_zeros(len(change.cos), 3, 3)
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, 2, 2] = change.cos, change.cos, 1.0
    matrix[:, 1, 0], matrix[:, 0, 1] = change.sin, -change.sin
    return matrix


def _plane(weights: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """[N, H, K] of weights [N, 3] times (column, row, 1)."""
    a, b, c = weights[:, :, None, None].unbind(1)
    return (a * column + c) + b * row[:, None]
