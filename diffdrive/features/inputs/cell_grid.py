"""The square grid of the LiDAR histogram: its edges, its heights, and the value of a count. Shared by CPU and device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffdrive.tensors import InputLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGrid:
    """Cells along one axis, both axes being alike. Cell k begins at ``edges[k]``; the last one holds its upper edge too."""

    pixels: int
    cells_per_metre: float

    reach: float
    """Points with |x| and |y| up to here count, metres: the largest float32 within the range, so that float32 can decide."""

    lowest: float
    highest: float
    """Heights between these count, metres. They are float32 numbers, the type of the points: a return at float32(0.2) is
    ground."""

    edges: np.ndarray
    """[P + 1] float64, metres."""

    values: np.ndarray
    """[max_count + 1] float32: what the network sees for a count. Higher counts look like the last."""

    suits_float32: bool
    """Cells measure a power of two in metres: then edges are float32 numbers, and finding a cell in float32 is exact."""

    @classmethod
    def of(cls, layout: InputLayout) -> CellGrid:
        """The grid of ``layout``."""
        pixels, reach = layout.lidar_pixels, layout.lidar_range_m
        # Above a metre a cell would shrink numbers, and the smallest negative ones would vanish into the middle edge.
        mantissa, exponent = math.frexp(2 * reach / pixels)
        return cls(
            pixels=pixels,
            cells_per_metre=pixels / (2 * reach),
            reach=_float32_not_above(reach),
            lowest=float(np.float32(layout.lidar_min_height_m)),
            highest=float(np.float32(layout.lidar_max_height_m)),
            edges=np.linspace(-reach, reach, pixels + 1),
            values=(np.arange(layout.lidar_max_count + 1) / layout.lidar_max_count).astype(np.float32),
            suits_float32=mantissa == 0.5 and -20 <= exponent <= 1,
        )


def _float32_not_above(value: float) -> float:
    nearest = np.float32(value)
    return float(nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(-np.inf)))
