"""The CUDA-graph engine: from raw sensor tensors to proposals with one call to the driver."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.features.inputs.on_device import SensorPreprocessor
from diffdrive.model import PlannerModel
from diffdrive.model.inference import InferenceModel, Perceived
from diffdrive.runtime.checks import check_request, checked_jumps
from diffdrive.runtime.compiled import compiled, compiling
from diffdrive.runtime.eager import EagerEngine
from diffdrive.runtime.engine import Engine, EngineOptions, EngineSpec, Precision, StageMark, no_mark
from diffdrive.runtime.errors import describe
from diffdrive.runtime.graph import (
    Answer,
    CudaRecorder,
    Frame,
    GraphProgram,
    Recorder,
    Stage,
    StaleAnswerError,
    Work,
    cuda_device,
    measured_convolutions,
)
from diffdrive.tensors import PlannerInputs, Proposals, SensorTensors

NUM_TRIALS = 3
"""Random inputs on which a recording must agree with eager work before it is trusted."""

BOUNDS = {Precision.FLOAT32: 1e-3, Precision.FLOAT16: 2e-2, Precision.BFLOAT16: 1e-1}
"""Largest difference (metres, radians, logits) that a sum in another order may make. A wrong recording is off by more."""


def make_cuda_graph(model: PlannerModel, options: EngineOptions, *, compiles: bool = False) -> Engine:
    """The CUDA-graph engine, of compiled kernels if asked for; without CUDA the eager engine, whose ``degraded`` says so.

    Raises ``InputError`` as ``cuda_device`` does.
    """
    device = cuda_device(options.device)
    if isinstance(device, torch.device):
        kind = CompiledGraphEngine if compiles else CudaGraphEngine
        return kind(model, options, CudaRecorder(device))
    engine = EagerEngine(model, replace(options, device="cpu"))
    engine.degraded = f"{device} {engine.degraded}".strip()
    return engine


class DeviceLostError(RuntimeError):
    """The GPU's context is broken, which only a new process repairs."""


class CudaGraphEngine:
    """The inference network, recorded with everything around it: copies in, preprocessing, network, copies out.

    Proposals lie in host memory and are the caller's own. One engine serves one thread at a time; several engines in one
    process have their own streams, buffers and memory pools. After ``warm_up`` a call allocates no device memory; timing
    stages (``mark``) records four more graphs at the first call, and waits for the device after each stage.

    Where nothing can be recorded, or the recording does not agree with eager work, the network runs eagerly on the same
    buffers and ``degraded`` says why. A run whose work was not done raises ``StaleAnswerError`` and ends the trust in its
    recording; a CUDA error other than a lack of memory raises ``DeviceLostError``, then and at every later call.

    Raises ``InputError`` for jumps that the model was not trained for. ``model`` is not needed afterwards.
    """

    name = "cuda_graph"

    def __init__(self, model: PlannerModel, options: EngineOptions, recorder: Recorder) -> None:
        jumps = checked_jumps(options.jumps, model.config)
        self._recorder = recorder
        self.device = recorder.device
        self.spec = EngineSpec.of(model.config, options.batch_size)
        self._precision = options.precision
        self._model = InferenceModel(
            model,
            jumps,
            dtype=self._precision.dtype,
            wants_agents=options.wants_agents,
            wants_bev=options.wants_bev,
        ).to(self.device)
        self._perceive_scene: Callable[..., Perceived] = self._model.perceive
        self._denoise_scene: Callable[..., tuple[Tensor, Tensor]] = self._model.denoise
        self._preprocessor = SensorPreprocessor(self.spec.inputs, options.image_size).to(self.device)
        self._frame = Frame(self._recorder, self.spec, options.image_size, options.max_points)
        self._perceived: Perceived | None = None
        self._answer: Answer | None = None
        network = [Stage(name="backbone", work=self._perceive), Stage(name="decoder", work=self._denoise)]
        sensors = [Stage(name="copy", work=self._frame.upload), Stage(name="preprocess", work=self._preprocess)]
        self._from_sensors = GraphProgram([*sensors, *network], self._recorder)
        self._from_inputs = GraphProgram(network, self._recorder)
        self._lock = threading.Lock()
        self._is_warm = False
        self._lost = ""

    @property
    def description(self) -> str:
        """Number format and device."""
        return f"{self.name}: inference network and preprocessing, {self._precision.value}, {self.device}"

    @property
    def degraded(self) -> str:
        """Why something else than a recording runs; empty when a recording does (or will, before ``warm_up``)."""
        reasons = (self._lost, self._from_sensors.degraded, self._from_inputs.degraded)
        return " ".join(dict.fromkeys(reason for reason in reasons if reason))

    @property
    def staging(self) -> SensorTensors:
        """Pinned host memory: fill it (``pack_sensors`` with ``out``) and pass it to ``run_sensors``."""
        return self._frame.staging

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Record, and compare the recordings with eager work. The first call does it otherwise."""
        with self._turn():
            self._prepare()

    @torch.inference_mode()
    def run_sensors(self, sensors: SensorTensors, noise: Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan from what the sensors delivered; ``mark`` hears copy, preprocess, backbone and decoder."""
        self._frame.check(sensors, noise)
        with self._turn():
            if not self._is_warm:
                # The trials write into the staging memory, where this frame may lie.
                sensors = sensors.to("cpu", copy=True)
                self._prepare()
            self._frame.stage(sensors)
            return self._run(self._from_sensors, noise, mark)

    @torch.inference_mode()
    def run(self, inputs: PlannerInputs, noise: Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan from ready inputs on the device; ``mark`` hears backbone and decoder."""
        check_request(self.spec, inputs, noise)
        with self._turn():
            self._prepare()
            self._frame.accept(inputs)
            return self._run(self._from_inputs, noise, mark)

    def _run(self, program: GraphProgram, noise: Tensor, mark: StageMark) -> Proposals:
        self._frame.noise.copy_(noise, non_blocking=True)
        try:
            outputs = self._answer_of(lambda: program.run(mark))
        except StaleAnswerError as error:
            program.fall_back(f"The CUDA graph is no longer trusted ({error}), so the network runs eagerly.")
            raise
        return self._model.proposals(outputs)

    def _preprocess(self) -> None:
        camera, lidar = self._preprocessor(self._frame.images, self._frame.points)
        self._frame.inputs.camera.copy_(camera)
        self._frame.inputs.lidar.copy_(lidar)

    def _perceive(self) -> None:
        if self._answer is not None:
            self._answer.admit()
        inputs = self._frame.inputs
        self._perceived = self._perceive_scene(inputs.camera, inputs.lidar, inputs.status)

    def _denoise(self) -> None:
        if self._perceived is None:
            raise RuntimeError("The decoder has nothing to decode: the backbone comes first.")
        outputs = (*self._denoise_scene(self._perceived.memory, self._frame.noise), *self._perceived.heads)
        if self._answer is None:
            self._answer = Answer(self._recorder, outputs)
        self._answer.deliver(outputs)

    def _answer_of(self, work: Work) -> tuple[Tensor, ...]:
        if self._answer is None:
            raise RuntimeError("The engine was not prepared.")
        self._answer.expect()
        work()
        self._recorder.synchronize()
        return self._answer.collect()

    def _prepare(self) -> None:
        if self._is_warm:
            return
        # Once eagerly, to learn the sizes of the outputs; errors that have nothing to do with recording end here.
        with measured_convolutions():
            self._from_sensors.run_eagerly()
            self._recorder.synchronize()
            for program in (self._from_sensors, self._from_inputs):
                program.record(self._trial)
        self._frame.clear()
        self._is_warm = True

    def _trial(self, eager: Work, replay: Work) -> str:
        generator = torch.Generator().manual_seed(0)
        bound = BOUNDS[self._precision]
        for number in range(1, NUM_TRIALS + 1):
            self._frame.randomise(generator, self.spec.inputs.lidar_range_m)
            expected, answered = self._answer_of(eager), self._answer_of(replay)
            gaps = [(one - other).abs().max() for one, other in zip(expected, answered, strict=True)]
            difference = float(torch.stack(gaps).max())
            if not difference <= bound:  # NaN is no agreement
                return f"on random input {number} it differs from eager work by {difference:.3g}, more than {bound:g}"
        return ""

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise InputError(
                "One engine serves one thread at a time, and a call is in progress. Make an engine for each thread."
            )
        try:
            if self._lost:
                raise DeviceLostError(self._lost)
            with self._recorder.ordered():
                yield
        except Exception as error:
            # What was queued before the error must not read buffers that the next call writes.
            with suppress(Exception):
                self._recorder.synchronize()
            if _is_device_lost(error) and not self._lost:
                self._lost = f"The device was lost ({describe(error)}). Only a new process can use it again."
                raise DeviceLostError(self._lost) from error
            raise
        finally:
            self._lock.release()


class CompiledGraphEngine(CudaGraphEngine):
    """``CudaGraphEngine`` whose network went through torch.compile first: fewer kernels, recorded all the same.

    The compiled network must agree with the uncompiled one on the trial's inputs. Where it does not, or nothing can be
    compiled (no Triton), the uncompiled network is recorded and ``degraded`` says why. ``warm_up`` takes a minute or two.
    """

    name = "cuda_graph_compiled"
    _uncompiled_because = ""

    @property
    def degraded(self) -> str:
        """As for ``CudaGraphEngine``, and why the network is not compiled."""
        return " ".join(reason for reason in (self._uncompiled_because, super().degraded) if reason)

    def _prepare(self) -> None:
        if not self._is_warm and not self._uncompiled_because:
            self._from_sensors.run_eagerly()
            try:
                self._perceive_scene, self._denoise_scene = compiled(self._model)
                with compiling(self.device):
                    self._from_sensors.run_eagerly()
                    self._recorder.synchronize()
                complaint = self._trial(self._run_uncompiled, self._from_sensors.run_eagerly)
            except Exception as error:  # a compiler can fail in any way, and the network runs without it
                complaint = describe(error)
            if complaint:
                self._perceive_scene, self._denoise_scene = self._model.perceive, self._model.denoise
                self._uncompiled_because = f"The network is recorded uncompiled: {complaint}."
        super()._prepare()

    def _run_uncompiled(self) -> None:
        network = self._perceive_scene, self._denoise_scene
        self._perceive_scene, self._denoise_scene = self._model.perceive, self._model.denoise
        try:
            self._from_sensors.run_eagerly()
        finally:
            self._perceive_scene, self._denoise_scene = network


def _is_device_lost(error: Exception) -> bool:
    """A CUDA error breaks the context for good; a lack of memory and a broken recording do not, whoever reports them."""
    text = str(error)
    return "CUDA error" in text and "out of memory" not in text and "captur" not in text
