"""Measure one engine, or two against each other, and say so in plain JSON types."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffdrive.files import written_aside
from diffdrive.runtime.engine import no_mark
from diffdrive.runtime.latency.agreement import disagreement, worst
from diffdrive.runtime.latency.frames import FrameCycle, image_size
from diffdrive.runtime.latency.loop import (
    GARBAGE_COLLECTION,
    Clock,
    LoopSettings,
    StageTimer,
    Timed,
    measure,
    measure_pair,
    measure_stages,
)
from diffdrive.runtime.latency.memory import MemoryReading, read_memory
from diffdrive.runtime.latency.statistics import Ratio, ratio_of_medians, summarise
from diffdrive.runtime.latency.subject import Subject
from diffdrive.scene import Observation

FORMAT = 1
MOST_STAGED_FRAMES = 200
"""Stages are for orientation; their pass is no longer than this."""

STAGES_NOTE = (
    "A pass of its own, after the end-to-end one: the device is waited for after every stage, which forbids overlap, "
    "so the stages may add up to more than the end-to-end time."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """What is measured, and how often."""

    loop: LoopSettings = field(default_factory=LoopSettings)
    deadline_s: float | None = None
    seed: int = 0
    """Of the bootstrap."""

    @property
    def staged_loop(self) -> LoopSettings:
        """Of the staged pass."""
        return dataclasses.replace(self.loop, frames=min(self.loop.frames, MOST_STAGED_FRAMES))

    def as_json(self) -> dict[str, Any]:
        """Frames that counted, frames before them, and what was done about the garbage collector."""
        return {
            "frames": self.loop.frames,
            "warm_up_frames": self.loop.warm_up,
            "deadline_ms": None if self.deadline_s is None else 1e3 * self.deadline_s,
            "garbage_collection": GARBAGE_COLLECTION,
        }


def bench(subject: Subject, observations: Sequence[Observation], settings: BenchSettings, clock: Clock) -> dict[str, Any]:
    """Time ``subject`` end to end, then its network alone, then stage by stage. Warms the engine up first.

    Raises ``FrameFailedError`` when a frame could not be planned.
    """
    frames = FrameCycle(observations, subject.options.batch_size)
    subject.engine.warm_up()
    memory = _MemoryLog(subject.engine.device)
    end_to_end = measure(_plans(subject, frames), settings.loop, clock, memory.read)
    memory.read()
    network = measure(_networks(subject, frames), settings.loop, clock)
    return {
        "format": FORMAT,
        "kind": "latency",
        **settings.as_json(),
        **describe_frames(observations),
        "engine": describe_subject(subject),
        "end_to_end": _statistics(end_to_end, settings.deadline_s),
        "network": _statistics(network),
        "stages": stage_table(subject, frames, settings.staged_loop, clock),
        "stages_note": STAGES_NOTE,
        "memory": memory.as_json(),
    }


def compare(
    a: Subject, b: Subject, observations: Sequence[Observation], settings: BenchSettings, clock: Clock
) -> dict[str, Any]:
    """Time ``a`` and ``b`` in turns in one loop, end to end and network alone, and compare what they answer.

    Ratios are medians, ``a`` over ``b``. Raises ``FrameFailedError`` when a frame could not be planned.
    """
    frames = FrameCycle(observations, a.options.batch_size)
    for subject in (a, b):
        subject.engine.warm_up()
    memory = _MemoryLog(a.engine.device)
    end_to_end = measure_pair(_plans(a, frames), _plans(b, frames), settings.loop, clock, memory.read)
    memory.read()
    network = measure_pair(_networks(a, frames), _networks(b, frames), settings.loop, clock)
    ratio, ratio_network = (ratio_of_medians(*times, seed=settings.seed) for times in (end_to_end, network))
    scenes = [frames[index] for index in range(len(frames))]
    apart = worst([disagreement(a.run_stages(each, no_mark), b.run_stages(each, no_mark)) for each in scenes])
    return {
        "format": FORMAT,
        "kind": "comparison",
        **settings.as_json(),
        **describe_frames(observations),
        "order": "frame by frame in turns: A B, B A, A B ...",
        "a": describe_subject(a),
        "b": describe_subject(b),
        **_ratio("ratio", ratio),
        **_ratio("ratio_network", ratio_network),
        "end_to_end": {
            "a": _statistics(end_to_end[0], settings.deadline_s),
            "b": _statistics(end_to_end[1], settings.deadline_s),
        },
        "network": {"a": _statistics(network[0]), "b": _statistics(network[1])},
        "largest_difference": {**dataclasses.asdict(apart), "pose": apart.pose},
        "memory": memory.as_json(),
    }


class _MemoryLog:
    """Readings around the end-to-end frames, the warm-up left out."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._readings: list[MemoryReading] = []

    def read(self) -> None:
        self._readings.append(read_memory(self._device))

    def as_json(self) -> dict[str, Any]:
        first, last = self._readings
        return {"before": dataclasses.asdict(first), "after": dataclasses.asdict(last)}


def stage_table(subject: Subject, frames: FrameCycle, settings: LoopSettings, clock: Clock) -> dict[str, Any]:
    """Statistics per stage."""
    timer = StageTimer(clock, subject.synchronize)
    stages = measure_stages(lambda index, timer: subject.run_stages(frames[index], timer.mark), timer, settings)
    return {stage: _statistics(times) for stage, times in stages.items()}


def describe_subject(subject: Subject) -> dict[str, Any]:
    """What ran, and whether it ran as it was asked to."""
    engine, options = subject.engine, subject.options
    return {
        "name": subject.name,
        "description": engine.description,
        "degraded": engine.degraded or None,
        "precision": options.precision.value,
        "device": str(engine.device),
        "batch_size": options.batch_size,
        "passes": [list(jump) for jump in options.jumps.jumps] if options.jumps is not None else None,
        "end_to_end": subject.end_to_end,
    }


def describe_frames(observations: Sequence[Observation]) -> dict[str, Any]:
    """How large the frames were, and how many different ones."""
    first = observations[0]
    return {
        "observations": {
            "different": len(observations),
            "image_rows_columns": list(image_size(first)),
            "lidar_points": None if first.lidar is None else len(first.lidar.points),
        }
    }


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` whole or not at all. Numbers that are not finite become null: JSON has no other word for them."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(plain(value), indent=2) + "\n")


def plain(value: Any) -> Any:
    """``value`` with every number that is not finite as None, at any depth of lists and mappings."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plans(subject: Subject, frames: FrameCycle) -> Timed:
    return Timed(lambda index: subject.plan(frames[index]), subject.synchronize)


def _networks(subject: Subject, frames: FrameCycle) -> Timed:
    ready = [subject.ready_inputs(frames[index]) for index in range(len(frames))]
    return Timed(lambda index: subject.run_network(ready[index % len(ready)]), subject.synchronize)


def _statistics(seconds: np.ndarray, deadline_s: float | None = None) -> dict[str, Any]:
    return dataclasses.asdict(summarise(seconds, deadline_s))


def _ratio(name: str, ratio: Ratio) -> dict[str, Any]:
    return {name: ratio.value, f"{name}_interval_95": [ratio.low, ratio.high]}
