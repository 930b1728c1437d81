"""sensor_msgs PointCloud2 to points."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffdrive.contracts import InputError

from .raw_bytes import bytes_of

_FLOATS = {7: "f4", 8: "f8"}
"""PointField's numbers of float types."""


def points_of(message: Any) -> np.ndarray:
    """[N, 3] float32: x, y and z in metres, in the message's own frame.

    Fields may come in any order, at any offset, as float32 or float64 of either byte order, among others. Where the message
    admits invalid points (``is_dense`` false), those are dropped. Where it says that there are none, they stay: the sweep then
    counts as damaged, because its sender does not know what it sends.

    Raises ``InputError`` for missing fields, other types, sizes that do not fit each other, and a cloud without valid points.
    """
    height, width, row_step = int(message.height), int(message.width), int(message.row_step)
    dtype, data = _dtype(message), bytes_of(message.data)
    if row_step < width * dtype.itemsize or len(data) != height * row_step:
        raise InputError(
            f"A cloud of {height} rows of {width} points of {dtype.itemsize} bytes needs a row_step of at least "
            f"{width * dtype.itemsize} bytes and height times row_step bytes of data, got {row_step} and {len(data)}."
        )
    rows = data.reshape(height, row_step)[:, : width * dtype.itemsize]
    cloud = np.ascontiguousarray(rows).reshape(-1).view(dtype)
    with np.errstate(over="ignore"):  # becomes infinite, and is then no valid point
        points = np.stack([cloud[axis].astype(np.float32) for axis in "xyz"], axis=-1)
    if not bool(message.is_dense):
        points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        raise InputError(f"The cloud holds no valid point ({height * width} in all).")
    return points


def _dtype(message: Any) -> np.dtype[Any]:
    fields = {str(field.name): field for field in message.fields}
    if missing := [axis for axis in "xyz" if axis not in fields]:
        raise InputError(f"The cloud has no field {', '.join(missing)} (it has: {', '.join(fields) or 'none'}).")
    order, point_step, formats = ">" if message.is_bigendian else "<", int(message.point_step), []
    for axis in "xyz":
        field = fields[axis]
        code = _FLOATS.get(int(field.datatype))
        if code is None or int(field.count) not in (0, 1):
            raise InputError(
                f"The cloud's field {axis} must be one FLOAT32 (7) or FLOAT64 (8), "
                f"got datatype {field.datatype} and count {field.count}."
            )
        if int(field.offset) + int(code[1]) > point_step:
            raise InputError(
                f"The cloud's field {axis} ends beyond its point_step of {point_step} bytes (offset {field.offset})."
            )
        formats.append(order + code)
    offsets = [int(fields[axis].offset) for axis in "xyz"]
    return np.dtype({"names": list("xyz"), "formats": formats, "offsets": offsets, "itemsize": point_step})
