"""Check and measure every engine on a GPU with one command; needs torch, timm and numpy.

    python tools/gpu_check.py [--out FILE.json]
    python tools/gpu_check.py --device cpu --models nano --precisions fp32 --frames 20      # a rehearsal without a GPU

Writes what it found to docs/benchmarks/gpu-<name>-<date>.json and prints a summary. Sections that no longer fit into the time
budget are left out, and the file says so. Exit status 0 when every check holds, 1 when one does not, 2 without a GPU.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from gpu_findings import Findings, Setting
from gpu_parity import parity, preprocessing, recording
from gpu_speed import extra_engines, floor, latency

from diffdrive.contracts import InputError
from diffdrive.model import PLANNERS
from diffdrive.runtime import ENGINES, Precision
from diffdrive.runtime.latency import LoopSettings, describe_environment, gpu_clocks, plain, synthetic_observations, write_json

ROOT = Path(__file__).resolve().parents[1]

SECTIONS: dict[str, Callable[[Setting, Findings], None]] = {
    "preprocessing": preprocessing,
    "parity": parity,
    "recording": recording,
    "latency": latency,
    "floor": floor,
    "extra engines": extra_engines,
}
"""In this order: what matters most comes first, what compiles for minutes last."""


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    args = _parser().parse_args(words)
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        message = "There is no CUDA device here. Use a machine with an NVIDIA GPU and a CUDA build of torch, or --device cpu."
        print(f"gpu_check: error: {message}", file=sys.stderr)
        return 2
    try:
        setting = _setting(args)
    except InputError as error:
        print(f"gpu_check: error: {error}", file=sys.stderr)
        return 2
    date = datetime.now(UTC)
    file = args.out or ROOT / "docs" / "benchmarks" / f"gpu-{_slug(_name(setting.device))}-{date:%Y-%m-%d}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {}
    for record in check(setting, tuple(dict.fromkeys(args.sections)), date, ["tools/gpu_check.py", *words]):
        # After every section: whoever stops this keeps what was found.
        write_json(file, record)
    print(summary(plain(record)))
    print(f"wrote {file}")
    return 0 if record["ok"] else 1


def check(setting: Setting, sections: Sequence[str], date: datetime, command: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Run ``sections`` one after the other; none can stop the next. Yields the record so far, the last one is complete."""
    environment = describe_environment(setting.device, date=date, arguments=command)
    environment["tf32"] = {"cudnn": torch.backends.cudnn.allow_tf32, "matmul": torch.backends.cuda.matmul.allow_tf32}
    found: dict[str, Any] = {}
    for name in sections:
        print(f"{name} ...", flush=True)
        found[name] = _section(setting, name)
        if setting.has_gpu:
            environment["gpu_after"] = gpu_clocks(setting.device)
        yield {
            "format": 1,
            "kind": "gpu check",
            "complete": len(found) == len(sections),
            "ok": all(each["ok"] for each in found.values()),
            "weights": "random weights, seed 0",
            "models": list(setting.models),
            "frames": setting.loop.frames,
            "warm_up_frames": setting.loop.warm_up,
            "environment": environment,
            "sections": found,
        }


def _section(setting: Setting, name: str) -> dict[str, Any]:
    findings, error = Findings(), None
    start = setting.clock()
    if not setting.is_late(findings, name):
        try:
            SECTIONS[name](setting, findings)
        except Exception:
            error = traceback.format_exc()
    return {
        "ok": error is None and all(each["ok"] for each in findings.checks),
        "seconds": setting.clock() - start,
        "error": error,
        "checks": findings.checks,
        "skipped": findings.skipped,
        "numbers": findings.numbers,
    }


def summary(record: dict[str, Any]) -> str:
    """What a reader wants first."""
    lines = []
    for name, section in record["sections"].items():
        held = sum(each["ok"] for each in section["checks"])
        lines.append(f"{name}: {held} of {len(section['checks'])} checks hold, {section['seconds']:.0f} s")
        lines += [f"  FAIL  {each['name']}: {_last_line(each['detail'])}" for each in section["checks"] if not each["ok"]]
        lines += [f"  ERROR {_last_line(section['error'])}"] if section["error"] else []
        lines += [f"  left out: {what}: {_last_line(why)}" for what, why in section["skipped"].items()]
        lines += [f"  {line}" for what, numbers in section["numbers"].items() for line in _numbers(what, numbers)]
    return "\n".join([*lines, "OK: every check holds" if record["ok"] else "FAILED: see above"])


def _numbers(what: str, numbers: Any) -> list[str]:
    if not isinstance(numbers, dict):
        return []
    if "ratio" in numbers:
        return [f"{what}: {numbers['ratio']:.2f} end to end, {numbers['ratio_network']:.2f} network alone"]
    if "stages" in numbers:
        whole = numbers["end_to_end"]
        stages = ", ".join(f"{stage} {table['p50_ms']:.2f}" for stage, table in numbers["stages"].items())
        tail = f"p50 {whole['p50_ms']:.2f}, p99 {whole['p99_ms']:.2f}, max {whole['max_ms']:.2f} ms"
        return [f"{what}: {tail} (p99 / p50 {whole['p99_ms'] / whole['p50_ms']:.2f}); stages p50: {stages}"]
    if "network_over_floor" in numbers:
        return [f"floor of {what}: {numbers['floor_ms']:.3f} ms; measured is {numbers['network_over_floor']:.1f} times as long"]
    return []


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _setting(args: argparse.Namespace) -> Setting:
    device = torch.device(args.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    start = time.perf_counter()
    return Setting(
        device=device,
        models=tuple(args.models),
        precisions=tuple(Precision(name) for name in args.precisions),
        engines=tuple(args.engines),
        loop=LoopSettings(frames=args.frames, warm_up=args.warm_up),
        observations=synthetic_observations(args.observations),
        remaining_s=lambda: args.budget_s - (time.perf_counter() - start),
        clock=time.perf_counter,
    )


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for a rehearsal (default cuda)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where to write (default: docs/benchmarks/...)")
    parser.add_argument(
        "--budget-s", type=float, default=540.0, help="seconds after which no further part begins (default 540)"
    )
    parser.add_argument("--frames", type=int, default=1000, help="of each latency (default 1000)")
    parser.add_argument("--warm-up", type=int, default=50, help="frames before them (default 50)")
    parser.add_argument("--observations", type=int, default=5, help="different frames; odd (default 5)")
    parser.add_argument("--models", nargs="+", choices=tuple(PLANNERS), default=["base", "nano"])
    choices = [each.value for each in Precision]
    parser.add_argument("--precisions", nargs="+", choices=choices, default=choices)
    engines = [name for name in ENGINES if name != "plain"]
    parser.add_argument("--engines", nargs="+", choices=engines, default=engines)
    parser.add_argument("--sections", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
