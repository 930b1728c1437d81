"""Raw sensor tensors become the network's inputs where the network runs: what ``build_inputs`` computes, in pure torch.

Static shapes, no look at any value from the host, and sums of whole numbers only: it can be compiled, exported, or recorded
into a CUDA graph, and gives the same numbers every time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.contracts import InputError
from diffdrive.features.inputs.cell_grid import CellGrid
from diffdrive.features.inputs.stitching import QUARTER, QUARTER_TAPS, Stitching
from diffdrive.tensors import InputLayout


class SensorPreprocessor(nn.Module):
    """Images of one size and LiDAR points become the camera and LiDAR input of ``layout``.

    ``image_size`` is rows and columns of each image. Raises ``InputError`` for a size that the crop does not fit. Move it with
    ``.to(device)``; its tables keep their types.
    """

    def __init__(self, layout: InputLayout, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.camera = CameraStitcher(Stitching.of(image_size, layout), image_size)
        self.lidar = LidarHistogram(CellGrid.of(layout))

    def forward(self, images: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """``images`` [B, 3, Hc, Wc, 3] uint8 and ``points`` [B, N, 3] float32, as in ``SensorTensors``.

        Returns camera [B, 3, H, W] and lidar [B, 1, P, P], both float32 in 0..1, as in ``PlannerInputs``.
        Raises ``InputError`` for other shapes or types.
        """
        return self.camera(images), self.lidar(points)


class CameraStitcher(nn.Module):
    """Crop, stitch and resize, as ``build_camera``: the same numbers where it samples, else at most one grey level apart."""

    values: Tensor

    def __init__(self, stitching: Stitching, image_size: tuple[int, int]) -> None:
        super().__init__()
        self._stitching = stitching
        self._image_size = image_size
        # Looked up instead of computed: compilers divide by multiplying with a rounded reciprocal.
        levels = torch.arange(256 * 4 - 3).add(2) // 4 if stitching.samples_quarter else torch.arange(256)
        self.register_buffer("values", levels.to(torch.float32) / 255.0)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, Hc, Wc, 3] uint8 to [B, 3, H, W] float32."""
        if images.ndim != 5 or images.shape[1:] != (3, *self._image_size, 3) or images.dtype != torch.uint8:
            raise InputError(
                f"This preprocessor takes images as uint8 of shape [B, 3, {self._image_size[0]}, {self._image_size[1]}, 3], "
                f"got {images.dtype} of shape {list(images.shape)}. Build it for the size of the images."
            )
        # Left and right are cropped alike: one tensor.
        outer = images[:, ::2, self._stitching.rows, self._stitching.outer_columns]
        front = images[:, 1, self._stitching.rows]
        if self._stitching.samples_quarter:
            outer, front = _sum_of_taps(outer), _sum_of_taps(front)
        stitched = torch.cat((outer[:, 0], front, outer[:, 1]), dim=2).permute(0, 3, 1, 2)
        if self._stitching.changes_size and not self._stitching.samples_quarter:
            stitched = _smooth(stitched, self._stitching.target)
        steps = stitched.to(torch.int32, memory_format=torch.contiguous_format).flatten()
        return self.values.index_select(0, steps).unflatten(0, stitched.shape)


class LidarHistogram(nn.Module):
    """Points per cell, as ``build_lidar``: the same numbers. Points that are not finite count for nothing."""

    values: Tensor
    edges: Tensor
    one: Tensor

    def __init__(self, grid: CellGrid) -> None:
        super().__init__()
        self._grid = grid
        self.register_buffer("values", torch.tensor(grid.values))
        self.register_buffer("edges", torch.tensor(grid.edges))
        self.register_buffer("one", torch.ones(1, 1, dtype=torch.int32))

    def forward(self, points: Tensor) -> Tensor:
        """[B, N, 3] float32 to [B, 1, P, P] float32."""
        if points.ndim != 3 or points.shape[2] != 3 or points.dtype != torch.float32:
            raise InputError(
                f"This preprocessor takes points as float32 of shape [B, N, 3], got {points.dtype} of shape "
                f"{list(points.shape)}. Pack the observation with pack_sensors."
            )
        batch, room = points.shape[:2]
        pixels, ground = self._grid.pixels, points[..., :2]
        # Every comparison with NaN is false.
        height, distance = points[..., 2], ground.abs().amax(dim=-1)
        counts_for = (height > self._grid.lowest) & (height < self._grid.highest) & (distance <= self._grid.reach)
        cells = self._cells(torch.where(counts_for[..., None], ground, 0.0))
        # One more row takes the points that do not count, side by side: at one address their sums would wait in line.
        spare = torch.arange(room, device=points.device) % pixels + pixels * pixels
        cells = torch.where(counts_for, torch.add(cells[..., 1], cells[..., 0], alpha=pixels), spare)
        counts = torch.zeros(batch, (pixels + 1) * pixels, dtype=torch.int32, device=points.device)
        counts = counts.scatter_add(1, cells, self.one.expand(batch, room))
        steps = counts[:, : pixels * pixels].clamp(max=len(self.values) - 1).flatten()
        return self.values.index_select(0, steps).unflatten(0, (batch, 1, pixels, pixels))

    def _cells(self, metres: Tensor) -> Tensor:
        """[...] int64 index of the cell of each value; the values lie within the range."""
        last = self._grid.pixels - 1
        if not self._grid.suits_float32:
            metres = metres.to(torch.float64)
        # Scale first, shift after, as on the CPU.
        cells = (metres * self._grid.cells_per_metre).floor().to(torch.int64) + self._grid.pixels // 2
        if self._grid.suits_float32:
            return cells.clamp(max=last)
        cells = cells.clamp(0, last)
        cells = cells - (metres < self.edges[cells]).to(torch.int64)
        cells = cells + (metres >= self.edges[cells + 1]).to(torch.int64)
        return cells.clamp(max=last)


def _sum_of_taps(crop: Tensor) -> Tensor:
    """[..., H, W, 3] uint8 to [..., H/4, W/4, 3] int16: only the pixels that are needed are read."""
    taps = range(QUARTER)[QUARTER_TAPS]
    first, *others = (crop[..., row::QUARTER, column::QUARTER, :] for row in taps for column in taps)
    total = first.to(torch.int16)
    for other in others:
        total = total + other
    return total


def _smooth(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased and rounded to whole grey levels, at most one apart from what the CPU makes of images of bytes."""
    image = image.to(torch.float32)
    # The CPU rounds after each axis. Doing likewise makes nearly all pixels equal; but where few pixels share in one of the
    # result, two roundings that fall the other way could add up. One rounding cannot.
    steps = [(image.shape[2], size[1]), size] if image.shape[2] >= 2 * size[0] else [size]
    for step in steps:
        image = F.interpolate(image, size=step, mode="bilinear", align_corners=False, antialias=True)
        image = (image + 0.5).floor()
    return image
