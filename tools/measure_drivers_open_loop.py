"""Open-loop PDMS of the drivers of the closed loop that need no sensors, on a split of the benchmark.

diffdrive world generate --out out/world/test --benchmark test --workers 2
python tools/measure_drivers_open_loop.py --logs out/world/test

Each is asked once in every scene, as ``diffdrive drive`` asks it. Networks: ``tools/measure_envelope.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ablation_data import prepared_scenes
from ablation_measure import scored

from diffdrive.benchmark.manifest import load_benchmark
from diffdrive.evaluation import mean_interval
from diffdrive.scene import SceneSource
from diffdrive.simulation.drivers.idm import IdmDriver
from diffdrive.simulation.drivers.protocol import Driver
from diffdrive.simulation.drivers.yardsticks import ConstantVelocityDriver, PdmClosedDriver
from diffdrive.training.config import SourceConfig
from diffdrive.world.source import WorldSource

_INTERVAL_S, _HORIZON = 0.5, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=Path, required=True, metavar="DIR", help="logs of the benchmark's split")
    parser.add_argument("--split", default="test")
    parser.add_argument("--work", type=Path, default=Path("out/open_loop"), help="prepared scenes, kept")
    args = parser.parse_args()
    tokens = tuple(scene.token for scene in load_benchmark(args.split).scenes)
    scenes, answers = prepared_scenes(SourceConfig(root=args.logs), tokens, args.work)
    logs = [token.rpartition("-")[0] for token in tokens]
    world = WorldSource(args.logs)
    drivers: dict[str, Driver] = {
        "pdm_closed": PdmClosedDriver(),
        "idm": IdmDriver(),
        "constant_velocity": ConstantVelocityDriver(),
    }
    plans = {name: _planned(driver, world, tokens) for name, driver in drivers.items()}
    for name, poses in {**plans, "human": answers["human"]}.items():
        values = 100 * scored(scenes, poses)["pdms"]
        interval = mean_interval(values.tolist(), np.random.default_rng(0), clusters=logs)
        print(f"{name:<20} PDMS {interval.mean:.1f} [{interval.low:.1f}, {interval.high:.1f}]", flush=True)


def _planned(driver: Driver, world: SceneSource, tokens: tuple[str, ...]) -> np.ndarray:
    """[N, T, 3] every half second."""
    poses = []
    for token in tokens:
        trajectory = driver.drive(world.load(token, sensors=False)).trajectory
        stride = round(_INTERVAL_S / trajectory.interval_s)
        poses.append(trajectory.poses[stride - 1 :: stride][:_HORIZON])
    return np.stack(poses)


if __name__ == "__main__":
    main()
