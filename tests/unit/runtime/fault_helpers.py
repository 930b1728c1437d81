"""What breaks in front of an engine and inside it, and how a planner that meets it must answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from graph_fakes import IMAGE_SIZE, OPTIONS, FakeRecorder, tiny_model

from diffdrive.runtime import Engine, PlainEngine, Plan, PlanStatus
from diffdrive.runtime.cuda_graph import CudaGraphEngine
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation
from diffdrive.tensors import LayerProposals, PlannerInputs, Proposals

ENGINES: dict[str, Callable[[], Engine]] = {
    "plain": lambda: PlainEngine(tiny_model()),
    "sensors": lambda: CudaGraphEngine(tiny_model(), OPTIONS, FakeRecorder()),
}


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


def without_camera() -> Observation:
    seen = observation()
    return dataclasses.replace(seen, cameras={k: v for k, v in seen.cameras.items() if k is not CameraId.L0})


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


def with_result(poses: torch.Tensor, logits: torch.Tensor) -> Proposals:
    return Proposals(passes=((LayerProposals(poses, logits),),))
