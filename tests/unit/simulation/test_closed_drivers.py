"""The planner at the wheel: what it is shown, what is made of its answer, and what happens when it has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffdrive.runtime.plan import Plan, PlanStatus
from diffdrive.scene import (
    AgentKind,
    Agents,
    CameraFrame,
    CameraId,
    DrivingCommand,
    EgoState,
    LidarSweep,
    Observation,
    Scene,
    Trajectory,
)
from diffdrive.simulation.drivers.idm import IdmDriver
from diffdrive.simulation.drivers.network import EnvelopedDriver, NetworkDriver

STEP_US = 500_000


def scene(step: int, speed: float) -> Scene:
    """A car that rolls straight on, with images that never change."""
    now = step * STEP_US
    history = tuple(
        EgoState(
            timestamp_us=now - k * STEP_US,
            pose=np.array([-0.5 * speed * k, 0.0, 0.0]),
            velocity=np.array([speed, 0.0]),
            acceleration=np.zeros(2),
        )
        for k in (3, 2, 1, 0)
    )
    frame = CameraFrame(image=np.zeros((4, 6, 3), np.uint8), intrinsics=np.eye(3), ego_from_camera=np.eye(4))
    return Scene(
        token=f"drive-{now}",
        log_name="drive",
        location="nowhere",
        world_from_ego=np.array([0.5 * speed * step, 3.0, 0.0]),
        observation=Observation(
            ego_history=history,
            command=DrivingCommand.STRAIGHT,
            cameras=dict.fromkeys((CameraId.L0, CameraId.F0, CameraId.R0), frame),
            lidar=LidarSweep(points=np.zeros((4, 3), np.float32)),
        ),
        agents=Agents.none(),
        route=np.column_stack([np.arange(0.0, 100.0), np.zeros(100)]),
    )


class Straight:
    """Plans to go straight on at one speed; the second of its proposals scores best."""

    def __init__(self, speed: float) -> None:
        self.speed, self.asked = speed, 0

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        self.asked += 1
        ways = 0.5 * self.speed * np.arange(1, 9)
        poses = np.column_stack([ways, np.zeros(8), np.zeros(8)])
        proposals = np.stack([poses + [0.0, 9.0, 0.0], poses])
        return Plan(trajectory=Trajectory(poses), proposals=proposals, scores=np.array([0.2, 0.8]), status=PlanStatus.PLANNED)


class Broken(Straight):
    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        if self.asked >= 2:
            raise RuntimeError("out of memory")
        return super().plan(observation, noise=noise)


@pytest.mark.parametrize("make", [NetworkDriver, EnvelopedDriver])
def test_the_best_proposal_is_driven_and_all_are_told(make: type[NetworkDriver] | type[EnvelopedDriver]) -> None:
    answer = make(Straight(5.0)).drive(scene(10, 5.0))
    assert answer.status == "PLANNED"
    np.testing.assert_allclose(answer.trajectory.poses[:, 0], 2.5 * np.arange(1, 9))
    assert answer.proposals is not None
    assert answer.proposals.shape == (2, 8, 3)


def test_equal_images_at_a_standstill_are_not_a_frozen_camera() -> None:
    planner = Straight(0.0)
    driver = EnvelopedDriver(planner)
    statuses = {driver.drive(scene(step, 0.0)).status for step in range(10, 22)}
    assert statuses == {"PLANNED"}
    assert planner.asked == 12


def test_a_planner_that_fails_is_carried_on_and_then_braked_for_by_the_envelope_alone() -> None:
    driver, statuses, last = EnvelopedDriver(Broken(5.0)), [], None
    for step in range(10, 15):
        last = driver.drive(scene(step, 5.0))
        statuses.append(last.status)
    assert statuses == ["PLANNED", "PLANNED", "CARRIED_ON", "STOPPING", "STOPPING"]
    assert last is not None
    assert "out of memory" in last.detail
    raw = NetworkDriver(Broken(5.0))
    raw.drive(scene(10, 5.0))
    raw.drive(scene(11, 5.0))
    with pytest.raises(RuntimeError, match="out of memory"):
        raw.drive(scene(12, 5.0))


def test_the_lane_follower_stops_behind_what_stands() -> None:
    free = scene(10, 8.0)
    blocked = replace(
        free,
        agents=Agents(
            track_tokens=("van",),
            kinds=(AgentKind.VEHICLE,),
            boxes=np.array([[24.0, 0.0, 0.0, 5.0, 2.0]]),
            vertical=np.array([[1.0, 2.0]]),
            velocities=np.zeros((1, 2)),
        ),
    )
    assert IdmDriver().drive(free).trajectory.poses[-1, 0] > 30.0
    end = IdmDriver().drive(blocked).trajectory.poses[-1, 0]
    # The front bumper is 4.05 m before the rear axle, the van's rear is at 21.5 m.
    assert 10.0 < end + 4.05 < 21.5
