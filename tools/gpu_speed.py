"""Sections of the check of a GPU that measure: latency against the plain engine, and the distance to the floor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from gpu_findings import REQUIRED, Findings, Setting, random_model
from gpu_parity import extra_parity

from diffdrive.model.inference import InferenceModel
from diffdrive.runtime import EngineOptions, Precision
from diffdrive.runtime.latency import (
    BenchSettings,
    EngineChoice,
    LoopSettings,
    Rates,
    Subject,
    bench,
    compare,
    count_work,
    image_size,
    measure_rates,
    upload_rate,
)

COMPARED_FRAMES = 300
"""A ratio of medians needs fewer frames than a p99."""

RATIO, TAIL, P50_MS = 10.0, 1.2, 2.0
"""Of the recorded planner: times as fast as plain, p99 over p50, and milliseconds end to end on one of ``FAST_GPUS``."""

FAST_GPUS = ("H100", "H200", "B200")

SECONDS_PER_EXTRA_ENGINE = 120.0
"""An engine that compiles cannot be stopped half-way; none begins with less time left."""


def latency(setting: Setting, findings: Findings) -> None:
    """The CUDA graph against the plain engine in turns, then each alone with its stages."""
    for model in setting.models:
        for precision in setting.precisions:
            choice = EngineChoice("cuda_graph", precision)
            if setting.is_late(findings, f"{choice}, {model}"):
                continue
            with findings.guard(f"{choice}, {model}"):
                subject = setting.subject(choice, model)
                _against_plain(setting, findings, subject, model)
                _alone(setting, findings, subject, model, setting.loop)
        if not setting.is_late(findings, f"plain, {model}"):
            with findings.guard(f"plain, {model}"):
                # Its latencies are told by the comparisons; here it shows its stages.
                _alone(setting, findings, setting.subject(EngineChoice("plain"), model), model, _short(setting))
    if setting.has_gpu:
        targets(findings, setting.models[0], setting.precisions, torch.cuda.get_device_name(setting.device))


def targets(findings: Findings, model: str, precisions: Sequence[Precision], gpu: str) -> None:
    """What a recorded planner is to reach on a GPU, in its best precision."""
    numbers = findings.numbers
    names = [str(EngineChoice("cuda_graph", precision)) for precision in precisions]
    ratios = [record["ratio"] for name in names if (record := numbers.get(f"plain / {name}, {model}"))]
    alone = [record["end_to_end"] for name in names if (record := numbers.get(f"{name}, {model}, stage by stage"))]
    if not ratios or not alone:
        findings.skipped[f"targets, {model}"] = "the comparison or the latency that they are about is missing"
        return
    fastest = min(alone, key=lambda table: table["p50_ms"])
    tail = fastest["p99_ms"] / fastest["p50_ms"]
    findings.check(f"end to end {RATIO:g} times as fast as plain, {model}", max(ratios) >= RATIO, f"{max(ratios):.2f} times")
    findings.check(f"p99 / p50 at most {TAIL:g}, {model}", tail <= TAIL, f"{tail:.2f}")
    if any(name in gpu for name in FAST_GPUS):
        p50 = fastest["p50_ms"]
        findings.check(f"a plan in {P50_MS:g} ms on this GPU, {model}", p50 <= P50_MS, f"{p50:.2f} ms")


def extra_engines(setting: Setting, findings: Findings) -> None:
    """What needs more than torch, or minutes to compile: as far as it is there and time is left."""
    model = setting.models[0]
    for name in setting.engines:
        for precision in setting.precisions:
            choice = EngineChoice(name, precision)
            if name in REQUIRED or setting.is_late(findings, str(choice), SECONDS_PER_EXTRA_ENGINE):
                continue
            with findings.guard(f"{choice}, {model}"):
                subject = setting.subject(choice, model)
                extra_parity(setting, findings, subject, model)
                _against_plain(setting, findings, subject, model)


def _against_plain(setting: Setting, findings: Findings, subject: Subject, model: str) -> None:
    plain = setting.subject(EngineChoice("plain"), model)
    record = compare(plain, subject, setting.observations, BenchSettings(loop=_short(setting)), setting.clock)
    findings.numbers[f"plain / {subject.name}, {model}"] = record
    if setting.has_gpu:
        low, _ = record["ratio_interval_95"]
        findings.check(f"{subject.name} is faster than plain, {model}", low > 1.0, f"{record['ratio']:.2f} times")


def _alone(setting: Setting, findings: Findings, subject: Subject, model: str, loop: LoopSettings) -> None:
    what = f"{subject.name}, {model}, stage by stage"
    if not setting.is_late(findings, what):
        findings.numbers[what] = bench(subject, setting.observations, BenchSettings(loop=loop), setting.clock)


def _short(setting: Setting) -> LoopSettings:
    return dataclasses.replace(setting.loop, frames=min(setting.loop.frames, COMPARED_FRAMES))


def floor(setting: Setting, findings: Findings) -> None:
    """Rates of this device, work of each network, and how long the measured network takes beside the floor."""
    edge, copied = (8192, 2**30) if setting.has_gpu else (512, 2**25)
    rates = {}
    for precision in setting.precisions:
        with findings.guard(f"rates, {precision.value}"):
            rates[precision] = measure_rates(setting.device, precision.dtype, setting.clock, edge=edge, copy_bytes=copied)
            findings.numbers[f"rates, {precision.value}"] = dataclasses.asdict(rates[precision])
    if setting.has_gpu:
        with findings.guard("upload"):
            bytes_per_s = upload_rate(setting.device, setting.clock, copy_bytes=2**28)
            rows, columns = image_size(setting.observations[0])
            frame = 3 * rows * columns * 3 + 12 * EngineOptions().max_points
            findings.numbers["upload"] = {
                "bytes_per_s": bytes_per_s,
                "frame_bytes": frame,
                "floor_ms": 1e3 * frame / bytes_per_s,
            }
    for model in setting.models:
        for precision, rate in rates.items():
            with findings.guard(f"floor, {model}, {precision.value}"):
                findings.numbers[f"{model}, {precision.value}"] = _distance(setting, model, precision, rate)


def _distance(setting: Setting, model: str, precision: Precision, rates: Rates) -> dict[str, Any]:
    network = InferenceModel(random_model(model, 0), dtype=precision.dtype).to(setting.device)
    subject = setting.subject(EngineChoice("cuda_graph", precision), model)
    inputs = subject.ready_inputs(setting.observations[:1])
    tensors = (inputs.camera, inputs.lidar, inputs.status, subject.noise)
    work = count_work(network, tensors)
    loop = LoopSettings(frames=min(setting.loop.frames, 100), warm_up=setting.loop.warm_up)
    measured = bench(subject, setting.observations, BenchSettings(loop=loop), setting.clock)["network"]["p50_ms"]
    floor_ms = 1e3 * rates.floor_s(work)
    return {
        **dataclasses.asdict(work),
        "floor_ms": floor_ms,
        "unfused_traffic_ms": 1e3 * work.unfused_bytes / rates.bytes_per_s,
        "network_p50_ms": measured,
        "network_over_floor": measured / floor_ms,
    }
