"""Time the scoring of plans, on a synthetic town of any size. Prints one line of JSON.

    python tools/bench_scoring.py [--agents N] [--polygons N] [--vertices N] [--proposals N] [--scenes N] [--metric M]
                                  [--device cuda] [--repeats N] [--scaling] [--logs DIR] [--out FILE.json]

``ms_per_proposal`` is the median over the repeats of one call of ``score``, from poses to scores, divided by all proposals of
the call; the scenes' batch is ready on the device before, and the process has freed a large tensor once. ``peak_memory_mb`` is
what such a call needs on top of what was held. ``prepare_ms`` is the median over the scenes of the shipped logs of one call of
``prepare``. ``--scaling`` varies proposals, agents and polygons one at a time, all sizes in turns, and fits how the time of a
call grows: time ~ size ^ exponent.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from synthetic_scenes import SceneSize, fan, synthetic_scene

from diffdrive.assets import LOGS
from diffdrive.runtime.latency.environment import describe_environment
from diffdrive.runtime.latency.report import write_json
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.preparation.prepare import prepare
from diffdrive.scoring.rules import INTERVAL_S, METRICS, Rules
from diffdrive.scoring.score import score
from diffdrive.sources import Arrow123dSource

SCALES = {"proposals": (64, 256, 1024), "agents": (16, 64, 256), "polygons": (100, 400, 1600)}
MEBIBYTE = 2**20
LARGE_BYTES = 31 * MEBIBYTE
NUM_PREPARED = 16
"""Shipped scenes that are prepared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What one call scores."""

    rules: Rules
    size: SceneSize
    proposals: int
    scenes: int
    device: torch.device

    def call(self) -> Callable[[], object]:
        """The call, with everything prepared that it does not time."""
        scenes = [synthetic_scene(self.size, self.rules, seed) for seed in range(self.scenes)]
        batch = SceneBatch.of(scenes, device=self.device)
        plans = torch.tensor(fan(self.proposals), device=self.device)
        trajectories = plans.expand(self.scenes, -1, -1, -1).contiguous()
        return lambda: score(batch, trajectories, metric=self.rules.name)


def let_allocator_settle() -> None:
    """Free one large tensor, as every training process does: glibc then keeps freed memory instead of giving it back to the
    system and asking for it again in each call, which costs some milliseconds."""
    torch.empty(LARGE_BYTES, dtype=torch.uint8)


def seconds_of(calls: Mapping[str, Callable[[], object]], device: torch.device, repeats: int) -> dict[str, list[float]]:
    """Seconds of every repeat. The calls take turns, so that what else the machine does hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            _synchronize(device)
            start = time.perf_counter()
            call()
            _synchronize(device)
            times[name].append(time.perf_counter() - start)
    return times


def peak_memory_mb(call: Callable[[], object], device: torch.device) -> float | None:
    """MiB that ``call`` needs on top of what is held. None where the system does not tell."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        held = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - held) / MEBIBYTE
    try:
        # What earlier calls freed goes back to the system first; then writing 5 makes Linux forget the peak so far.
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        held = _status("VmRSS")
        call()
        return (_status("VmHWM") - held) / 1024
    except (OSError, AttributeError, StopIteration):
        return None


def _status(key: str) -> int:
    """KiB, from the kernel's view of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])


def scaling(base: Workload, repeats: int) -> dict[str, Any]:
    """By axis: milliseconds of a call and of a proposal at each size, and the exponent that fits the calls."""
    found: dict[str, Any] = {}
    for axis, sizes in SCALES.items():
        calls = {str(size): _resized(base, axis, size).call() for size in sizes}
        medians = {name: float(np.median(times)) for name, times in seconds_of(calls, base.device, repeats).items()}
        proposals = {str(size): base.scenes * (size if axis == "proposals" else base.proposals) for size in sizes}
        slope = np.polyfit(np.log(sizes), np.log(list(medians.values())), 1)[0]
        found[axis] = {
            "ms_per_call": {name: 1e3 * seconds for name, seconds in medians.items()},
            "ms_per_proposal": {name: 1e3 * seconds / proposals[name] for name, seconds in medians.items()},
            "exponent": float(slope),
        }
    return found


def _resized(base: Workload, axis: str, size: int) -> Workload:
    return replace(base, proposals=size) if axis == "proposals" else replace(base, size=replace(base.size, **{axis: size}))


def prepare_times(rules: Rules, logs: Path) -> list[float]:
    """Seconds of preparing scenes spread over ``logs``. The first one is prepared once before, so that nothing is new."""
    source = Arrow123dSource(logs, future_s=INTERVAL_S * (rules.observation_steps - 1))
    tokens = source.tokens[:: max(1, len(source.tokens) // NUM_PREPARED)][:NUM_PREPARED]
    times = []
    for token in [*tokens[:1], *tokens]:
        scene = source.load(token, sensors=False)
        start = time.perf_counter()
        prepare(scene, rules.name)
        times.append(time.perf_counter() - start)
    return times[1:]


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def report(base: Workload, args: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Everything that is measured, in plain JSON types."""
    call = base.call()
    times = seconds_of({"score": call}, base.device, args.repeats)["score"]
    median, total = float(np.median(times)), base.scenes * base.proposals
    record: dict[str, Any] = {
        "format": 1,
        "kind": "scoring",
        "metric": base.rules.name,
        "device": str(base.device),
        **asdict(base.size),
        "proposals": base.proposals,
        "scenes": base.scenes,
        "repeats": args.repeats,
        "ms_per_proposal": 1e3 * median / total,
        "ms_per_call": 1e3 * median,
        "ms_per_call_range": [1e3 * min(times), 1e3 * max(times)],
        "proposals_per_s": total / median,
        "peak_memory_mb": peak_memory_mb(call, base.device),
    }
    prepared = prepare_times(base.rules, args.logs)
    record["prepare_ms"] = 1e3 * float(np.median(prepared))
    record["prepare_scenes"] = len(prepared)
    if args.scaling:
        record["scaling"] = scaling(base, args.repeats)
    record["environment"] = describe_environment(
        base.device, date=datetime.now(UTC), arguments=["tools/bench_scoring.py", *words]
    )
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--agents", type=int, default=64)
    parser.add_argument("--polygons", type=int, default=400)
    parser.add_argument("--vertices", type=int, default=30, help="of each polygon (default: 30)")
    parser.add_argument("--proposals", type=int, default=256, help="in each scene (default: 256)")
    parser.add_argument("--scenes", type=int, default=1, help="scored in one call (default: 1)")
    parser.add_argument("--metric", choices=tuple(METRICS), default="epdms")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--scaling", action="store_true", help="also measure how time grows with each size")
    parser.add_argument("--logs", type=Path, default=LOGS, help="123D data root whose scenes are prepared (default: shipped)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    args = parser.parse_args(words)
    base = Workload(
        rules=METRICS[args.metric],
        size=SceneSize(agents=args.agents, polygons=args.polygons, vertices=args.vertices),
        proposals=args.proposals,
        scenes=args.scenes,
        device=torch.device(args.device),
    )
    let_allocator_settle()
    record = report(base, args, words)
    print(json.dumps(record))
    if args.out:
        write_json(args.out, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
