"""The noise of a plan: which values it depends on, and which it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.runtime.noise import NoiseKind, noise_for, scene_key
from diffdrive.scene import DrivingCommand, EgoState, LidarSweep, Observation

SHAPE = (20, 8, 2)
EXPECTED_FIRST = [0.7564672, -0.4278726]


def state(time_us: int = 0, x: float = 0.0, speed: float = 5.0) -> EgoState:
    return EgoState(
        timestamp_us=time_us, pose=np.array([x, 0.0, 0.0]), velocity=np.array([speed, 0.1]), acceleration=np.array([0.2, -0.0])
    )


def observation(speed: float = 5.0, points: np.ndarray | None = None) -> Observation:
    sweep = np.arange(12, dtype=np.float32).reshape(4, 3) if points is None else points
    return Observation(ego_history=(state(speed=speed),), command=DrivingCommand.LEFT, lidar=LidarSweep(points=sweep))


def test_the_key_depends_on_motion_command_and_sweep() -> None:
    moment = observation()
    others = [
        observation(speed=5.1),
        replace(moment, command=DrivingCommand.RIGHT),
        observation(points=np.arange(15, dtype=np.float32).reshape(5, 3)),
        replace(moment, lidar=None),
    ]
    assert len({scene_key(each) for each in [moment, *others]}) == 5


def test_the_key_does_not_depend_on_how_a_reader_holds_the_values() -> None:
    stored = 5.123456789012345
    doubles = observation(speed=stored)
    singles = observation(speed=float(np.float32(stored)))
    columns = observation(speed=stored, points=np.arange(12, dtype=np.float32).reshape(4, 3).T.copy().T)
    assert not columns.lidar.points.flags.c_contiguous
    assert scene_key(doubles) == scene_key(singles) == scene_key(columns)


def test_the_key_does_not_depend_on_computed_poses_or_the_length_of_the_history() -> None:
    longer = replace(observation(), ego_history=(state(-500_000, x=-2.5), state()))
    assert scene_key(longer) == scene_key(observation())


def test_the_key_does_not_tell_zeros_apart() -> None:
    negative = replace(state(), acceleration=np.array([0.2, 0.0]))
    assert scene_key(replace(observation(), ego_history=(negative,))) == scene_key(observation())


def test_seeded_noise_is_normal_and_a_function_of_seed_and_key() -> None:
    noise = noise_for(NoiseKind.SEEDED, "scene", 0, SHAPE)
    assert noise.shape == SHAPE and noise.dtype == np.float32
    assert np.array_equal(noise, noise_for(NoiseKind.SEEDED, "scene", 0, SHAPE))
    assert not np.array_equal(noise, noise_for(NoiseKind.SEEDED, "scene", 1, SHAPE))
    assert not np.array_equal(noise, noise_for(NoiseKind.SEEDED, "other", 0, SHAPE))
    many = np.concatenate([noise_for(NoiseKind.SEEDED, str(key), 0, SHAPE).ravel() for key in range(100)])
    assert abs(many.mean()) < 0.02 and abs(many.std() - 1.0) < 0.02


def test_seeded_noise_is_the_same_on_every_machine() -> None:
    # A submission must not depend on where it was made. Generated once, with numpy 2.4 on x86.
    noise = noise_for(NoiseKind.SEEDED, "scene", 0, SHAPE)
    assert noise[0, 0].tolist() == pytest.approx(EXPECTED_FIRST, abs=1e-6)


def test_torch_noise_is_one_draw_of_the_global_generator() -> None:
    torch.manual_seed(3)
    expected = [torch.randn(1, *SHAPE)[0].numpy() for _ in range(2)]
    torch.manual_seed(3)
    drawn = [noise_for(NoiseKind.TORCH, "any", 0, SHAPE) for _ in range(2)]
    assert all(np.array_equal(one, other) for one, other in zip(expected, drawn, strict=True))


@pytest.mark.parametrize("kind", [NoiseKind.ZERO, NoiseKind.SEEDED])
def test_other_kinds_leave_the_global_generator_alone(kind: NoiseKind) -> None:
    before = torch.random.get_rng_state()
    noise_for(kind, "scene", 0, SHAPE)
    assert torch.equal(before, torch.random.get_rng_state())


def test_zero_noise_is_zero() -> None:
    assert not noise_for(NoiseKind.ZERO, "scene", 0, SHAPE).any()


def test_a_batch_is_refused() -> None:
    with pytest.raises(InputError, match="one scene"):
        noise_for(NoiseKind.SEEDED, "scene", 0, (1, *SHAPE))
