"""An engine with everything around it that a plan also waits for: what is measured, end to end and in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs, pack_sensors
from diffdrive.model import PlannerModel
from diffdrive.runtime.checks import checked_jumps
from diffdrive.runtime.choice import EngineChoice
from diffdrive.runtime.engine import Engine, EngineOptions, SensorEngine, StageMark, no_mark
from diffdrive.runtime.engines import make_engine
from diffdrive.runtime.latency.agreement import Answer
from diffdrive.runtime.latency.loop import synchronizer
from diffdrive.runtime.planner import Planner
from diffdrive.scene import Observation
from diffdrive.tensors import PlannerInputs, SensorTensors, collate


class FrameFailedError(RuntimeError):
    """A frame was answered with the fallback: there is no latency to report."""


class Subject:
    """Runs ``engine``, which was made with ``options``; ``seed`` makes the noise that every plan starts from.

    Batches of one scene go through ``Planner.plan``, checks and choice included: what a vehicle calls. Larger batches,
    which no planner makes, go through the same stages without its checks.
    """

    def __init__(self, engine: Engine, options: EngineOptions, *, name: str, seed: int = 0) -> None:
        self.engine, self.options, self.name = engine, options, name
        self.synchronize = synchronizer(engine.device)
        self._planner = Planner(engine, seed=seed) if options.batch_size == 1 else None
        spec = engine.spec
        generator = torch.Generator().manual_seed(seed)
        shape = (options.batch_size, *spec.noise_shape[1:])
        self.noise = torch.randn(shape, generator=generator).to(engine.device)
        # Asked once: the check looks at every property of the engine.
        self._sensor_engine = engine if isinstance(engine, SensorEngine) else None

    @classmethod
    def make(cls, choice: EngineChoice, model: PlannerModel, options: EngineOptions, *, seed: int = 0) -> Subject:
        """The engine of ``choice``, made from ``model`` (taken over) and ``options``. Raises as ``make_engine`` does."""
        options = replace(options, jumps=checked_jumps(options.jumps, model.config))
        if options.precision is not choice.precision:
            raise InputError(f"The options say {options.precision.value}, the engine is to be {choice}. Give both the same.")
        return cls(make_engine(choice.name, model, options), options, name=str(choice), seed=seed)

    @property
    def end_to_end(self) -> str:
        """What the end-to-end time spans, a sentence."""
        if self._planner is not None:
            return "Planner.plan: from an observation in host memory to the plan, with its checks and its choice."
        return "From the batch's observations in host memory to scores and chosen trajectories in host memory, without checks."

    def plan(self, observations: Sequence[Observation]) -> None:
        """Plan one batch, end to end. Raises ``FrameFailedError`` when the planner could only answer with its fallback."""
        if self._planner is None:
            self.run_stages(observations, no_mark)
            return
        plan = self._planner.plan(observations[0])
        if not plan.status.is_planned:
            raise FrameFailedError(f"{self.name}: {plan.status.value} {plan.detail}".rstrip())

    def ready_inputs(self, observations: Sequence[Observation]) -> PlannerInputs:
        """The network's inputs, on the engine's device."""
        return self._features(observations).to(self.engine.device)

    def run_network(self, inputs: PlannerInputs) -> Answer:
        """The network alone: from inputs that are ready on its device to the answer in host memory."""
        return Answer.of(self.engine.run(inputs, self.noise))

    def run_stages(self, observations: Sequence[Observation], mark: StageMark) -> Answer:
        """Plan one batch stage by stage; ``mark`` hears the end of each. Returns the answer in host memory.

        An engine with its own preprocessing hears: pack, copy, preprocess, backbone, decoder, post. Any other one:
        preprocess, copy, backbone, decoder, post. An engine that cannot tell backbone and decoder apart says network.
        """
        engine = self.engine
        if self._sensor_engine is not None:
            sensors = _pack(observations, self._sensor_engine.staging)
            mark("pack")
            proposals = self._sensor_engine.run_sensors(sensors, self.noise, mark)
        else:
            inputs = self._features(observations)
            mark("preprocess")
            inputs = inputs.to(engine.device)
            mark("copy")
            proposals = engine.run(inputs, self.noise, mark)
        answer = Answer.of(proposals)
        mark("post")
        return answer

    def _features(self, observations: Sequence[Observation]) -> PlannerInputs:
        layout = self.engine.spec.inputs
        built = [build_inputs(observation, layout) for observation in observations]
        batch: PlannerInputs = built[0] if len(built) == 1 else collate(built)
        return batch


def _pack(observations: Sequence[Observation], staging: SensorTensors) -> SensorTensors:
    rows, columns = staging.images.shape[2:4]
    for row, observation in enumerate(observations):
        scene = slice(row, row + 1)
        out = SensorTensors(images=staging.images[scene], points=staging.points[scene], status=staging.status[scene])
        pack_sensors(observation, (rows, columns), staging.points.shape[1], out=out)
    return staging
