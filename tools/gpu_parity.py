"""Sections of the check of a GPU that compare answers: engines, recordings, preprocessing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from gpu_findings import Findings, Setting, strict_float32

from diffdrive.features.inputs import build_inputs, pack_sensors
from diffdrive.features.inputs.on_device import SensorPreprocessor
from diffdrive.model import PLANNERS
from diffdrive.runtime import Planner, Precision, SensorEngine
from diffdrive.runtime.latency import (
    Answer,
    Disagreement,
    EngineChoice,
    Subject,
    cuda_allocations,
    disagreement,
    image_size,
    worst,
)

BOUNDS = {Precision.FLOAT32: 1e-4, Precision.FLOAT16: 0.03, Precision.BFLOAT16: 0.2}
"""Largest difference from the plain engine on random weights: metres, radians and logits alike. About four times what the
eager engine shows on a CPU in the half precisions; in single precision ten times, for other orders of summation."""

SENSOR_BOUND = 0.03
"""Added where the engine preprocesses itself: a resize may differ by one grey level in some pixels."""

TABLES = ("reference", "ddim")
"""Two passes each. The other tables run the same operations, once or three times."""

STEADY_CALLS = 100
BATCH = 4


def parity(setting: Setting, findings: Findings) -> None:
    """Every engine that needs only torch against the plain one: all models, jump tables, precisions, modes."""
    names = [name for name in ("eager", "cuda_graph") if name in setting.engines]
    for model in setting.models:
        for jumps in TABLES:
            if setting.is_late(findings, f"parity of {model}, {jumps}"):
                continue
            with strict_float32(), findings.guard(f"plain, {model}, {jumps}"):
                expected = _answers(setting, setting.subject(EngineChoice("plain"), model, jumps=jumps))
                for name in names:
                    for precision in setting.precisions:
                        choice = EngineChoice(name, precision)
                        what = f"{choice} answers as plain, {model}, {jumps}"
                        with findings.guard(what):
                            subject = setting.subject(choice, model, jumps=jumps)
                            _hold_against(setting, findings, subject, what, expected)


def extra_parity(setting: Setting, findings: Findings, subject: Subject, model: str) -> None:
    """One more engine against the plain one, reference jumps."""
    with strict_float32():
        expected = _answers(setting, setting.subject(EngineChoice("plain"), model))
        _hold_against(setting, findings, subject, f"{subject.name} answers as plain, {model}, reference", expected)


def _hold_against(setting: Setting, findings: Findings, subject: Subject, what: str, expected: Sequence[Answer]) -> None:
    bound = BOUNDS[subject.options.precision]
    _note(findings, what, _apart(_answers(setting, subject), expected), bound)
    if isinstance(subject.engine, SensorEngine):
        seen = [subject.run_stages([each], lambda stage: None) for each in setting.observations]
        _note(findings, f"{what}, from sensors", _apart(seen, expected), bound + SENSOR_BOUND)
    if subject.engine.degraded:
        findings.numbers[f"degraded, {what}"] = subject.engine.degraded
        if setting.has_gpu:
            findings.check(f"{what}, as it was asked to", False, subject.engine.degraded)


def _note(findings: Findings, what: str, apart: Disagreement, bound: float) -> None:
    findings.check(what, apart.within(bound, bound), f"pose {apart.pose:.2e}, logit {apart.logit:.2e}, allowed {bound:.1e}")
    findings.numbers[what] = {**dataclasses.asdict(apart), "bound": bound}


def _answers(setting: Setting, subject: Subject) -> list[Answer]:
    return [subject.run_network(subject.ready_inputs([each])) for each in setting.observations]


def _apart(given: Sequence[Answer], expected: Sequence[Answer]) -> Disagreement:
    return worst([disagreement(a, b) for a, b in zip(given, expected, strict=True)])


def recording(setting: Setting, findings: Findings) -> None:
    """The CUDA graph: recorded, equal to eager work on changing inputs, repeatable, and without allocations."""
    for model in setting.models:
        for precision in setting.precisions:
            what = f"{model}, {precision.value}"
            if setting.is_late(findings, f"recording of {what}"):
                continue
            with strict_float32(), findings.guard(f"recording of {what}"):
                subject = setting.subject(EngineChoice("cuda_graph", precision), model)
                if setting.has_gpu:
                    findings.check(f"the graph is recorded, {what}", not subject.engine.degraded, subject.engine.degraded)
                first = _answers(setting, subject)
                eager = setting.subject(EngineChoice("eager", precision), model)
                bound = BOUNDS[precision]
                _note(findings, f"replay is eager work, {what}", _apart(first, _answers(setting, eager)), bound)
                same = _apart(_answers(setting, subject), first).within(0.0, 0.0)
                findings.check(f"replays repeat to the last bit, {what}", same)
                _steady(setting, findings, subject, what)
    for model in setting.models:
        if not setting.is_late(findings, f"planners and batches of {model}"):
            with strict_float32(), findings.guard(f"two planners, {model}"):
                _two_planners(setting, findings, model)
            with strict_float32(), findings.guard(f"batches, {model}"):
                _batches(setting, findings, model)


def _steady(setting: Setting, findings: Findings, subject: Subject, what: str) -> None:
    if not setting.has_gpu:
        findings.skipped[f"allocations, {what}"] = "there is no CUDA allocator on the CPU"
        return
    inputs = subject.ready_inputs(setting.observations[:1])
    engine = subject.engine
    calls = {"inputs": lambda: engine.run(inputs, subject.noise)}
    if isinstance(engine, SensorEngine):
        calls["sensors"] = lambda: engine.run_sensors(engine.staging, subject.noise)
    for name, call in calls.items():
        call()
        before = cuda_allocations(setting.device)
        for _ in range(STEADY_CALLS):
            call()
        count = cuda_allocations(setting.device) - before
        findings.check(f"no allocation in {STEADY_CALLS} calls from {name}, {what}", count == 0, f"{count} allocations")


def _two_planners(setting: Setting, findings: Findings, model: str) -> None:
    """Two recordings in one process do not meet."""
    planners = [Planner(setting.subject(EngineChoice("cuda_graph"), model, seed=seed).engine, seed=seed) for seed in (0, 1)]
    alone = [[planner.plan(each).proposals for each in setting.observations] for planner in planners]
    turns = [[planner.plan(each).proposals for planner in planners] for each in setting.observations]
    same = all((turn[k] == alone[k][index]).all() for index, turn in enumerate(turns) for k in range(2))
    full = all(len(each) for own in alone for each in own)
    differ = bool((alone[0][0] != alone[1][0]).any()) if full else False
    findings.check(f"two planners plan as each does alone, {model}", same and full and differ)


def _batches(setting: Setting, findings: Findings, model: str) -> None:
    """A batch of B is B batches of one."""
    one, many = (setting.subject(EngineChoice("cuda_graph"), model, batch_size=size) for size in (1, BATCH))
    scenes = [setting.observations[index % len(setting.observations)] for index in range(BATCH)]
    together = many.run_stages(scenes, lambda stage: None)
    # Noise differs from row to row of a batch.
    apart = []
    for row, scene in enumerate(scenes):
        proposals = one.engine.run(one.ready_inputs([scene]), many.noise[row : row + 1])
        apart.append(disagreement(Answer(*(value[row : row + 1] for value in together)), Answer.of(proposals)))
    _note(
        findings,
        f"a batch of {BATCH} is {BATCH} batches of one, {model}",
        worst(apart),
        BOUNDS[Precision.FLOAT32] + SENSOR_BOUND,
    )


def preprocessing(setting: Setting, findings: Findings) -> None:
    """The device's preprocessing against the CPU's: the histogram equal, the picture within one grey level."""
    size = image_size(setting.observations[0])
    for model in setting.models:
        with findings.guard(f"preprocessing, {model}"):
            layout = PLANNERS[model]().inputs
            preprocessor = SensorPreprocessor(layout, size).to(setting.device)
            camera_gap, lidar_gap = 0.0, 0.0
            for observation in setting.observations:
                points = 0 if observation.lidar is None else len(observation.lidar.points)
                sensors = pack_sensors(observation, size, points + 1).to(setting.device)
                with torch.inference_mode():
                    camera, lidar = (value.cpu() for value in preprocessor(sensors.images, sensors.points))
                expected = build_inputs(observation, layout)
                camera_gap = max(camera_gap, float((camera - expected.camera).abs().max()))
                lidar_gap = max(lidar_gap, float((lidar - expected.lidar).abs().max()))
            findings.numbers[model] = {"camera": camera_gap, "lidar": lidar_gap}
            findings.check(f"histogram is equal, {model}", lidar_gap == 0.0, f"{lidar_gap:.2e}")
            findings.check(f"picture within one grey level, {model}", camera_gap <= 1.001 / 255, f"{camera_gap:.2e}")
