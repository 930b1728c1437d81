"""Sensors as bytes: sweeps come back exactly, images nearly, damaged files are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffdrive.scene import CameraFrame
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_LIDAR, Motion
from diffdrive.world.render.archive import pack, unpack
from diffdrive.world.render.lidar_rig import points_from_steps

MOTION = Motion(forward=7.0, left=0.1, yaw_rate=-0.4)
FRONT = NUPLAN_FRONT_RIG[1]


def _frames() -> dict:
    rows = np.linspace(0, 255, FRONT.height)[:, None, None]
    image = np.broadcast_to(rows, (FRONT.height, FRONT.width, 3)).astype(np.uint8).copy()
    # A lit lamp of four pixels.
    image[100:102, 200:202] = [255, 10, 10]
    frame = CameraFrame(image=image, intrinsics=FRONT.intrinsics, ego_from_camera=FRONT.ego_from_camera)
    return {FRONT.camera_id: frame}


def _street(seed: int = 0) -> np.ndarray:
    """Steps as a street gives them: long runs on one surface, jumps between, a fifth lost."""
    rng = np.random.default_rng(seed)
    surfaces = np.repeat(rng.integers(500, 25_000, 400), 250)[: NUPLAN_LIDAR.num_rays]
    steps = np.clip(surfaces + rng.normal(0, 4, len(surfaces)), 1, 25_000).astype(np.uint16)
    steps[rng.random(len(steps)) < 0.2] = 0
    return steps


@pytest.mark.parametrize("case", ["street", "nothing", "extremes"])
def test_a_sweep_comes_back_exactly(case: str) -> None:
    steps = _street()
    if case == "nothing":
        steps = np.zeros_like(steps)
    elif case == "extremes":
        steps = np.tile(np.array([1, 65_535, 0, 65_535, 1, 2], np.uint16), len(steps))[: len(steps)]
    again = unpack(pack(_frames(), steps, MOTION), (FRONT,), NUPLAN_LIDAR).lidar.points
    np.testing.assert_array_equal(again, points_from_steps(NUPLAN_LIDAR, MOTION, steps))
    assert len(again) == (steps > 0).sum()


def test_a_lamp_of_a_few_pixels_keeps_its_colour() -> None:
    given = _frames()
    content = pack(given, _street(), MOTION)
    assert len(content) < 150_000
    (image,) = (frame.image for frame in unpack(content, (FRONT,), NUPLAN_LIDAR).cameras.values())
    red, green, blue = image[100:102, 200:202].reshape(-1, 3).mean(axis=0)
    assert red > 200 and green < 60 and blue < 60
    assert np.abs(image.astype(int) - given[FRONT.camera_id].image).mean() < 1.0


def test_damage_and_other_sensors_are_told() -> None:
    content = pack(_frames(), _street(), MOTION)
    with pytest.raises(ValueError, match="damaged sensor file"):
        unpack(content[: len(content) // 2], (FRONT,), NUPLAN_LIDAR)
    with pytest.raises(ValueError, match=r"damaged sensor file.*camera_l0"):
        unpack(content, NUPLAN_FRONT_RIG, NUPLAN_LIDAR)
    with pytest.raises(ValueError, match="not 54 x 96"):
        unpack(content, (replace(FRONT, width=96, height=54),), NUPLAN_LIDAR)
    with pytest.raises(ValueError, match="not one of"):
        unpack(content, (FRONT,), replace(NUPLAN_LIDAR, spinners=NUPLAN_LIDAR.spinners[:1]))
