"""A drive as a bag, through bridge and planner, into another bag: the same plans as from the scenes themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'diffdrive[ros2]'")

import ros_drive
from diffdrive_agents.ros2 import record_world
from diffdrive_agents.ros2 import replay as replay_command
from diffdrive_agents.ros2.bag_types import make_bag_message
from diffdrive_agents.ros2.bags import BagWriter, Recorded, read_bag
from diffdrive_agents.ros2.network import load_network
from diffdrive_agents.ros2.record_world import record
from diffdrive_agents.ros2.replay import replay
from diffdrive_agents.ros2.scene_messages import scene_messages
from diffdrive_agents.ros2.topics import subscriptions

from diffdrive.assets import CHECKPOINTS
from diffdrive.contracts import InputError
from diffdrive.geometry import to_world, wrap_angle
from diffdrive.runtime import Planner
from diffdrive.runtime.envelope import CycleOutcome, DecisionStatus, StartKind
from diffdrive.scene import Scene

FRAMES = 5
FIRST = 15
"""Frames of the recording; it begins 1.5 s after the log, where the first scene with a whole history is."""

RAW, JPEG = ros_drive.raw(), ros_drive.config()


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner.from_checkpoint(CHECKPOINTS / "nano")


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    source = ros_drive.Drive(history_s=1.5)
    return [source.load(token) for token in source.tokens[:FRAMES]]


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bags")
    source = ros_drive.Drive()
    tokens = list(source.tokens[FIRST : FIRST + FRAMES])
    assert record(source, tokens, folder / "raw.mcap", RAW) == record(source, tokens, folder / "jpeg", JPEG) == FRAMES * 10
    return folder


@pytest.fixture(scope="module")
def outcomes(bags: Path, planner: Planner) -> list[CycleOutcome]:
    seen: list[CycleOutcome] = []
    assert replay(bags / "raw.mcap", bags / "out.mcap", planner, RAW, seen=seen.append) == FRAMES
    return seen


def of_topic(bag: Path, topic: str) -> list[Recorded]:
    return [each for each in read_bag(bag) if each.topic == topic]


def test_every_cycle_plans_exactly_what_is_planned_from_the_scene(
    outcomes: Sequence[CycleOutcome], scenes: Sequence[Scene], planner: Planner
) -> None:
    for outcome, scene in zip(outcomes, scenes, strict=True):
        direct = planner.plan(scene.observation)
        assert outcome.answer is not None and outcome.answer.plan is not None
        np.testing.assert_array_equal(outcome.answer.plan.proposals, direct.proposals)
        np.testing.assert_array_equal(outcome.answer.plan.scores, direct.scores)
        assert outcome.decision.mode is not None
        if outcome.decision.status is DecisionStatus.PLANNED:
            np.testing.assert_array_equal(outcome.decision.trajectory.poses, direct.proposals[outcome.decision.mode])


def test_the_output_bag_holds_the_plan_of_every_cycle_in_the_frame_of_the_odometry(
    bags: Path, outcomes: Sequence[CycleOutcome], scenes: Sequence[Scene]
) -> None:
    found = of_topic(bags / "out.mcap", RAW.outputs.trajectory)
    assert [each.received_ns for each in found] == [scene.observation.ego.timestamp_us * 1000 for scene in scenes]
    for each, outcome, scene in zip(found, outcomes, scenes, strict=True):
        points = each.message.points
        assert (each.message.header.frame_id, len(points)) == ("map", 41)
        seconds = [point.time_from_start.sec + point.time_from_start.nanosec / 1e9 for point in points]
        np.testing.assert_allclose(seconds, np.arange(41) * 0.1, atol=1e-9)
        planned = np.concatenate([np.zeros((1, 3)), outcome.decision.trajectory.poses])
        told = np.array([[p.pose.position.x, p.pose.position.y] for p in points])[::5]
        np.testing.assert_allclose(told, to_world(planned, scene.world_from_ego)[:, :2], atol=1e-9)
        turned = [2 * np.arctan2(p.pose.orientation.z, p.pose.orientation.w) for p in points[::5]]
        np.testing.assert_allclose(wrap_angle(np.array(turned) - to_world(planned, scene.world_from_ego)[:, 2]), 0.0, atol=1e-9)


def test_the_history_that_the_planner_saw_is_the_scenes(bags: Path, planner: Planner, scenes: Sequence[Scene]) -> None:
    source = ros_drive.Drive()
    whole = list(source.tokens[: FIRST + 1])
    with BagWriter(bags / "start.mcap") as writer:
        writer.add_topics(subscriptions(RAW))
        for token in whole:
            scene = source.load(token, sensors=False)
            for topic, message in scene_messages(make_bag_message, scene, RAW):
                writer.write(topic, message, scene.observation.ego.timestamp_us * 1000)
    seen: list[CycleOutcome] = []
    replay(bags / "start.mcap", bags / "start_out.mcap", planner, RAW, seen=seen.append)
    motion = seen[-1].cycle.motion
    assert motion is not None
    for state, wanted in zip(motion.history, scenes[0].observation.ego_history, strict=True):
        assert state.timestamp_us == wanted.timestamp_us
        np.testing.assert_allclose(state.pose, wanted.pose, atol=1e-9)
        np.testing.assert_array_equal(state.velocity, wanted.velocity)
        np.testing.assert_array_equal(state.acceleration, wanted.acceleration)
    assert {outcome.decision.status for outcome in seen} == {DecisionStatus.STOPPING}, "there is nothing to see in that bag"


def test_jpegs_change_the_plans_a_little(bags: Path, outcomes: Sequence[CycleOutcome], planner: Planner) -> None:
    seen: list[CycleOutcome] = []
    replay(bags / "jpeg", bags / "jpeg_out.mcap", planner, JPEG, seen=seen.append)
    for one, other in zip(seen, outcomes, strict=True):
        assert one.answer is not None and one.answer.plan is not None
        assert other.answer is not None and other.answer.plan is not None
        departure = np.abs(one.answer.plan.proposals - other.answer.plan.proposals)[..., :2]
        assert 0 < departure.max() < 1.0 and departure.mean() < 0.1


def test_a_replay_is_the_same_to_the_byte(bags: Path, outcomes: Sequence[CycleOutcome], planner: Planner) -> None:
    assert outcomes
    # A bag holds its own name.
    replay(bags / "raw.mcap", bags / "again/out.mcap", planner, RAW)
    assert (bags / "again/out.mcap").read_bytes() == (bags / "out.mcap").read_bytes()


def test_a_warm_start_goes_through_the_bridge(bags: Path, outcomes: Sequence[CycleOutcome]) -> None:
    config = replace(RAW, warm_start=True)
    network, seen = load_network(config), list[CycleOutcome]()
    assert network.warm_start is not None and load_network(RAW).warm_start is None
    replay(bags / "raw.mcap", bags / "warm.mcap", network.planner, config, warm_start=network.warm_start, seen=seen.append)
    kinds = [outcome.start.kind for outcome in seen if outcome.start is not None]
    assert kinds == [StartKind.FIRST] + [StartKind.WARM] * (FRAMES - 1)
    firsts, lasts = ([each[i].answer for each in (seen, outcomes)] for i in (0, -1))
    for (warm, cold), is_same in ((firsts, True), (lasts, False)):
        assert warm is not None and warm.plan is not None and cold is not None and cold.plan is not None
        assert np.array_equal(warm.plan.proposals, cold.plan.proposals) == is_same


def test_the_output_is_all_there_and_readable(bags: Path, outcomes: Sequence[CycleOutcome]) -> None:
    counts = Counter((each.topic, each.type_name) for each in read_bag(bags / "out.mcap"))
    assert outcomes and counts == {
        (RAW.outputs.trajectory, "autoware_planning_msgs/msg/Trajectory"): FRAMES,
        (RAW.outputs.candidates, "autoware_internal_planning_msgs/msg/CandidateTrajectories"): FRAMES,
        (RAW.outputs.diagnostics, "diagnostic_msgs/msg/DiagnosticArray"): FRAMES,
        (RAW.outputs.markers, "visualization_msgs/msg/MarkerArray"): FRAMES,
    }
    candidates = of_topic(bags / "out.mcap", RAW.outputs.candidates)[0].message
    plan = outcomes[0].answer.plan if outcomes[0].answer else None
    assert plan is not None and len(candidates.candidate_trajectories) == 20
    best = candidates.candidate_trajectories[0]
    assert len(best.points) == 9 and candidates.generator_info[0].generator_name.data == "diffdrive"
    np.testing.assert_array_equal(best.generator_id.uuid, candidates.generator_info[0].generator_id.uuid)
    assert best.points[-1].time_from_start.sec == 4


def test_the_commands_record_and_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_world.main([ros_drive.LOG, str(tmp_path), "--seconds", "0"])
    bag = tmp_path / ros_drive.LOG
    assert (bag / "metadata.yaml").is_file() and "11 messages" not in capsys.readouterr().out
    replay_command.main([str(bag), str(tmp_path / "out"), "points_per_pose=1"])
    assert re.search(r"1 cycles \(1 (PLANNED|REPAIRED)\)", capsys.readouterr().out)
    trajectory = of_topic(tmp_path / "out", RAW.outputs.trajectory)[0].message
    assert len(trajectory.points) == 9


def test_what_cannot_be_replayed_ends_with_a_sentence(tmp_path: Path, bags: Path) -> None:
    with pytest.raises(SystemExit, match="no bag at"):
        replay_command.main([str(tmp_path / "none.mcap"), str(tmp_path / "out")])
    (tmp_path / "bad.mcap").write_bytes(b"no bag")
    with pytest.raises(SystemExit, match="cannot be read as a bag"):
        replay_command.main([str(tmp_path / "bad.mcap"), str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="Did you mean 'history'"):
        replay_command.main([str(bags / "raw.mcap"), str(tmp_path / "out"), "histori.max_gap_s=1"])
    with pytest.raises(SystemExit, match="is there already"):
        replay_command.main([str(bags / "raw.mcap"), str(bags / "jpeg")])
    assert list(tmp_path.iterdir()) == [tmp_path / "bad.mcap"], "nothing half-written is left behind"


def test_a_bag_of_other_topics_says_which_are_wanted(bags: Path, planner: Planner) -> None:
    others = ("point_cloud", "odometry", "acceleration", "turn_indicators", "static_transforms")
    cameras = (f"cameras.{name}.{topic}" for name in ("l0", "f0", "r0") for topic in ("image", "info"))
    nothing = ros_drive.raw(*(f"inputs.{name}=/none/{name}" for name in (*others, *cameras)))
    with pytest.raises(InputError, match="/none/odometry"):
        replay(bags / "raw.mcap", bags / "nothing.mcap", planner, nothing)
