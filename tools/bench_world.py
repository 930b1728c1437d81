"""Time the rendering of scenes, and the making of a town beside it. Prints one line of JSON.

    python tools/bench_world.py DATA [--manifest test] [--workers 2] [--scenes N] [--boxes 40 80] [--town SEED] [--out FILE]

``DATA`` is a 123D data root of the embedded world. ``scenes_per_hour`` is for all scenes of ``--manifest``, the current frame
only; without a manifest for the first number of ``--boxes``. For each of these, the N frames with the nearest number of
annotated boxes are rendered into a new cache by ``--workers`` processes: every ``scenes_per_hour`` counts from the first frame
that any process has finished to the last one, so it holds the building of towns but not the start of processes (``start_s``).
``four_frames`` does the same for scenes with three frames of history, two seconds apart, so that no frame is shared. Few scenes
of many towns make both slow: a town has to be built for every few of them.
``stages_ms`` are medians of one process over the same frames, all numbers of boxes taking turns. ``--town`` also makes that
town from the default configuration in a temporary folder and tells how long each step took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("LP_NUM_THREADS", "0")  # as workers do

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffdrive.benchmark.manifest import load_benchmark
from diffdrive.runtime.latency.environment import describe_environment
from diffdrive.runtime.latency.report import write_json
from diffdrive.world.conditions import conditions_of
from diffdrive.world.generate import WorldConfig, generate_town
from diffdrive.world.render import NUPLAN_FRONT_RIG, Studio, moving_mesh
from diffdrive.world.render.archive import jpeg, pack, pack_sweep
from diffdrive.world.render.lidar import scan
from diffdrive.world.render.studio import motion_of, sweep_errors
from diffdrive.world.render_job import render, with_history
from diffdrive.world.source import WorldSource

MAX_COUNTED = 300
"""Frames whose boxes are counted, spread over the data."""

APART_US = 2_000_000


def open_frames(data: Path, cache: Path | None, renderer: str) -> WorldSource:
    """Single frames, as ``diffdrive world render`` reads them."""
    return WorldSource(data, cache=cache, renderer=renderer, history_s=0, future_s=0, map_radius_m=1.0)


def count_boxes(frames: WorldSource) -> dict[str, int]:
    """Annotated boxes of frames that have three others before them."""
    whole = [info.token for log in frames.logs.logs for info in log.scenes[3:]]
    chosen = whole[:: max(1, len(whole) // MAX_COUNTED)]
    return {token: len(frames.load(token, sensors=False).agents) for token in chosen}


def nearest(boxes: dict[str, int], wanted: int, scenes: int) -> list[str]:
    """The frames with about so many boxes, two seconds apart or more."""
    found: list[str] = []
    for token in sorted(boxes, key=lambda name: abs(boxes[name] - wanted)):
        log, _, time_us = token.rpartition("-")
        others = [int(other.rpartition("-")[2]) for other in found if other.rpartition("-")[0] == log]
        if all(abs(int(time_us) - other) >= APART_US for other in others):
            found.append(token)
        if len(found) == scenes:
            break
    return found


def throughput(data: Path, tokens: Sequence[str], num_scenes: int, args: argparse.Namespace) -> dict[str, Any]:
    """Render ``tokens``, the frames of ``num_scenes`` scenes, into a new cache."""
    with tempfile.TemporaryDirectory(prefix="bench-world-") as cache:
        frames = open_frames(data, Path(cache), args.renderer)
        start = time.perf_counter()
        first = None
        for done in render(frames, tokens, workers=args.workers):
            first = first or time.perf_counter()
            if done.reason:
                raise RuntimeError(f"{done.token}: {done.reason}")
        end = time.perf_counter()
        sizes = [path.stat().st_size for path in Path(cache).rglob("*.npz")]
    first = first or end
    share = (len(tokens) - 1) / len(tokens)
    return {
        "scenes": num_scenes,
        "frames": len(tokens),
        "seconds": end - first,
        "start_s": first - start,
        "scenes_per_hour": 3600 * num_scenes * share / (end - first),
        "kilobytes_per_frame": {"median": float(np.median(sizes)) / 1e3, "largest": max(sizes) / 1e3},
    }


class Stages:
    """One process that renders frames step by step."""

    def __init__(self, frames: WorldSource, renderer: str, folder: Path) -> None:
        self.frames, self.studio, self.folder = frames, Studio(renderer), folder
        self.milliseconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.first_frames: list[float] = []
        self._locations: set[str] = set()

    def run(self, name: str, token: str) -> None:
        """Render one frame and add its times to those of ``name``."""
        times, clock = self.milliseconds[name], time.perf_counter
        marks = [("", clock())]
        town = self.frames.town(token)
        marks.append(("town", clock()))
        scene = self.frames.logs.load(token, sensors=False)
        marks.append(("load", clock()))
        moving, pose, light = moving_mesh(town, scene), town.from_world(scene.world_from_ego), conditions_of(scene.log_name)
        marks.append(("mesh", clock()))
        stage = self.studio.rays.stage(town, moving)
        marks.append(("search_tree", clock()))
        motion = motion_of(scene)
        sweep = scan(stage, pose, sweep_errors(scene), motion=motion, conditions=light)
        marks.append(("lidar", clock()))
        cameras = self.studio.renderer.render(town, moving, pose, NUPLAN_FRONT_RIG, light)
        marks.append(("cameras", clock()))
        content = pack(cameras, sweep.steps, motion)
        marks.append(("encode", clock()))
        (self.folder / token).write_bytes(content)
        marks.append(("write", clock()))
        for (_, before), (stage_name, after) in pairwise(marks):
            times[stage_name].append(1e3 * (after - before))
        times["total"].append(1e3 * (marks[-1][1] - marks[0][1]))
        if scene.location not in self._locations:
            self._locations.add(scene.location)
            self.first_frames.append(times["total"].pop())
        times["jpeg_kilobytes"].append(sum(len(jpeg(frame.image)) for frame in cameras.values()) / 1e3)
        times["sweep_kilobytes"].append(len(pack_sweep(sweep.steps)) / 1e3)
        times["boxes"].append(len(scene.agents))
        times["returns"].append(len(sweep.sweep.points))


def stage_times(data: Path, chosen: dict[str, list[str]], renderer: str) -> dict[str, Any]:
    """Medians by number of boxes; every frame is rendered twice, and the second time counts.

    ``new_town`` is what the first frame of a town costs more: the town's mesh, its search tree, its way to the renderer.
    """
    with tempfile.TemporaryDirectory(prefix="bench-world-") as folder:
        stages = Stages(open_frames(data, None, renderer), renderer, Path(folder))
        for turn in range(max(map(len, chosen.values()))):
            for name, tokens in chosen.items():
                if turn < len(tokens):
                    stages.run("warm-up", tokens[turn])
                    stages.run(name, tokens[turn])
        medians: dict[str, Any] = {
            name: {stage: float(np.median(values)) for stage, values in stages.milliseconds[name].items()} for name in chosen
        }
        usual = float(np.median([medians[name]["total"] for name in chosen]))
        medians["new_town"] = float(np.median(stages.first_frames)) - usual
        return medians


def town_times(seed: int) -> dict[str, Any]:
    """Make one town; what its manifest says about time."""
    with tempfile.TemporaryDirectory(prefix="bench-world-") as root:
        start = time.perf_counter()
        manifest = generate_town(seed, WorldConfig(), Path(root), split="test")
        return {
            "seed": seed,
            "logs": len(manifest["logs"]),
            "frames": manifest["frames"],
            "boxes_per_frame": manifest["boxes_per_frame"],
            "stage_seconds": manifest["stage_seconds"],
            "wall_s": time.perf_counter() - start,
        }


def report(args: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """Everything that is measured, in plain JSON types."""
    frames = open_frames(args.data, None, args.renderer)
    boxes = count_boxes(frames)
    chosen = {str(wanted): nearest(boxes, wanted, args.scenes) for wanted in args.boxes}
    one = {name: throughput(args.data, with_history(frames, tokens, 1), len(tokens), args) for name, tokens in chosen.items()}
    four = {name: throughput(args.data, with_history(frames, tokens, 4), len(tokens), args) for name, tokens in chosen.items()}
    whole = None
    if args.manifest is not None:
        tokens = load_benchmark(args.manifest).tokens
        whole = throughput(args.data, tokens, len(tokens), args)
    record: dict[str, Any] = {
        "format": 1,
        "kind": "world",
        "scenes_per_hour": (whole or next(iter(one.values())))["scenes_per_hour"],
        "manifest": whole and {"name": args.manifest, **whole},
        "workers": args.workers,
        "renderer": frames.renderer_description,
        "towns": len({frames.info(token).location for tokens in chosen.values() for token in tokens}),
        "boxes": {name: float(np.median([boxes[token] for token in tokens])) for name, tokens in chosen.items()},
        "current_frame": one,
        "four_frames": four,
        "stages_ms": stage_times(args.data, chosen, args.renderer),
    }
    if args.town is not None:
        record["town"] = town_times(args.town)
    record["environment"] = describe_environment(
        torch.device("cpu"), date=datetime.now(UTC), arguments=["tools/bench_world.py", *words]
    )
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="123D data root of the embedded world")
    parser.add_argument(
        "--manifest", metavar="SPLIT", help="also render every scene of it: a split, or a manifest of world curate"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scenes", type=int, default=40, help="for each number of boxes (default: 40)")
    parser.add_argument("--boxes", type=int, nargs="+", default=[40, 80])
    parser.add_argument("--renderer", choices=("auto", "gl", "embree"), default="auto")
    parser.add_argument("--town", type=int, metavar="SEED", help="also make this town (needs SUMO)")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    args = parser.parse_args(words)
    record = report(args, words)
    print(json.dumps(record))
    if args.out:
        write_json(args.out, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
