"""Measure the planner behind DDS: ``python tools/bench_dds.py OUT.json [--frames N] [--echoes N]``.

Two processes on one machine, real DDS over its network stack, types and bytes of ROS 2. Four measurements: the bridge alone, in
processor time; round trips of single messages through a process that only sends them back; whole frames of a drive of the
embedded world to the planner's trajectory; the same drive with messages dropped, delayed and overtaken, and what the envelope
answered.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.ros2.bag_types import make_bag_message
from agents.ros2.bags import Recorded, read_bag
from agents.ros2.bridge import Bridge
from agents.ros2.config import DEFAULT_PARAMS, BridgeConfig, config_from_file
from agents.ros2.dds.play import Answered, play
from agents.ros2.dds.transport import Transport
from agents.ros2.disturbance import Disturbance, disturbed
from agents.ros2.record_world import record
from agents.ros2.topics import Delivery, Topic
from diffdrive.assets import LOGS
from diffdrive.files import written_aside
from diffdrive.runtime import Plan, PlanStatus
from diffdrive.runtime.envelope import AskInline
from diffdrive.scene import Observation, Trajectory
from diffdrive.world.source import WorldSource

LOG = "town9000-log01"
# A busy machine must not change what is decided.
OVERRIDES = ("reliable_sensors=true", "envelope.deadline_s=30")
IMAGE = "sensor_msgs/msg/Image"
OUT_AND_BACK = tuple(Topic(name=f"/bench/{way}", type_name=IMAGE, delivery=Delivery.RELIABLE) for way in ("out", "back"))
PAYLOADS = {"100 B": 100, "30 kB (JPEG)": 30_000, "390 kB (480 x 270 pixels)": 390_000, "1 MB (point cloud)": 1_000_000}
DISTURBANCES = {
    "undisturbed": Disturbance(),
    "5 % dropped": Disturbance(seed=1, drop=0.05),
    "20 % up to 0.3 s late": Disturbance(seed=2, delay=0.2, max_delay_s=0.3),
    "20 % overtaken": Disturbance(seed=3, reorder=0.2),
    "10 % dropped, 20 % late, 10 % overtaken": Disturbance(seed=4, drop=0.1, delay=0.2, max_delay_s=0.3, reorder=0.1),
}


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    values = np.array([each for each in seconds if np.isfinite(each)]) * 1e3
    shares = {"min_ms": 0, "p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "max_ms": 100}
    return {"count": len(values), **{name: round(float(np.percentile(values, share)), 3) for name, share in shares.items()}}


@contextmanager
def child(arguments: Sequence[str]) -> Iterator[None]:
    """A process of this Python, until the block ends."""
    process = subprocess.Popen([sys.executable, *arguments])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def send_back(domain: int) -> None:
    """Return whatever comes."""
    out, back = OUT_AND_BACK
    transport = Transport([out], [back], domain=domain)
    while True:
        transport.wait(1.0)
        for _, message in transport.take():
            transport.publish(back.name, message)


def measure_echoes(domain: int, count: int) -> dict[str, Any]:
    """Round trips of messages of several sizes, encoding and decoding on both sides included."""
    out, back = OUT_AND_BACK
    found: dict[str, Any] = {}
    with child([__file__, "-", "--echo", str(domain)]):
        transport = Transport([back], [out], domain=domain)
        while not (transport.partners(out.name) and transport.sources(back.name)):
            time.sleep(0.05)
        for name, size in PAYLOADS.items():
            data = np.random.default_rng(size).integers(0, 255, size, dtype=np.uint8)
            message = make_bag_message(IMAGE, data=data)
            trips = [_round_trip(transport, message) for _ in range(count + 10)][10:]
            found[name] = percentiles(trips)
    return found


def _round_trip(transport: Transport, message: Any) -> float:
    out, back = OUT_AND_BACK
    begin = time.perf_counter()
    transport.publish(out.name, message)
    while not list(transport.take(back.name)):
        transport.wait(1.0)
    return time.perf_counter() - begin


class Fixed:
    """Answers with one plan of 20 proposals at once."""

    def __init__(self) -> None:
        ways = np.arange(1, 9) * 2.0
        proposals = np.stack([[[way, 0.01 * mode, 0.0] for way in ways] for mode in range(20)])
        self._plan = Plan(
            trajectory=Trajectory(proposals[0]), proposals=proposals, scores=np.full(20, 0.05), status=PlanStatus.PLANNED
        )

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        return self._plan


def measure_bridge(recorded: Sequence[Recorded], config: BridgeConfig) -> dict[str, Any]:
    """Of cycles without network and transport: conversions, envelope, messages."""
    bridge, seconds = Bridge(AskInline(planner=Fixed()), config, make_bag_message), []
    for now_ns in sorted({each.received_ns for each in recorded}):
        for each in recorded:
            if each.received_ns == now_ns:
                bridge.receive(each.topic, each.message)
        begin = time.process_time()
        bridge.cycle(now_ns // 1000)
        seconds.append(time.process_time() - begin)
    return percentiles(seconds[1:])


def drive(frames: int, config: BridgeConfig) -> list[Recorded]:
    """What a vehicle of the embedded world publishes, rendered."""
    source = WorldSource(LOGS, logs=[LOG], history_s=0.0, future_s=0.0, stride_s=config.period_s)
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "drive.mcap"
        record(source, list(source.tokens[:frames]), bag, config)
        return list(read_bag(bag))


def measure_planner(recorded: Sequence[Recorded], config: BridgeConfig, domain: int) -> dict[str, Any]:
    """Frames to trajectories, and the envelope's answers to disturbances."""
    spared = (config.inputs.static_transforms,)
    found: dict[str, Any] = {}
    for number, (name, chosen) in enumerate(DISTURBANCES.items()):
        messages = disturbed(recorded, Disturbance(**{**_fields(chosen), "spared": spared}))
        # A process each: an envelope remembers.
        own = domain + number
        with child(["-m", "diffdrive_agents.ros2.dds.host", "--sim-time", "--domain", str(own), *OVERRIDES]):
            answers = list(play(messages, config, domain=own, awaits_delivery=name != "undisturbed"))
        found[name] = {"messages": len(messages), **told(answers, config)}
        if name == "undisturbed":
            found[name] |= {
                "first message to trajectory": percentiles([each.frame_s for each in answers[1:]]),
                "last message to trajectory": percentiles([each.tick_s for each in answers[1:]]),
                "planner alone": percentiles(_planner_seconds(answers[1:], config)),
            }
    return found


def _fields(chosen: Disturbance) -> dict[str, Any]:
    return {name: getattr(chosen, name) for name in ("seed", "drop", "delay", "max_delay_s", "reorder")}


def told(answers: Sequence[Answered], config: BridgeConfig) -> dict[str, Any]:
    """Decisions by status, inputs by condition."""
    decisions: Counter[str] = Counter()
    inputs: Counter[str] = Counter()
    for answer in answers:
        first, *others = answer.messages[config.outputs.diagnostics].status
        decisions[_value(first, "status")] += 1
        inputs.update(_value(each, "condition") for each in others)
    return {"decisions": dict(decisions), "inputs": dict(inputs)}


def _planner_seconds(answers: Sequence[Answered], config: BridgeConfig) -> list[float]:
    texts = [_value(answer.messages[config.outputs.diagnostics].status[0], "planner (s)") for answer in answers]
    return [float(text) for text in texts if text]


def _value(status: Any, key: str) -> str:
    return next(pair.value for pair in status.values if pair.key == key)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--echoes", type=int, default=300)
    parser.add_argument("--domain", type=int, default=50)
    parser.add_argument("--echo", type=int, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.echo is not None:
        send_back(given.echo)
    config = config_from_file(DEFAULT_PARAMS, OVERRIDES)
    recorded = drive(given.frames, config)
    load_before = os.getloadavg()[0]
    result = {
        "conditions": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "cyclonedds": version("cyclonedds"),
            "rosbags": version("rosbags"),
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
            "frames": given.frames,
            "load before": round(load_before, 2),
        },
        "bridge alone, processor time": measure_bridge(recorded, config),
        "round trips": measure_echoes(given.domain, given.echoes),
        "planner": measure_planner(recorded, config, given.domain + 1),
    }
    with written_aside(given.out) as aside:
        aside.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
