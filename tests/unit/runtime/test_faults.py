"""Everything that can break in front of an engine, or between it and its device: a status, and the planner's last resort.

Every fault is injected into a planner that just planned well, so that there is an earlier plan that could leak out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from fault_helpers import ENGINES, assert_same, assert_stop, observation, without_camera
from graph_fakes import IMAGE_SIZE, MAX_POINTS, OPTIONS, FakeRecorder, Work, tiny_model

from diffdrive.runtime import PlainEngine, Plan, Planner, PlanStatus, make_engine
from diffdrive.runtime.cuda_graph import CudaGraphEngine
from diffdrive.scene import CameraId, Observation


def forced(target: object, name: str, value: object) -> None:
    """What a driver that writes past the dataclass's checks would leave."""
    object.__setattr__(target, name, value)


def float_image() -> Observation:
    seen = observation()
    forced(seen.cameras[CameraId.F0], "image", np.full((*IMAGE_SIZE, 3), np.nan, np.float32))
    return seen


def grey_image() -> Observation:
    seen = observation()
    forced(seen.cameras[CameraId.F0], "image", np.zeros(IMAGE_SIZE, np.uint8))
    return seen


def other_size() -> Observation:
    seen = observation()
    for frame in seen.cameras.values():
        forced(frame, "image", np.zeros((100, 100, 3), np.uint8))
    return seen


def no_image() -> Observation:
    seen = observation()
    forced(seen.cameras[CameraId.F0], "image", None)
    return seen


def nan_point() -> Observation:
    seen = observation()
    points = seen.lidar.points.copy()
    points[7, 2] = np.nan
    forced(seen.lidar, "points", points)
    return seen


def wide_points() -> Observation:
    seen = observation()
    forced(seen.lidar, "points", np.zeros((10, 4), np.float32))
    return seen


def double_points() -> Observation:
    seen = observation()
    forced(seen.lidar, "points", np.zeros((10, 3)))
    return seen


def nan_speed() -> Observation:
    seen = observation()
    forced(seen.ego, "velocity", np.array([np.nan, 0.0]))
    return seen


def infinite_acceleration() -> Observation:
    seen = observation()
    forced(seen.ego, "acceleration", np.array([np.inf, 0.0]))
    return seen


def bad_speed_shape() -> Observation:
    seen = observation()
    forced(seen.ego, "velocity", np.zeros(0))
    return seen


SENSOR_FAULTS = [
    (without_camera, PlanStatus.CAMERA_MISSING, "l0"),
    (float_image, PlanStatus.SENSOR_UNREADABLE, "float32"),
    (grey_image, PlanStatus.SENSOR_UNREADABLE, "f0"),
    (other_size, PlanStatus.SENSOR_UNREADABLE, "100"),
    (no_image, PlanStatus.SENSOR_UNREADABLE, "NoneType"),
    (lambda: dataclasses.replace(observation(), lidar=None), PlanStatus.LIDAR_MISSING, ""),
    (lambda: observation(num_points=0), PlanStatus.SENSOR_UNREADABLE, "no points"),
    (nan_point, PlanStatus.INPUT_NOT_FINITE, "1 of 300 LiDAR points"),
    (wide_points, PlanStatus.SENSOR_UNREADABLE, "[10, 4]"),
    (double_points, PlanStatus.SENSOR_UNREADABLE, "float64"),
    (nan_speed, PlanStatus.INPUT_NOT_FINITE, "stays where the car is"),
    (infinite_acceleration, PlanStatus.INPUT_NOT_FINITE, "velocity or acceleration"),
    (bad_speed_shape, PlanStatus.SENSOR_UNREADABLE, "stays where the car is"),
]


@pytest.fixture(scope="module", params=list(ENGINES))
def planner(request: pytest.FixtureRequest) -> Planner:
    made = Planner(ENGINES[request.param]())
    made.warm_up()
    return made


@pytest.mark.parametrize(("bad", "status", "words"), SENSOR_FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_sensor_fault(planner: Planner, bad: Callable[[], Observation], status: PlanStatus, words: str) -> None:
    good = planner.plan(observation())
    assert good.status is PlanStatus.PLANNED, good.detail
    assert_stop(planner.plan(bad()), status, words)
    assert_same(planner.plan(observation()), good)


def test_more_points_than_an_engine_has_room_for_are_not_dropped() -> None:
    planner = Planner(ENGINES["sensors"]())
    plan = planner.plan(observation(num_points=MAX_POINTS + 1))
    assert_stop(plan, PlanStatus.SENSOR_UNREADABLE, "max_points")
    assert planner.plan(observation(num_points=MAX_POINTS)).status is PlanStatus.PLANNED


class Saboteur:
    """Lets recordings work until there is a fault."""

    def __init__(self) -> None:
        self.fault: Work | None = None

    def __call__(self, work: Work) -> Work:
        return lambda: work() if self.fault is None else self.fault()


def sabotaged() -> tuple[Planner, Saboteur, Plan]:
    saboteur = Saboteur()
    planner = Planner(CudaGraphEngine(tiny_model(), OPTIONS, FakeRecorder(saboteur)))
    planner.warm_up()
    return planner, saboteur, planner.plan(observation())


def raising(error: Exception) -> Work:
    def fault() -> None:
        raise error

    return fault


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError("cuDNN")])
def test_an_error_that_passes_is_over_at_the_next_plan(error: Exception) -> None:
    planner, saboteur, good = sabotaged()
    saboteur.fault = raising(error)
    assert_stop(planner.plan(observation(1)), PlanStatus.NETWORK_FAILED, type(error).__name__)
    saboteur.fault = None
    again = planner.plan(observation())
    assert again.status is PlanStatus.PLANNED
    assert_same(again, good)


def test_a_lost_device_gives_stops_for_good() -> None:
    planner, saboteur, _ = sabotaged()
    saboteur.fault = raising(RuntimeError("CUDA error: unspecified launch failure"))
    assert_stop(planner.plan(observation(1)), PlanStatus.NETWORK_FAILED, "device was lost")
    saboteur.fault = None
    assert_stop(planner.plan(observation(1)), PlanStatus.NETWORK_FAILED, "device was lost")


def test_a_stale_answer_is_never_a_plan_and_the_next_one_is_eager() -> None:
    planner, saboteur, good = sabotaged()
    saboteur.fault = lambda: None
    assert_stop(planner.plan(observation(1)), PlanStatus.NETWORK_FAILED, "did not do its work")
    later = planner.plan(observation())
    assert later.status is PlanStatus.PLANNED_DEGRADED
    assert "no longer trusted" in later.detail
    assert_same(later, good)


def test_an_answer_of_nan_is_never_a_plan() -> None:
    planner, saboteur, _ = sabotaged()
    engine = planner.engine
    assert isinstance(engine, CudaGraphEngine) and engine._answer is not None
    answer = engine._answer

    def only_the_ticket() -> None:
        answer.admit()
        answer.deliver([torch.full_like(value, torch.nan) for value in answer._values])

    saboteur.fault = only_the_ticket
    assert_stop(planner.plan(observation(1)), PlanStatus.OUTPUT_NOT_FINITE, "4 of 4")


def refuse(work: Work) -> Work:
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing")


def test_a_failed_recording_plans_eagerly_and_says_so() -> None:
    planner = Planner(CudaGraphEngine(tiny_model(), OPTIONS, FakeRecorder(refuse)))
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_DEGRADED and plan.status.is_planned
    assert plan.detail == planner.engine.degraded and "could not be recorded" in plan.detail
    assert plan.chosen is not None
    assert_same(plan, Planner(ENGINES["sensors"]()).plan(observation()))


def test_without_a_gpu_cuda_graph_still_plans() -> None:
    planner = Planner(make_engine("cuda_graph", tiny_model(), OPTIONS))
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_DEGRADED, plan.detail
    expected = Planner(PlainEngine(tiny_model())).plan(observation())
    np.testing.assert_allclose(plan.proposals, expected.proposals, atol=2e-2)


def test_planners_side_by_side_plan_as_if_alone() -> None:
    makers = [*ENGINES.values(), lambda: CudaGraphEngine(tiny_model(1), OPTIONS, FakeRecorder())]
    alone = [[Planner(make(), seed=3).plan(observation(seed)) for seed in range(2)] for make in makers]
    together = [Planner(make(), seed=3) for make in makers]
    for seed in range(2):
        for number, planner in enumerate(together):
            assert_same(planner.plan(observation(seed)), alone[number][seed])
