"""Stand-ins for what the agent touches of the NAVSIM devkits: the documented signatures of v1.1 and v2.2, nothing behind them.

They let the agent's own logic run where no devkit is installed. What the real devkits do is tested in test_agent_in_devkit.py.
"""

from __future__ import annotations

import importlib
import sys
import types
from dataclasses import dataclass, field
from typing import Any

import diffdrive_agents
import numpy as np
import pytest
import torch

V1, V2 = "v1.1", "v2.2"
AGENT = "diffdrive_agents.navsim_agent"
CAMERAS = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")


@dataclass
class TrajectorySampling:
    """Of nuPlan: any two determine the third."""

    num_poses: int | None = None
    time_horizon: float | None = None
    interval_length: float | None = None

    def __post_init__(self) -> None:
        if self.num_poses is None:
            self.num_poses = round(self.time_horizon / self.interval_length)  # type: ignore[operator]
        if self.interval_length is None:
            self.interval_length = self.time_horizon / self.num_poses  # type: ignore[operator]
        self.time_horizon = self.num_poses * self.interval_length


@dataclass
class Trajectory:
    """As the devkit's: what it asserts, this asserts."""

    poses: np.ndarray
    trajectory_sampling: TrajectorySampling = field(
        default_factory=lambda: TrajectorySampling(time_horizon=4, interval_length=0.5)
    )

    def __post_init__(self) -> None:
        assert self.poses.ndim == 2
        assert self.poses.shape == (self.trajectory_sampling.num_poses, 3)


@dataclass
class SensorConfig:
    """Which frames of which sensor are loaded."""

    cam_f0: Any
    cam_l0: Any
    cam_l1: Any
    cam_l2: Any
    cam_r0: Any
    cam_r1: Any
    cam_r2: Any
    cam_b0: Any
    lidar_pc: Any

    @classmethod
    def build_no_sensors(cls) -> SensorConfig:
        return cls(*[False] * 9)


@dataclass
class EgoStatus:
    ego_pose: Any
    ego_velocity: Any
    ego_acceleration: Any
    driving_command: Any
    in_global_frame: bool = False


@dataclass
class Camera:
    image: Any = None
    sensor2lidar_rotation: Any = None
    sensor2lidar_translation: Any = None
    intrinsics: Any = None
    distortion: Any = None
    camera_path: Any = None


@dataclass
class Lidar:
    lidar_pc: Any = None
    lidar_path: Any = None


@dataclass
class AgentInput:
    ego_statuses: list[EgoStatus]
    cameras: list[Any]
    lidars: list[Lidar]


def no_cameras() -> types.SimpleNamespace:
    return types.SimpleNamespace(**{name: Camera() for name in CAMERAS})


def agent_input(seed: int = 0, *, paths: bool = True) -> AgentInput:
    """Four frames at 6 m/s, sensors in the last: quarter images of noise and 500 points; float32, as the devkit hands over."""
    rng = np.random.default_rng(seed)
    statuses = [
        EgoStatus(
            ego_pose=np.array([-3.0 * before, 0.0, 0.0], dtype=np.float32),
            ego_velocity=np.array([6.0 + 0.1 * seed, 0.1], dtype=np.float32),
            ego_acceleration=np.array([0.2, -0.3], dtype=np.float32),
            driving_command=np.array([0, 0, 1, 0]),
        )
        for before in (3, 2, 1, 0)
    ]
    cameras = [no_cameras() for _ in statuses]
    for name in ("cam_l0", "cam_f0", "cam_r0"):
        camera = Camera(
            image=rng.integers(0, 256, (270, 480, 3), dtype=np.uint8),
            sensor2lidar_rotation=np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
            sensor2lidar_translation=np.array([1.5, 0.2, 1.6]),
            intrinsics=np.array([[300.0, 0, 240], [0, 300, 135], [0, 0, 1]]),
            distortion=np.zeros(5),
            camera_path=f"drive/{name}/{seed}.jpg" if paths else None,
        )
        setattr(cameras[-1], name, camera)
    lidars = [Lidar() for _ in statuses]
    points = rng.normal(0, [[12], [12], [2], [1], [1], [1]], (6, 500)).astype(np.float32)
    lidars[-1] = Lidar(points, f"drive/MergedPointCloud/{seed}.pcd" if paths else None)
    return AgentInput(statuses, cameras, lidars)


def scene(token: str = "token") -> types.SimpleNamespace:
    """The one thing that planning reads of a scene."""
    return types.SimpleNamespace(scene_metadata=types.SimpleNamespace(initial_token=token))


class _Builder:
    """``AbstractFeatureBuilder`` and ``AbstractTargetBuilder`` have nothing but abstract methods."""


def modules(version: str) -> dict[str, types.ModuleType]:
    """The devkit's modules that the agent imports, by name."""

    class AbstractAgentV1(torch.nn.Module):
        def __init__(self, requires_scene: bool = False) -> None:
            super().__init__()
            self.requires_scene = requires_scene

    class AbstractAgentV2(torch.nn.Module):
        def __init__(self, trajectory_sampling: TrajectorySampling, requires_scene: bool = False) -> None:
            super().__init__()
            self.requires_scene = requires_scene
            self._trajectory_sampling = trajectory_sampling

    class AbstractAgentOther(torch.nn.Module):
        def __init__(self, requires_scene: bool = False, clairvoyant: bool = False) -> None:
            super().__init__()

    agents = {V1: AbstractAgentV1, V2: AbstractAgentV2}
    layers = types.SimpleNamespace(LANE="lane", LANE_CONNECTOR="connector", INTERSECTION="intersection", WALKWAYS="walkways")
    contents: dict[str, dict[str, Any]] = {
        "navsim": {},
        "navsim.agents": {},
        "navsim.agents.abstract_agent": {"AbstractAgent": agents.get(version, AbstractAgentOther)},
        "navsim.common": {},
        "navsim.common.dataclasses": {
            "AgentInput": AgentInput,
            "SensorConfig": SensorConfig,
            "Trajectory": Trajectory,
            "Scene": object,
        },
        "navsim.planning": {},
        "navsim.planning.training": {},
        "navsim.planning.training.abstract_feature_target_builder": {
            "AbstractFeatureBuilder": _Builder,
            "AbstractTargetBuilder": _Builder,
        },
        "nuplan": {},
        "nuplan.common": {},
        "nuplan.common.maps": {},
        "nuplan.common.maps.maps_datatypes": {"SemanticMapLayer": layers},
        "nuplan.planning": {},
        "nuplan.planning.simulation": {},
        "nuplan.planning.simulation.trajectory": {},
        "nuplan.planning.simulation.trajectory.trajectory_sampling": {"TrajectorySampling": TrajectorySampling},
    }
    made = {}
    for name, values in contents.items():
        made[name] = types.ModuleType(name)
        made[name].__dict__.update(values)
    return made


def imported_agent(version: str) -> types.ModuleType:
    """The agent's module, imported beside stand-ins for the devkit ``version``; ``sys.modules`` is then as it was before."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name == AGENT or name.split(".")[0] in ("navsim", "nuplan")]:
            patch.delitem(sys.modules, name)
        for name, module in modules(version).items():
            patch.setitem(sys.modules, name, module)
        # Set and not just imported, so that leaving the context removes it: here, and where importing notes it too.
        patch.setitem(sys.modules, AGENT, types.ModuleType(AGENT))
        del sys.modules[AGENT]
        patch.setattr(diffdrive_agents, AGENT.rpartition(".")[2], None, raising=False)
        return importlib.import_module(AGENT)
