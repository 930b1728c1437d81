"""One engine's attempt at one observation: check the sensors, make what the engine takes, run it, check what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.features.inputs.packing import pack_sensors
from diffdrive.features.inputs.stitching import STITCH_ORDER
from diffdrive.runtime.engine import Engine, SensorEngine
from diffdrive.runtime.errors import describe
from diffdrive.runtime.noise import fixed_noise
from diffdrive.runtime.plan import PlanStatus
from diffdrive.scene import Observation
from diffdrive.tensors import PlannerInputs, Proposals, SensorTensors


class CannotPlanError(Exception):
    """Carries a status from the stage that failed to the place that makes the fallback."""

    def __init__(self, status: PlanStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network said about one scene, in memory of its own."""

    proposals: np.ndarray
    """[M, T, 3], finite."""

    scores: np.ndarray
    """[M], they sum to one."""


class Attempt:
    """Asks ``engine``; ``seed`` makes the noise. All errors are ``CannotPlanError``, whatever raised them."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        # Asked once: the check looks at every property of the engine.
        self._sensor_engine = engine if isinstance(engine, SensorEngine) else None
        self._noise = fixed_noise(engine.spec.noise_shape, seed).to(engine.device)

    def features(self, observation: Observation) -> PlannerInputs | SensorTensors:
        """What the engine takes: sensor tensors if it preprocesses itself, else inputs on its device."""
        try:
            _check_sensors(observation)
            features = self._features(observation)
            is_finite = bool(torch.isfinite(features.status).all())
        except CannotPlanError:
            raise
        except Exception as error:  # a vehicle must get an answer whatever a sensor driver delivered
            raise CannotPlanError(PlanStatus.SENSOR_UNREADABLE, describe(error)) from error
        # Images are bytes and the histogram counts points that were checked: only the ego status is left to check.
        if not is_finite:
            raise CannotPlanError(PlanStatus.INPUT_NOT_FINITE, "The ego's velocity or acceleration is not finite.")
        return features

    def network(self, features: PlannerInputs | SensorTensors, noise: torch.Tensor | None) -> Answer:
        """Run the engine on ``features``, from ``noise`` [1, M, T, 2] or the attempt's own."""
        start = self._noise if noise is None else noise.to(self.engine.device)
        try:
            proposals = self._run(features, start)
            shapes = (tuple(proposals.poses.shape), tuple(proposals.logits.shape))
            # Copies: the engine may overwrite its buffers at the next call, the plan must not notice.
            poses = proposals.poses.to("cpu", torch.float64, copy=True).numpy()
            logits = proposals.logits.to("cpu", torch.float64, copy=True).numpy()
        except Exception as error:  # likewise
            raise CannotPlanError(PlanStatus.NETWORK_FAILED, describe(error)) from error
        _, modes, times, _ = self.engine.spec.noise_shape
        if shapes != ((1, modes, times, 3), (1, modes)):
            detail = f"Poses {list(shapes[0])} and logits {list(shapes[1])}, not {[1, modes, times, 3]} and {[1, modes]}."
            raise CannotPlanError(PlanStatus.OUTPUT_MALFORMED, detail)
        return Answer(poses[0], _scores(poses[0], logits[0]))

    def _features(self, observation: Observation) -> PlannerInputs | SensorTensors:
        if self._sensor_engine is None:
            return build_inputs(observation, self.engine.spec.inputs).to(self.engine.device)
        room = self._sensor_engine.staging
        rows, columns = room.images.shape[2:4]
        return pack_sensors(observation, (rows, columns), room.points.shape[1], out=room)

    def _run(self, features: PlannerInputs | SensorTensors, noise: torch.Tensor) -> Proposals:
        if isinstance(features, PlannerInputs):
            return self.engine.run(features, noise)
        if self._sensor_engine is None:
            raise InputError("Sensor tensors need an engine that preprocesses. Build PlannerInputs for this one.")
        return self._sensor_engine.run_sensors(features, noise)


def _check_sensors(observation: Observation) -> None:
    missing = [camera.value for camera in STITCH_ORDER if camera not in observation.cameras]
    if missing:
        raise CannotPlanError(PlanStatus.CAMERA_MISSING, f"Missing: {', '.join(missing)}.")
    if observation.lidar is None:
        raise CannotPlanError(PlanStatus.LIDAR_MISSING, "")
    for camera in STITCH_ORDER:
        image = observation.cameras[camera].image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(f"Image {camera.value} must be uint8 [H, W, 3], got {image.dtype} of shape {list(image.shape)}.")
    points = observation.lidar.points
    if points.dtype != np.float32 or points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"LiDAR points must be float32 [N, 3], got {points.dtype} of shape {list(points.shape)}.")
    finite = np.isfinite(points)
    if not finite.all():
        count = int((~finite).any(axis=1).sum())
        raise CannotPlanError(PlanStatus.INPUT_NOT_FINITE, f"{count} of {len(points)} LiDAR points are not finite.")


def _scores(poses: np.ndarray, logits: np.ndarray) -> np.ndarray:
    finite = np.isfinite(poses).all(axis=(1, 2)) & np.isfinite(logits)
    if not finite.all():
        raise CannotPlanError(
            PlanStatus.OUTPUT_NOT_FINITE, f"{int((~finite).sum())} of {len(logits)} proposals are not finite."
        )
    likelihood = np.exp(logits - logits.max())
    scores: np.ndarray = likelihood / likelihood.sum()
    return scores
