"""An observation becomes sensor tensors of fixed size, for engines that preprocess on their own device."""

from __future__ import annotations

import ctypes

import numpy as np
import torch

from diffdrive.contracts import InputError
from diffdrive.features.inputs.ego_status import STATUS_SIZE, build_status
from diffdrive.features.inputs.lidar_bev import sweep_points
from diffdrive.features.inputs.stitching import STITCH_ORDER, front_images
from diffdrive.scene import Observation
from diffdrive.tensors import SensorTensors

PADDING = (0.0, 0.0, -np.inf)
"""x, y, z of a row without a point: below every height that counts."""


def pack_sensors(
    observation: Observation, image_size: tuple[int, int], max_points: int, out: SensorTensors | None = None
) -> SensorTensors:
    """The sensors of one scene: batch size 1, in host memory. ``image_size`` is rows and columns.

    ``out`` (of these sizes, in host memory, pinned or not) is overwritten and returned, so that nothing is allocated; without
    it, new tensors are. Raises ``InputError`` where a sensor is missing, for images of another size, for more points than
    there is room for, and for an ``out`` of other sizes; ``out`` is then unchanged.
    """
    images, points = front_images(observation.cameras), sweep_points(observation.lidar)
    _check_sizes(images, points, image_size, max_points)
    if out is None:
        out = _room(image_size, max_points)
    _check_room(out, image_size, max_points)
    for target, image in zip(out.images[0], images, strict=True):
        _copy_image(target, image)
    rows = out.points[0].numpy()
    rows[: len(points)] = points
    rows[len(points) :] = PADDING
    out.status[0] = build_status(observation)
    return out


def _copy_image(target: torch.Tensor, image: np.ndarray) -> None:
    """On all of torch's threads: one core takes longer to move 19 MB than a GPU takes to plan."""
    if not image.flags.c_contiguous:
        np.copyto(target.numpy(), image)
        return
    # torch warns about memory that must not be written, so it is given the address; it only reads.
    memory = (ctypes.c_uint8 * image.nbytes).from_address(image.ctypes.data)
    target.copy_(torch.frombuffer(memory, dtype=torch.uint8).view(target.shape))


def _room(image_size: tuple[int, int], max_points: int) -> SensorTensors:
    return SensorTensors(
        images=torch.empty(1, len(STITCH_ORDER), *image_size, 3, dtype=torch.uint8),
        points=torch.empty(1, max_points, 3),
        status=torch.empty(1, STATUS_SIZE),
    )


def _check_sizes(images: list[np.ndarray], points: np.ndarray, image_size: tuple[int, int], max_points: int) -> None:
    rows, columns = images[0].shape[:2]
    if (rows, columns) != tuple(image_size):
        raise InputError(
            f"There is room for images of {image_size[1]} x {image_size[0]}, got {columns} x {rows}. "
            f"Build the engine with EngineOptions(image_size=({rows}, {columns})), or resize the images."
        )
    if len(points) > max_points:
        raise InputError(
            f"There is room for {max_points} LiDAR points, got {len(points)}. "
            f"Build the engine with EngineOptions(max_points={len(points)}) or more, or thin the sweep."
        )


def _check_room(out: SensorTensors, image_size: tuple[int, int], max_points: int) -> None:
    expected = {"images": (1, len(STITCH_ORDER), *image_size, 3), "points": (1, max_points, 3), "status": (1, STATUS_SIZE)}
    for name, shape in expected.items():
        tensor = getattr(out, name)
        if tuple(tensor.shape) != shape or tensor.device.type != "cpu":
            raise InputError(
                f"pack_sensors writes {name} of shape {list(shape)} in host memory, got {list(tensor.shape)} on "
                f"{tensor.device}. Pass one scene of the engine's own staging tensors, or leave out away."
            )
