"""Real DDS on loopback between two processes: the bytes are ROS 2's, and what gets lost on the way is answered."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'diffdrive[ros2]'")
pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install 'diffdrive[ros2]'")

import ros_drive
from diffdrive_agents.ros2.bag_types import make_bag_message, typestore
from diffdrive_agents.ros2.bags import Recorded, read_bag
from diffdrive_agents.ros2.bridge import Bridge
from diffdrive_agents.ros2.dds.play import Answered, play
from diffdrive_agents.ros2.dds.types import carried, carrier_class, idl_class
from diffdrive_agents.ros2.disturbance import Disturbance, disturbed
from diffdrive_agents.ros2.record_world import record

from diffdrive.assets import CHECKPOINTS
from diffdrive.contracts import InputError
from diffdrive.runtime import Planner
from diffdrive.runtime.envelope import AskInline

FRAMES = 16
OVERRIDES = ("envelope.deadline_s=30", "reliable_sensors=true")
CONFIG = ros_drive.config("reliable_sensors=true")
DISTURBANCE = Disturbance(seed=4, drop=0.12, delay=0.2, max_delay_s=0.4, reorder=0.1, spared=(CONFIG.inputs.static_transforms,))
PACKAGES = ("sensor_", "nav_", "geometry_", "std_", "diagnostic_", "visualization_", "tf2_", "rosgraph_", "autoware_")


def test_both_encoders_write_the_same_bytes_of_every_type() -> None:
    """cyclonedds' own, from the IDL, and rosbags', which writes what ROS 2 reads."""
    names = [name for name in typestore().types if name.startswith(PACKAGES)]
    assert len(names) > 100
    for name in names:
        content = bytes(typestore().serialize_cdr(make_bag_message(name), name))
        assert idl_class(name).deserialize(content).serialize() == content, name


def test_a_carrier_brings_a_message_over_as_it_was() -> None:
    data = np.arange(1000, dtype=np.uint8)
    message = make_bag_message("sensor_msgs/msg/CompressedImage", format="jpeg", data=data)
    content = carried(message).serialize()
    assert content == idl_class("sensor_msgs/msg/CompressedImage").deserialize(content).serialize()
    back = carrier_class("sensor_msgs/msg/CompressedImage").deserialize(content).message
    assert back.format == "jpeg" and back.data.tolist() == data.tolist()


def numbered(count: int, topics: Sequence[str] = ("/a", "/b")) -> list[Recorded]:
    return [
        Recorded(topic=topic, type_name="", received_ns=step * 100_000_000, message=(topic, step))
        for step in range(count)
        for topic in topics
    ]


def test_a_disturbance_drops_delays_and_reorders_as_often_as_it_says() -> None:
    sent = numbered(2000, ("/a", "/b", "/spared"))
    chosen = Disturbance(seed=7, drop=0.1, delay=0.2, max_delay_s=0.25, reorder=0.15, spared=("/spared",))
    arrived = disturbed(sent, chosen)
    assert arrived == disturbed(sent, chosen) != disturbed(sent, Disturbance(seed=8, drop=0.1, delay=0.2, reorder=0.15))
    assert [each for each in arrived if each.topic == "/spared"] == [each for each in sent if each.topic == "/spared"]
    times = {each.message: each.received_ns for each in sent}
    for topic in ("/a", "/b"):
        own = [each for each in arrived if each.topic == topic]
        assert 0.87 < len(own) / 2000 < 0.93
        late = [each for each in own if each.received_ns != times[each.message]]
        assert 0.28 < len(late) / 2000 < 0.40
        assert all(0 <= each.received_ns - times[each.message] <= 250_000_000 for each in own)
        steps = [each.message[1] for each in own]
        assert any(later < earlier for earlier, later in pairwise(steps))
    with pytest.raises(InputError, match="sum to 1"):
        Disturbance(drop=0.7, delay=0.4)


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    """What arrives of a drive, disturbed."""
    source, bag = ros_drive.Drive(), tmp_path_factory.mktemp("dds") / "drive.mcap"
    record(source, list(source.tokens[15 : 15 + FRAMES]), bag, CONFIG)
    return disturbed(read_bag(bag), DISTURBANCE)


@pytest.fixture(scope="module")
def domain() -> int:
    """Of this process alone, so that tests beside it do not hear it. The ports of higher domains are taken by the system."""
    return 1 + os.getpid() % 100


@pytest.fixture(scope="module")
def planner_process(domain: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "diffdrive_agents.ros2.dds.host", "--sim-time", "--domain", str(domain), *OVERRIDES]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parent)
    yield process
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture(scope="module")
def answers(messages: list[Recorded], domain: int, planner_process: subprocess.Popen[str]) -> list[Answered]:
    return list(play(messages, CONFIG, domain=domain))


def in_this_process(messages: Sequence[Recorded]) -> Iterator[dict[str, Any]]:
    """The answers of a bridge that is handed the same messages without DDS."""
    bridge = Bridge(AskInline(planner=Planner.from_checkpoint(CHECKPOINTS / "nano")), CONFIG, make_bag_message)
    now_ns, waiting = messages[0].received_ns, list(messages)
    while waiting:
        for each in [each for each in waiting if each.received_ns <= now_ns]:
            bridge.receive(each.topic, each.message)
        waiting = [each for each in waiting if each.received_ns > now_ns]
        yield {out.topic: out.message for out in bridge.cycle(now_ns // 1000)}
        now_ns += 100_000_000


def points(message: Any) -> np.ndarray:
    return np.array([[each.pose.position.x, each.pose.position.y, each.longitudinal_velocity_mps] for each in message.points])


def standing(message: Any) -> list[tuple[str, int, str]]:
    return [(status.name, int(status.level), status.message) for status in message.status]


def value(status: Any, key: str) -> str:
    return next(pair.value for pair in status.values if pair.key == key)


def test_the_planner_behind_dds_decides_as_the_one_in_this_process(messages: list[Recorded], answers: list[Answered]) -> None:
    outputs, count = CONFIG.outputs, 0
    for answer, wanted in zip(answers, in_this_process(messages), strict=True):
        assert standing(answer.messages[outputs.diagnostics]) == standing(wanted[outputs.diagnostics])
        assert set(answer.messages) == set(wanted)
        if outputs.trajectory in wanted:
            count += 1
            told = answer.messages[outputs.trajectory]
            assert told.header.stamp.nanosec == wanted[outputs.trajectory].header.stamp.nanosec
            np.testing.assert_allclose(points(told), points(wanted[outputs.trajectory]), atol=1e-4)
    assert count > FRAMES / 2


def test_what_was_lost_late_and_overtaken_is_seen_and_answered(answers: list[Answered]) -> None:
    planner, inputs = Counter(), Counter()
    for answer in answers:
        first, *others = answer.messages[CONFIG.outputs.diagnostics].status
        planner[value(first, "status")] += 1
        inputs.update(value(status, "condition") for status in others)
    assert planner["PLANNED"] and planner["CARRIED_ON"] and planner["EMERGENCY_STOP"]
    assert inputs["FRESH"] and inputs["HELD"] and inputs["OUT_OF_ORDER"] and inputs["STALE"]
    assert all(0 < answer.tick_s <= answer.frame_s for answer in answers if CONFIG.outputs.trajectory in answer.messages)


def test_without_a_planner_to_listen_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, domain: int) -> None:
    monkeypatch.setattr("diffdrive_agents.ros2.dds.play._MEETING_S", 0.1)
    with pytest.raises(InputError, match=r"No planner listens to .*/clock"):
        list(play(numbered(1), CONFIG, domain=domain + 101))
