"""Plan several observations in one pass of the network, each from the noise of its own seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from diffdrive.features.inputs import build_inputs
from diffdrive.model import PlannerModel
from diffdrive.runtime import EngineOptions, make_engine
from diffdrive.runtime.noise import NoiseKind, noise_for, scene_key
from diffdrive.scene import Observation, Trajectory
from diffdrive.tensors import PlannerInputs

from ..inference import not_planned

SEED_KEY = "alpasim"
"""Of the noise where the driver gives a seed, which then is all that the noise depends on."""


class BatchPlanner:
    """Plans with ``network``, which it takes over, on ``device``. Not for several threads at once."""

    def __init__(self, network: PlannerModel, device: torch.device) -> None:
        self._engine = make_engine("eager", network, EngineOptions(device=str(device)))
        self._engine.warm_up()

    @property
    def interval_s(self) -> float:
        """Seconds between the poses of a plan."""
        return self._engine.spec.interval_s

    def plan(self, observations: Sequence[Observation], seeds: Sequence[int | None]) -> list[Trajectory]:
        """The trajectory with the highest score for each of ``observations``.

        A plan starts from the noise of its seed; without one (None) from that of what the car knows (``scene_key``). Nothing
        else in the batch matters, up to the rounding of a product of other size. Raises ``InputError`` for sensors that the
        network cannot take, ``NotPlannedError`` where its answer is not finite.
        """
        spec = self._engine.spec
        parts = [build_inputs(each, spec.inputs) for each in observations]
        inputs = PlannerInputs(
            camera=torch.cat([part.camera for part in parts]),
            lidar=torch.cat([part.lidar for part in parts]),
            status=torch.cat([part.status for part in parts]),
        ).to(self._engine.device)
        noise = [_noise(seed, each, spec.noise_shape[1:]) for seed, each in zip(seeds, observations, strict=True)]
        proposals = self._engine.run(inputs, torch.from_numpy(np.stack(noise)).to(self._engine.device))
        poses, logits = proposals.poses.cpu().double().numpy(), proposals.logits.cpu().double().numpy()
        finite = np.isfinite(poses).all(axis=(1, 2, 3)) & np.isfinite(logits).all(axis=1)
        if not finite.all():
            places = ", ".join(str(place) for place in np.flatnonzero(~finite))
            raise not_planned(f"{places} of a batch of {len(finite)}", "The network answered with NaN or infinite values.")
        return [
            Trajectory(mode[best], interval_s=spec.interval_s) for mode, best in zip(poses, logits.argmax(axis=1), strict=True)
        ]


def _noise(seed: int | None, observation: Observation, shape: tuple[int, ...]) -> np.ndarray:
    key = SEED_KEY if seed is not None else scene_key(observation)
    return noise_for(NoiseKind.SEEDED, key, seed or 0, shape)
