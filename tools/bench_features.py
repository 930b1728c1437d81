"""Time the building of the network's inputs on this machine's CPU.

    python tools/bench_features.py [--calls N] [--points N]

Prints, for every layout and image size, the median and the quickest of the calls, and the page faults per call, which should
be none. The scenes take turns, so that no call finds its images in the cache because the last one read them.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from diffdrive.features.inputs import build_camera, build_inputs, build_lidar
from diffdrive.scene import CameraFrame, CameraId, EgoState, LidarSweep, Observation
from diffdrive.tensors import InputLayout

LAYOUTS = {"base": InputLayout(), "nano": InputLayout(camera_height=64, camera_width=256, lidar_pixels=64)}
SIZES = ((1080, 1920), (270, 480))
NUM_SCENES, WARM_UP = 4, 10

Builder = Callable[[Observation, InputLayout], object]
BUILDERS: dict[str, Builder] = {
    "inputs": build_inputs,
    "camera": lambda scene, layout: build_camera(scene.cameras, layout),
    "lidar": lambda scene, layout: build_lidar(scene.lidar, layout),
}


def noise_scene(size: tuple[int, int], num_points: int, seed: int) -> Observation:
    """Images of noise and points in a cloud around the car, six in ten of which count."""
    rng = np.random.default_rng(seed)
    cameras = {
        camera: CameraFrame(image=rng.integers(0, 256, (*size, 3), np.uint8), intrinsics=np.eye(3), ego_from_camera=np.eye(4))
        for camera in (CameraId.L0, CameraId.F0, CameraId.R0)
    }
    points = np.column_stack([rng.normal(0, 18, (num_points, 2)), rng.uniform(-1, 3, num_points)]).astype(np.float32)
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.zeros(2), acceleration=np.zeros(2))
    return Observation(ego_history=(ego,), cameras=cameras, lidar=LidarSweep(points=points))


def measure(build: Builder, layout: InputLayout, scenes: list[Observation], calls: int) -> tuple[float, float, float]:
    """Median and smallest time of a call in milliseconds, and page faults per call."""
    turns = itertools.cycle(scenes)
    for _ in range(WARM_UP):
        build(next(turns), layout)
    faults, times = _page_faults(), []
    for _ in range(calls):
        scene = next(turns)
        start = time.perf_counter()
        build(scene, layout)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times)), min(times), (_page_faults() - faults) / calls


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100, help="timed calls of each builder (default: 100)")
    parser.add_argument("--points", type=int, default=100_000, help="points in a sweep (default: 100000)")
    args = parser.parse_args(arguments)
    print(f"{'layout':8s}{'images':14s}{'built':10s}{'median ms':>10s}{'best ms':>10s}{'faults':>10s}")
    for (name, layout), size in itertools.product(LAYOUTS.items(), SIZES):
        scenes = [noise_scene(size, args.points, seed) for seed in range(NUM_SCENES)]
        for built, build in BUILDERS.items():
            median, best, faults = measure(build, layout, scenes, args.calls)
            print(f"{name:8s}{f'{size[1]} x {size[0]}':14s}{built:10s}{median:10.2f}{best:10.2f}{faults:10.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
