"""The noise that a plan starts from, as a choice: none, a function of the scene, or torch's generator.

noise = noise_for(NoiseKind.SEEDED, scene_key(observation), seed=0, shape=spec.noise_shape[1:])
plan = planner.plan(observation, noise=noise)
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from diffdrive.contracts import InputError
from diffdrive.scene import Observation

_KEY_BYTES = 16


class NoiseKind(enum.Enum):
    """Where the noise comes from."""

    ZERO = "zero"
    """No noise: the plan starts from the anchors themselves, at the scale of the first noise level."""

    SEEDED = "seeded"
    """Standard normal, a function of the seed and the scene's key: the order of scenes does not matter."""

    TORCH = "torch"
    """Standard normal, the next draw of torch's global generator, as the public model does: the order of scenes matters."""


def scene_key(observation: Observation) -> str:
    """A name for the moment, 32 hexadecimal characters, from what the car knows: its motion now, the command, the sweep.

    Only values that a log stores go in, at single precision, which is how NAVSIM hands them over. Past poses stay out: they
    are computed, and readers of one log may compute them differently in the last bit. So do images, which take longer to
    digest than to plan with.
    """
    digest = hashlib.blake2b(digest_size=_KEY_BYTES)
    ego = observation.ego
    digest.update(_bytes(np.concatenate([ego.velocity, ego.acceleration])))
    digest.update(bytes([int(observation.command)]))
    if observation.lidar is not None:
        digest.update(_bytes(observation.lidar.points))
    return digest.hexdigest()


def fixed_noise(shape: Sequence[int], seed: int) -> torch.Tensor:
    """Standard normal of ``shape``, the same for every scene: what a planner starts from unless told otherwise."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def noise_for(kind: NoiseKind, key: str, seed: int, shape: Sequence[int], device: torch.device | str = "cpu") -> np.ndarray:
    """[M, T, 2] float32 of ``shape``, for one scene.

    ``seed`` and ``key`` count for ``SEEDED`` alone, and ``device`` for ``TORCH`` alone: each device has a generator of its
    own, and the public model draws where it runs. Raises ``InputError`` for another number of axes.
    """
    if len(shape) != 3:
        raise InputError(f"noise_for makes the noise of one scene, shape [M, T, 2], got {list(shape)}.")
    if kind is NoiseKind.ZERO:
        return np.zeros(tuple(shape), np.float32)
    if kind is NoiseKind.TORCH:
        # One draw with the batch axis, as the public model's.
        return torch.randn((1, *shape), device=device)[0].cpu().numpy()
    digest = hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=_KEY_BYTES).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
    return generator.standard_normal(tuple(shape)).astype(np.float32)


def _bytes(values: np.ndarray) -> bytes:
    # Adding zero makes negative zeros positive: they are equal numbers with other bytes.
    return (np.ascontiguousarray(values, dtype="<f4") + np.float32(0)).tobytes()
