"""Observations in tensors of fixed size: everything is there, nothing old stays, and what does not fit is named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sensor_scenes import FRONT, noise_images, observe, some_points

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_status, pack_sensors
from diffdrive.scene import CameraId, LidarSweep
from diffdrive.tensors import SensorTensors

SIZE, ROOM = (270, 480), 500


def scene(count: int = 300, seed: int = 0):
    return observe(noise_images(*SIZE, seed=seed), some_points(count, seed))


def test_images_points_and_status_are_where_the_contract_says():
    observation = scene()
    packed = pack_sensors(observation, SIZE, ROOM)
    assert packed.batch_size == 1 and packed.images.shape == (1, 3, 270, 480, 3) and packed.points.shape == (1, ROOM, 3)
    for image, camera in zip(packed.images[0].numpy(), FRONT, strict=True):
        assert np.array_equal(image, observation.cameras[camera].image)
    assert np.array_equal(packed.points[0, :300].numpy(), observation.lidar.points)
    assert torch.equal(packed.status[0], build_status(observation))


def test_images_that_are_views_arrive_as_they_look():
    mirrored = [image[:, ::-1] for image in noise_images(*SIZE)]
    swapped = [image[..., ::-1] for image in noise_images(*SIZE)]
    for images in (mirrored, swapped):
        packed = pack_sensors(observe(images, some_points(5)), SIZE, ROOM)
        assert np.array_equal(packed.images[0].numpy(), np.stack(images))


def test_rows_without_a_point_have_a_height_of_minus_infinity():
    padding = pack_sensors(scene(), SIZE, ROOM).points[0, 300:]
    assert (padding[:, 2] == -torch.inf).all() and (padding[:, :2] == 0).all()
    assert torch.isfinite(pack_sensors(scene(ROOM), SIZE, ROOM).points).all()


def test_buffers_are_written_in_place_and_nothing_of_the_last_scene_stays():
    room = pack_sensors(scene(ROOM, seed=1), SIZE, ROOM)
    addresses = [tensor.data_ptr() for tensor in (room.images, room.points, room.status)]
    again = pack_sensors(scene(7, seed=2), SIZE, ROOM, out=room)
    assert again is room
    assert [tensor.data_ptr() for tensor in (again.images, again.points, again.status)] == addresses
    fresh = pack_sensors(scene(7, seed=2), SIZE, ROOM)
    for name in ("images", "points", "status"):
        assert torch.equal(getattr(again, name), getattr(fresh, name))


def test_one_scene_of_a_batch_can_be_written():
    staging = SensorTensors(
        images=torch.zeros(2, 3, *SIZE, 3, dtype=torch.uint8), points=torch.zeros(2, ROOM, 3), status=torch.zeros(2, 8)
    )
    second = SensorTensors(images=staging.images[1:], points=staging.points[1:], status=staging.status[1:])
    pack_sensors(scene(), SIZE, ROOM, out=second)
    assert staging.images[1].any() and staging.points[1].any() and staging.status[1].any()
    assert not staging.images[0].any() and not staging.points[0].any() and not staging.status[0].any()


def test_missing_sensors_are_named():
    cameras = dict(scene().cameras)
    del cameras[CameraId.L0]
    with pytest.raises(InputError, match="l0 is missing"):
        pack_sensors(dataclasses.replace(scene(), cameras=cameras), SIZE, ROOM)
    with pytest.raises(InputError, match="needs a LiDAR sweep"):
        pack_sensors(dataclasses.replace(scene(), lidar=None), SIZE, ROOM)
    with pytest.raises(InputError, match="no points"):
        pack_sensors(dataclasses.replace(scene(), lidar=LidarSweep(points=np.zeros((0, 3)))), SIZE, ROOM)


def test_what_does_not_fit_says_how_to_make_it_fit():
    with pytest.raises(InputError, match=r"1920 x 1080, got 480 x 270.*image_size=\(270, 480\)"):
        pack_sensors(scene(), (1080, 1920), ROOM)
    with pytest.raises(InputError, match=r"500 LiDAR points, got 501.*max_points=501"):
        pack_sensors(scene(ROOM + 1), SIZE, ROOM)
    images = noise_images(*SIZE)
    images[1] = images[1][:135]
    with pytest.raises(InputError, match="f0 480 x 135"):
        pack_sensors(observe(images, some_points(3)), SIZE, ROOM)


@pytest.mark.parametrize("device, room", [("cpu", ROOM + 1), ("meta", ROOM)])
def test_buffers_of_other_sizes_or_elsewhere_are_refused(device, room):
    out = pack_sensors(scene(), SIZE, room).to(device)
    with pytest.raises(InputError, match=rf"points of shape \[1, {ROOM}, 3\]|images of shape .* on meta"):
        pack_sensors(scene(), SIZE, ROOM, out=out)


def test_a_scene_that_is_refused_leaves_the_buffers_as_they_were():
    room = pack_sensors(scene(seed=1), SIZE, ROOM)
    before = room.images.clone(), room.points.clone(), room.status.clone()
    with pytest.raises(InputError):
        pack_sensors(scene(ROOM + 1, seed=2), SIZE, ROOM, out=room)
    for tensor, old in zip((room.images, room.points, room.status), before, strict=True):
        assert torch.equal(tensor, old)
