"""Plan one observation at a time: features, network, choice, and a safe answer when one of them cannot be had.

planner = Planner.from_checkpoint(folder)
plan = planner.plan(scene.observation)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from diffdrive.contracts import Axes
from diffdrive.features.inputs import build_inputs
from diffdrive.features.inputs.camera import STITCH_ORDER
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.runtime.engine import Engine, EngineOptions
from diffdrive.runtime.engines import make_engine
from diffdrive.runtime.fallback import comfortable_stop
from diffdrive.runtime.plan import Plan, PlanStatus, PlanTiming
from diffdrive.scene import Observation, Trajectory
from diffdrive.tensors import PlannerInputs


class _CannotPlanError(Exception):
    """Carries a status from the stage that failed to the place that makes the fallback."""

    def __init__(self, status: PlanStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Planner:
    """Turns observations into plans. The same observation always gives the same plan.

    ``engine`` runs the network; ``seed`` makes the noise that every plan starts from; ``clock`` returns seconds.
    """

    def __init__(self, engine: Engine, *, seed: int = 0, clock: Callable[[], float] = time.perf_counter) -> None:
        self.engine = engine
        self._clock = clock
        generator = torch.Generator().manual_seed(seed)
        self._noise = torch.randn(engine.spec.noise_shape, generator=generator).to(engine.device)

    @classmethod
    def from_checkpoint(
        cls,
        folder: Path | str,
        *,
        engine: str = "plain",
        options: EngineOptions | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Planner:
        """A planner with the ``engine`` of that name (see ``runtime.ENGINES``).

        Raises ``InputError`` when the checkpoint cannot be read or does not fit, and as ``make_engine`` does.
        """
        return cls(make_engine(engine, load_checkpoint(Path(folder)), options), seed=seed, clock=clock)

    def warm_up(self) -> None:
        """Have the engine do now what would make the first plan slow."""
        self.engine.warm_up()

    def plan(self, observation: Observation, *, noise: np.ndarray | None = None) -> Plan:
        """Plan, and never raise because of what the sensors delivered: ``Plan.status`` says how it went.

        ``noise`` [M, T, 2], standard normal, replaces the planner's own; raises ``InputError`` when its shape is wrong.
        """
        start_noise = self._noise if noise is None else self._own_noise(noise)
        marks = [self._clock()]
        proposals, scores, status, detail = None, None, PlanStatus.PLANNED, ""
        try:
            inputs = self._features(observation)
            marks.append(self._clock())
            poses, logits = self._network(inputs, start_noise)
            marks.append(self._clock())
            proposals, scores = _score(poses, logits)
        except _CannotPlanError as failure:
            status, detail = failure.status, failure.detail
        trajectory = self._fallback(observation) if proposals is None or scores is None else self._choose(proposals, scores)
        marks.append(self._clock())
        return Plan(
            trajectory=trajectory,
            proposals=np.zeros((0, self.engine.spec.num_poses, 3)) if proposals is None else proposals,
            scores=np.zeros(0) if scores is None else scores,
            status=status,
            detail=detail,
            timing=_timing(marks),
        )

    def _own_noise(self, noise: np.ndarray) -> torch.Tensor:
        _, modes, poses, axes = self.engine.spec.noise_shape
        Axes("Planner.plan").check("noise", noise, f"{modes} {poses} {axes}", finite=True)
        return torch.as_tensor(np.array(noise, dtype=np.float32))[None].to(self.engine.device)

    def _features(self, observation: Observation) -> PlannerInputs:
        missing = [camera.value for camera in STITCH_ORDER if camera not in observation.cameras]
        if missing:
            raise _CannotPlanError(PlanStatus.CAMERA_MISSING, f"Missing: {', '.join(missing)}.")
        if observation.lidar is None:
            raise _CannotPlanError(PlanStatus.LIDAR_MISSING, "")
        points = observation.lidar.points
        if not np.isfinite(points).all():
            count = int((~np.isfinite(points)).any(axis=1).sum())
            raise _CannotPlanError(PlanStatus.INPUT_NOT_FINITE, f"{count} of {len(points)} LiDAR points are not finite.")
        try:
            inputs = build_inputs(observation, self.engine.spec.inputs)
        except Exception as error:  # a vehicle must get an answer whatever a sensor driver delivered
            raise _CannotPlanError(PlanStatus.SENSOR_UNREADABLE, _describe(error)) from error
        for name in ("camera", "lidar", "status"):
            if not torch.isfinite(getattr(inputs, name)).all():
                raise _CannotPlanError(PlanStatus.INPUT_NOT_FINITE, f"The '{name}' input is not finite.")
        return inputs.to(self.engine.device)

    def _network(self, inputs: PlannerInputs, noise: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        try:
            proposals = self.engine.run(inputs, noise)
            poses = proposals.poses[0].to("cpu", torch.float64).numpy()
            logits = proposals.logits[0].to("cpu", torch.float64).numpy()
        except Exception as error:  # likewise
            raise _CannotPlanError(PlanStatus.NETWORK_FAILED, _describe(error)) from error
        return poses, logits

    def _choose(self, proposals: np.ndarray, scores: np.ndarray) -> Trajectory:
        return Trajectory(proposals[int(scores.argmax())], interval_s=self.engine.spec.interval_s)

    def _fallback(self, observation: Observation) -> Trajectory:
        spec = self.engine.spec
        return comfortable_stop(observation.ego, spec.num_poses, spec.interval_s)


def _score(poses: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not (np.isfinite(poses).all() and np.isfinite(logits).all()):
        modes = int((~(np.isfinite(poses).all(axis=(1, 2)) & np.isfinite(logits))).sum())
        raise _CannotPlanError(PlanStatus.OUTPUT_NOT_FINITE, f"{modes} of {len(logits)} proposals are not finite.")
    likelihood = np.exp(logits - logits.max())
    return poses, likelihood / likelihood.sum()


def _timing(marks: list[float]) -> PlanTiming:
    # A plan that failed early has fewer marks; the last mark closes whichever stage was running.
    stages = np.diff(marks)
    features, network, selection = [float(stage) for stage in stages] + [0.0] * (3 - len(stages))
    return PlanTiming(features_s=features, network_s=network, selection_s=selection, total_s=marks[-1] - marks[0])


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
