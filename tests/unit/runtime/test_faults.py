"""Everything that can break in front of, inside or behind an engine: the planner answers with a status and its last resort.

Every fault is injected into a planner that just planned well, so that there is an earlier plan that could leak out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from graph_fakes import IMAGE_SIZE, MAX_POINTS, OPTIONS, FakeRecorder, Work, tiny_model

from diffdrive.contracts import InputError
from diffdrive.runtime import Engine, PlainEngine, Plan, Planner, PlanStatus, make_engine
from diffdrive.runtime.cuda_graph import CudaGraphEngine
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation
from diffdrive.tensors import LayerProposals, PlannerInputs, Proposals


def observation(seed: int = 0, num_points: int = 300) -> Observation:
    rng = np.random.default_rng(seed)
    cameras = {
        camera: CameraFrame(
            image=rng.integers(0, 255, (*IMAGE_SIZE, 3), dtype=np.uint8), intrinsics=np.eye(3), ego_from_camera=np.eye(4)
        )
        for camera in (CameraId.L0, CameraId.F0, CameraId.R0)
    }
    cloud = rng.uniform(-30, 30, (num_points, 3)).astype(np.float32)
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=[8.0, 0.0], acceleration=[0.0, 0.0])
    return Observation(ego_history=(ego,), command=DrivingCommand.LEFT, cameras=cameras, lidar=LidarSweep(points=cloud))


def forced(target: object, name: str, value: object) -> None:
    """What a driver that writes past the dataclass's checks would leave."""
    object.__setattr__(target, name, value)


def without_camera() -> Observation:
    seen = observation()
    return dataclasses.replace(seen, cameras={k: v for k, v in seen.cameras.items() if k is not CameraId.L0})


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

ENGINES: dict[str, Callable[[], Engine]] = {
    "plain": lambda: PlainEngine(tiny_model()),
    "sensors": lambda: CudaGraphEngine(tiny_model(), OPTIONS, FakeRecorder()),
}


@pytest.fixture(scope="module", params=list(ENGINES))
def planner(request: pytest.FixtureRequest) -> Planner:
    made = Planner(ENGINES[request.param]())
    made.warm_up()
    return made


def assert_stop(plan: Plan, status: PlanStatus, words: str) -> None:
    assert plan.status is status, plan.detail
    assert words in plan.detail
    assert not plan.status.is_planned and plan.chosen is None
    assert plan.proposals.shape == (0, 8, 3) and plan.scores.shape == (0,)
    assert plan.trajectory.num_poses == 8 and np.isfinite(plan.trajectory.poses).all()
    assert np.all(plan.trajectory.poses[:, 1:] == 0.0), "straight on"


def assert_same(plan: Plan, other: Plan) -> None:
    np.testing.assert_array_equal(plan.proposals, other.proposals)
    np.testing.assert_array_equal(plan.scores, other.scores)


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


class ScriptedEngine:
    """Answers with what ``script`` makes of a plain engine's answer."""

    name, description, degraded = "scripted", "scripted", ""

    def __init__(self, script: Callable[[Proposals], object] = lambda proposals: proposals) -> None:
        self._plain = PlainEngine(tiny_model())
        self.spec, self.device, self.script = dataclasses.replace(self._plain.spec, batch_size=None), self._plain.device, script
        self.num_calls = 0

    def warm_up(self) -> None:
        pass

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: Callable[[str], None] = print) -> Proposals:
        self.num_calls += 1
        return self.script(self._plain.run(inputs, noise))  # type: ignore[return-value]


class FixedEngine(ScriptedEngine):
    """Always the same answer, without a network."""

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: Callable[[str], None] = print) -> Proposals:
        return with_result(torch.zeros(1, 4, 8, 3), torch.zeros(1, 4))


def with_result(poses: torch.Tensor, logits: torch.Tensor) -> Proposals:
    return Proposals(passes=((LayerProposals(poses, logits),),))


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (lambda p: with_result(p.poses[:, :3], p.logits[:, :3]), PlanStatus.OUTPUT_MALFORMED, "[1, 3, 8, 3]"),
        (lambda p: with_result(p.poses[:, :, :5], p.logits), PlanStatus.OUTPUT_MALFORMED, "[1, 4, 5, 3]"),
        (lambda p: with_result(p.poses.repeat(2, 1, 1, 1), p.logits.repeat(2, 1)), PlanStatus.OUTPUT_MALFORMED, "[2, 4]"),
        (lambda p: with_result(p.poses[0], p.logits), PlanStatus.NETWORK_FAILED, "InputError"),
        (lambda p: None, PlanStatus.NETWORK_FAILED, "AttributeError"),
        (lambda p: with_result(p.poses * torch.inf, p.logits), PlanStatus.OUTPUT_NOT_FINITE, "4 of 4"),
        (
            lambda p: with_result(p.poses, p.logits.index_fill(1, torch.tensor(2), torch.nan)),
            PlanStatus.OUTPUT_NOT_FINITE,
            "1 of",
        ),
    ],
)
def test_an_engine_that_answers_nonsense(script: Callable[[Proposals], object], status: PlanStatus, words: str) -> None:
    engine = ScriptedEngine()
    planner = Planner(engine)
    good = planner.plan(observation())
    assert good.status is PlanStatus.PLANNED
    engine.script = script
    assert_stop(planner.plan(observation(1)), status, words)
    engine.script = lambda proposals: proposals
    assert_same(planner.plan(observation()), good)


def test_a_plan_keeps_its_numbers_when_the_engine_reuses_its_buffers() -> None:
    poses, logits = torch.zeros(1, 4, 8, 3, dtype=torch.float64), torch.zeros(1, 4, dtype=torch.float64)

    def into_buffers(proposals: Proposals) -> Proposals:
        poses.copy_(proposals.poses)
        logits.copy_(proposals.logits)
        return with_result(poses, logits)

    planner = Planner(ScriptedEngine(into_buffers))
    plan = planner.plan(observation())
    kept = [array.copy() for array in (plan.proposals, plan.scores, plan.trajectory.poses)]
    other = planner.plan(observation(1))
    poses.fill_(torch.nan)
    assert not np.array_equal(other.proposals, plan.proposals)
    for array, before in zip((plan.proposals, plan.scores, plan.trajectory.poses), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_a_plan_copies_what_it_is_given() -> None:
    proposals, scores = np.zeros((1, 8, 3)), np.ones(1)
    trajectory = Planner(ScriptedEngine()).plan(observation()).trajectory
    plan = Plan(trajectory=trajectory, proposals=proposals, scores=scores, status=PlanStatus.PLANNED)
    proposals[:], scores[:] = 7.0, 7.0
    assert not plan.proposals.any() and plan.scores[0] == 1.0


def failing(proposals: Proposals) -> Proposals:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")


def test_a_spare_engine_plans_the_frames_on_which_the_first_fails() -> None:
    first, spare = ScriptedEngine(), ScriptedEngine()
    planner = Planner(first, spare=spare)
    good = planner.plan(observation())
    assert (good.status, spare.num_calls) == (PlanStatus.PLANNED, 0)
    first.script = failing
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_BY_SPARE and plan.status.is_planned
    assert "OutOfMemoryError" in plan.detail
    assert_same(plan, good)
    first.script = lambda proposals: proposals
    assert planner.plan(observation()).status is PlanStatus.PLANNED, "one failure is forgiven"


def test_after_failures_in_a_row_only_the_spare_is_asked() -> None:
    first, spare = ScriptedEngine(failing), ScriptedEngine()
    planner = Planner(first, spare=spare)
    for _ in range(2):
        planner.plan(observation())
    first.script = lambda proposals: proposals
    assert planner.plan(observation()).status is PlanStatus.PLANNED
    first.script = failing
    for _ in range(2):
        assert planner.plan(observation()).status is PlanStatus.PLANNED_BY_SPARE
        assert planner.plan(without_camera()).status is PlanStatus.CAMERA_MISSING, "says nothing about the engine"
    assert planner.plan(observation()).status is PlanStatus.PLANNED_BY_SPARE
    calls = first.num_calls
    assert calls == 2 + 1 + 3, "a success starts the count anew, a frame without a camera leaves it"
    first.script = lambda proposals: proposals
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_BY_SPARE and "OutOfMemoryError" in plan.detail
    assert first.num_calls == calls


def test_two_engines_that_fail_give_a_stop() -> None:
    planner = Planner(ScriptedEngine(failing), spare=ScriptedEngine(lambda p: with_result(p.poses * torch.nan, p.logits)))
    assert_stop(planner.plan(observation()), PlanStatus.OUTPUT_NOT_FINITE, "4 of 4")


def test_a_first_engine_that_cannot_start_leaves_the_spare() -> None:
    class Stillborn(ScriptedEngine):
        def warm_up(self) -> None:
            raise RuntimeError("no kernel image is available")

    with pytest.raises(RuntimeError, match="kernel image"):
        Planner(Stillborn()).warm_up()
    first = Stillborn()
    planner = Planner(first, spare=ScriptedEngine())
    planner.warm_up()
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_BY_SPARE and "kernel image" in plan.detail
    assert first.num_calls == 0


def test_a_spare_of_another_shape_and_a_batch_engine_are_refused() -> None:
    other = ScriptedEngine()
    other.spec = dataclasses.replace(other.spec, num_modes=6)
    with pytest.raises(InputError, match="4 modes of 8 poses"):
        Planner(ScriptedEngine(), spare=other)
    other.spec = dataclasses.replace(other.spec, num_modes=4, batch_size=2)
    for arguments in ({"engine": other}, {"engine": ScriptedEngine(), "spare": other}):
        with pytest.raises(InputError, match="batches of 2"):
            Planner(**arguments)


def test_planners_side_by_side_plan_as_if_alone() -> None:
    makers = [*ENGINES.values(), lambda: CudaGraphEngine(tiny_model(1), OPTIONS, FakeRecorder())]
    alone = [[Planner(make(), seed=3).plan(observation(seed)) for seed in range(2)] for make in makers]
    together = [Planner(make(), seed=3) for make in makers]
    for seed in range(2):
        for number, planner in enumerate(together):
            assert_same(planner.plan(observation(seed)), alone[number][seed])
