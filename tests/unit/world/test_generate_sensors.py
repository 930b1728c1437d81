"""Sensors of a drive, with a stand-in for what renders them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from diffdrive.log123d.write import LogRecord
from diffdrive.scene import AgentKind, Agents, LidarSweep, LightState, Scene, TrafficLight
from diffdrive.vehicle import PACIFICA
from diffdrive.world.conditions import Conditions
from diffdrive.world.record_sensors import scene_at, with_sensors

FRAMES = 21


def record() -> LogRecord:
    """Straight to the north at 5 m/s; a car stands 20 m ahead of the start and a little to the right."""
    other = Agents(
        track_tokens=("v1",),
        kinds=(AgentKind.VEHICLE,),
        boxes=np.array([[12.0, 40.0, np.pi / 2, 4.7, 1.9]]),
        vertical=np.array([[0.75, 1.5]]),
        velocities=np.array([[0.0, 3.0]]),
    )
    return LogRecord(
        dataset="testset",
        split="train",
        name="north",
        location="here",
        timestamps_us=5_000_000 + 100_000 * np.arange(FRAMES),
        poses=np.column_stack([np.full(FRAMES, 10.0), 20.0 + 0.5 * np.arange(FRAMES), np.full(FRAMES, np.pi / 2)]),
        velocities=np.tile([5.0, 0.0], (FRAMES, 1)),
        accelerations=np.zeros((FRAMES, 2)),
        yaw_rates=np.zeros(FRAMES),
        vehicle=PACIFICA,
        agents=(other,) * FRAMES,
        traffic_lights=((TrafficLight(lane_id="3", state=LightState.RED),),) * FRAMES,
        route=None,
    )


class FakeStudio:
    def __init__(self) -> None:
        self.scenes: list[Scene] = []

    def shoot(self, town: Any, scene: Scene, rng: np.random.Generator, conditions: Conditions) -> SimpleNamespace:
        self.scenes.append(scene)
        points = rng.uniform(size=(3, 3)).astype(np.float32)
        return SimpleNamespace(cameras={}, lidar=LidarSweep(points=points))


def test_a_scene_sees_the_others_from_the_ego() -> None:
    scene = scene_at(record(), 10)
    np.testing.assert_allclose(scene.world_from_ego, [10.0, 25.0, np.pi / 2])
    np.testing.assert_allclose(scene.agents.boxes, [[15.0, -2.0, 0.0, 4.7, 1.9]], atol=1e-12)
    np.testing.assert_allclose(scene.agents.velocities, [[3.0, 0.0]], atol=1e-12)
    assert scene.traffic_lights == record().traffic_lights[10]
    assert scene.location == "here" and scene.observation.ego.timestamp_us == 6_000_000


def test_sensors_look_twice_a_second_and_the_same_way_again() -> None:
    studio = FakeStudio()
    seen = with_sensors(record(), studio, None)  # type: ignore[arg-type]
    assert sorted(seen.sensors) == [0, 5, 10, 15, 20]
    np.testing.assert_allclose([scene.world_from_ego[1] for scene in studio.scenes], [20.0, 22.5, 25.0, 27.5, 30.0])
    drives = (record(), replace(record(), name="south"))
    again, other = (with_sensors(drive, FakeStudio(), None) for drive in drives)  # type: ignore[arg-type]
    sweeps = [run.sensors[10].lidar.points for run in (seen, again, other)]  # type: ignore[union-attr]
    assert np.array_equal(sweeps[0], sweeps[1]) and not np.array_equal(sweeps[0], sweeps[2])
