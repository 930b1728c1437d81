"""The planner answers every observation with a plan: the network's, or a marked stop."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.diffusion import DDIM, REFERENCE, JumpTable
from diffdrive.model import PlannerModel, nano
from diffdrive.runtime import Engine, EngineOptions, EngineSpec, PlainEngine, Plan, Planner, PlanStatus
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation, Trajectory
from diffdrive.tensors import AgentPredictions, InputLayout, LayerProposals, PlannerInputs, Proposals

SPEC = EngineSpec(inputs=InputLayout(camera_height=64, camera_width=256, lidar_pixels=64), num_modes=4)


class LineEngine:
    """Mode m drives straight at m + 1 m/s; the noise of mode m is its logit. No network."""

    name = "lines"
    description = "lines"
    degraded = ""
    spec = SPEC
    device = torch.device("cpu")

    def __init__(self, spoil: Callable[[torch.Tensor, torch.Tensor], None] = lambda poses, logits: None) -> None:
        self.spoil = spoil
        self.warmed_up = False
        self.seen: list[PlannerInputs] = []

    def warm_up(self) -> None:
        self.warmed_up = True

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: Callable[[str], None] = print) -> Proposals:
        self.seen.append(inputs)
        poses = torch.zeros(1, 4, 8, 3)
        poses[0, :, :, 0] = torch.arange(1.0, 5.0)[:, None] * torch.arange(1, 9) * 0.5
        logits = noise[..., 0, 0].clone()
        self.spoil(poses, logits)
        agents = AgentPredictions(torch.zeros(1, 1, 5), torch.zeros(1, 1))
        return Proposals(passes=((LayerProposals(poses, logits),),), agents=agents, bev_logits=torch.zeros(1, 7, 2, 2))


def observation(*, speed: float = 8.0, points: np.ndarray | None = None) -> Observation:
    rng = np.random.default_rng(3)
    cameras = {
        camera: CameraFrame(
            image=rng.integers(0, 255, (270, 480, 3), dtype=np.uint8), intrinsics=np.eye(3), ego_from_camera=np.eye(4)
        )
        for camera in (CameraId.L0, CameraId.F0, CameraId.R0)
    }
    cloud = rng.uniform(-30, 30, (500, 3)).astype(np.float32) if points is None else points
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=[speed, 0.0], acceleration=[0.0, 0.0])
    return Observation(ego_history=(ego,), command=DrivingCommand.LEFT, cameras=cameras, lidar=LidarSweep(points=cloud))


def mode_noise(*logits: float) -> np.ndarray:
    noise = np.zeros((4, 8, 2))
    noise[:, 0, 0] = logits
    return noise


def nano_model(seed: int = 0) -> PlannerModel:
    torch.manual_seed(seed)
    config = nano()
    anchors = torch.zeros(config.anchor_shape)
    anchors[..., 0] = torch.arange(1.0, 21.0)[:, None] * torch.arange(1, 9) * 0.25
    return PlannerModel(config, anchors)


def test_the_highest_score_is_chosen_and_scores_are_a_softmax() -> None:
    plan = Planner(LineEngine()).plan(observation(), noise=mode_noise(0.0, np.log(3.0), 0.0, -50.0))
    assert plan.status is PlanStatus.PLANNED
    assert plan.chosen == 1
    np.testing.assert_allclose(plan.scores, [0.2, 0.6, 0.2, 0.0], atol=1e-6)
    np.testing.assert_allclose(plan.trajectory.poses[:, 0], 2.0 * np.arange(1, 9) * 0.5)
    np.testing.assert_array_equal(plan.trajectory.poses, plan.proposals[1])
    assert plan.trajectory.interval_s == SPEC.interval_s
    assert plan.detail == ""


def test_the_network_gets_the_features_of_the_observation() -> None:
    engine = LineEngine()
    Planner(engine).plan(observation(speed=6.5))
    (inputs,) = engine.seen
    assert inputs.camera.shape == (1, 3, 64, 256)
    assert inputs.lidar.shape == (1, 1, 64, 64)
    np.testing.assert_allclose(inputs.status[0].numpy(), [1, 0, 0, 0, 6.5, 0, 0, 0])


def test_same_observation_same_plan_and_the_seed_decides_the_noise() -> None:
    first, again = Planner(LineEngine(), seed=5), Planner(LineEngine(), seed=5)
    scores = first.plan(observation()).scores
    np.testing.assert_array_equal(scores, first.plan(observation()).scores)
    np.testing.assert_array_equal(scores, again.plan(observation()).scores)
    assert not np.array_equal(scores, Planner(LineEngine(), seed=6).plan(observation()).scores)


def test_default_noise_is_standard_normal_of_every_mode() -> None:
    state = torch.random.get_rng_state()
    scores = Planner(LineEngine(), seed=5).plan(observation()).scores
    expected = torch.randn(SPEC.noise_shape, generator=torch.Generator().manual_seed(5))[0, :, 0, 0].softmax(0)
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-6)
    assert torch.equal(state, torch.random.get_rng_state()), "planning must not touch the global generator"


def without(camera: CameraId) -> Observation:
    seen = observation()
    return dataclasses.replace(seen, cameras={key: value for key, value in seen.cameras.items() if key is not camera})


def with_nan_points() -> Observation:
    points = np.ones((10, 3), dtype=np.float32)
    seen = observation(points=points)
    points[4, 1] = np.nan  # a sensor driver that keeps writing into its buffer
    return seen


def with_other_size() -> Observation:
    seen = observation()
    frame = CameraFrame(image=np.zeros((100, 100, 3), np.uint8), intrinsics=np.eye(3), ego_from_camera=np.eye(4))
    return dataclasses.replace(seen, cameras={**seen.cameras, CameraId.F0: frame})


@pytest.mark.parametrize(
    ("bad", "status", "words"),
    [
        (lambda: without(CameraId.F0), PlanStatus.CAMERA_MISSING, "f0"),
        (lambda: without(CameraId.R0), PlanStatus.CAMERA_MISSING, "r0"),
        (lambda: dataclasses.replace(observation(), lidar=None), PlanStatus.LIDAR_MISSING, ""),
        (with_nan_points, PlanStatus.INPUT_NOT_FINITE, "1 of 10 LiDAR points"),
        (with_other_size, PlanStatus.SENSOR_UNREADABLE, "100"),
    ],
)
def test_bad_sensor_data_gives_a_marked_stop(bad: Callable[[], Observation], status: PlanStatus, words: str) -> None:
    engine = LineEngine()
    plan = Planner(engine).plan(bad())
    assert plan.status is status
    assert not plan.status.is_planned
    assert words in plan.detail
    assert plan.chosen is None
    assert plan.proposals.shape == (0, 8, 3)
    assert not engine.seen
    assert plan.trajectory.num_poses == SPEC.num_poses
    assert np.all(plan.trajectory.poses[:, 1:] == 0)
    assert plan.trajectory.poses[0, 0] > 3.5, "8 m/s for half a second, hardly braked yet"


def fail(poses: torch.Tensor, logits: torch.Tensor) -> None:
    raise RuntimeError("out of memory")


def spoil_pose(poses: torch.Tensor, logits: torch.Tensor) -> None:
    poses[0, 2, 3, 1] = float("inf")


def spoil_logit(poses: torch.Tensor, logits: torch.Tensor) -> None:
    logits[0, 1] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "status", "words"),
    [
        (fail, PlanStatus.NETWORK_FAILED, "RuntimeError: out of memory"),
        (spoil_pose, PlanStatus.OUTPUT_NOT_FINITE, "1 of 4"),
        (spoil_logit, PlanStatus.OUTPUT_NOT_FINITE, "1 of 4"),
    ],
)
def test_a_failing_network_gives_a_marked_stop(spoil: Callable, status: PlanStatus, words: str) -> None:
    plan = Planner(LineEngine(spoil)).plan(observation())
    assert plan.status is status
    assert words in plan.detail
    assert plan.chosen is None


def test_every_status_is_a_sentence() -> None:
    for status in PlanStatus:
        assert status.value[0].isupper() and status.value.endswith(".") and " " in status.value
        assert status.is_planned == ("stop" not in status.value.split("is a")[-1])


def test_noise_of_the_wrong_shape_is_the_callers_error() -> None:
    with pytest.raises(InputError, match=r"noise must have axes \[4 8 2\]"):
        Planner(LineEngine()).plan(observation(), noise=np.zeros((20, 8, 2)))


def test_timing_is_on_the_given_clock_and_stages_add_up() -> None:
    ticks = itertools.accumulate([0.0, 1.0, 10.0, 100.0])
    timing = Planner(LineEngine(), clock=lambda: next(ticks)).plan(observation()).timing
    assert (timing.features_s, timing.network_s, timing.selection_s, timing.total_s) == (1.0, 10.0, 100.0, 111.0)


def test_a_stage_that_was_not_reached_took_no_time() -> None:
    ticks = itertools.accumulate([0.0, 1.0, 10.0])
    timing = Planner(LineEngine(fail), clock=lambda: next(ticks)).plan(observation()).timing
    assert (timing.features_s, timing.network_s, timing.selection_s, timing.total_s) == (1.0, 10.0, 0.0, 11.0)


def test_warm_up_reaches_the_engine() -> None:
    engine = LineEngine()
    Planner(engine).warm_up()
    assert engine.warmed_up


def test_plan_refuses_proposals_of_another_length() -> None:
    with pytest.raises(InputError, match="as many poses"):
        Plan(
            trajectory=Trajectory(np.zeros((8, 3))), proposals=np.zeros((2, 6, 3)), scores=np.ones(2), status=PlanStatus.PLANNED
        )
    with pytest.raises(InputError, match="at least one proposal"):
        Plan(
            trajectory=Trajectory(np.zeros((8, 3))), proposals=np.zeros((0, 8, 3)), scores=np.ones(0), status=PlanStatus.PLANNED
        )


def test_plain_engine_is_the_network_itself() -> None:
    model = nano_model().train()
    engine = PlainEngine(model, EngineOptions(jumps=DDIM))
    assert isinstance(engine, Engine)
    assert engine.spec == EngineSpec(inputs=nano().inputs, num_modes=20, num_poses=8, interval_s=0.5)
    assert not model.training
    plan = Planner(engine, seed=2).plan(observation())
    assert plan.status is PlanStatus.PLANNED, plan.detail
    from diffdrive.features.inputs import build_inputs

    noise = torch.randn(engine.spec.noise_shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = model(build_inputs(observation(), nano().inputs), noise, DDIM)
        other = model(build_inputs(observation(), nano().inputs), noise, REFERENCE)
    np.testing.assert_allclose(plan.proposals, expected.poses[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(plan.trajectory.poses, expected.best[0].numpy(), atol=1e-6)
    assert not np.allclose(plan.proposals, other.poses[0].numpy(), atol=1e-4)
    assert "2 passes" in engine.description and "cpu" in engine.description
    engine.warm_up()


def test_plain_engine_refuses_jumps_beyond_its_schedule() -> None:
    jumps = JumpTable(start_level=1000, jumps=((1000, -1),), clips_prediction=False)
    with pytest.raises(InputError, match="level 1000"):
        PlainEngine(nano_model(), EngineOptions(jumps=jumps))


def test_runtime_needs_no_training_or_data_package() -> None:
    banned = "lightning pytorch_lightning hydra navsim nuplan py123d shapely jaxtyping matplotlib rerun scipy sklearn"
    program = (
        "import sys, diffdrive.runtime\n"
        f"found = [name for name in {banned.split()!r} if name in sys.modules]\n"
        "above = ('diffdrive.training', 'diffdrive.world', 'diffdrive.log123d', 'diffdrive.viz')\n"
        "found += [name for name in sys.modules if name.startswith(above)]\n"
        "sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
