"""The data field of images and clouds, which every ROS library stores in its own way."""

from __future__ import annotations

from typing import Any

import numpy as np


def bytes_of(data: Any) -> np.ndarray:
    """[N] uint8 of bytes, an array or a list of numbers; not copied where it need not be."""
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(data).view(np.uint8).reshape(-1)
    if isinstance(data, list | tuple):
        return np.array(data, dtype=np.uint8)
    return np.frombuffer(data, dtype=np.uint8)
