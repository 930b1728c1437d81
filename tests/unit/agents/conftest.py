"""The agent beside stand-ins for both devkits, and a tiny network that it plans with and trains."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import navsim_stand_ins as stand_ins
import numpy as np
import pytest
import torch
from tiny_planner import TINY_PLANNER

from diffdrive.anchors import AnchorSet, fit_anchors
from diffdrive.model import PlannerConfig, PlannerModel, planner_config
from diffdrive.model.checkpoint import save_checkpoint


@pytest.fixture(scope="session", params=[stand_ins.V1, stand_ins.V2])
def navsim_agent(request: pytest.FixtureRequest) -> ModuleType:
    """``diffdrive_agents.navsim_agent`` beside stand-ins, once for each devkit."""
    return stand_ins.imported_agent(request.param)


@pytest.fixture(scope="session")
def agent(navsim_agent: ModuleType, tiny_checkpoint: Path) -> Any:
    """Ready to plan, shared by all tests: change a copy."""
    made = navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint))
    made.initialize()
    return made


@pytest.fixture(scope="session")
def tiny_values() -> dict[str, Any]:
    """Overrides of the nano preset."""
    return TINY_PLANNER


@pytest.fixture(scope="session")
def tiny_config() -> PlannerConfig:
    return planner_config("nano", TINY_PLANNER)


@pytest.fixture(scope="session")
def tiny_anchors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of anchors that fits the tiny network."""
    rng = np.random.default_rng(0)
    times = np.arange(1, 9) * 0.5
    speeds, turns = rng.uniform(2, 12, 40), rng.uniform(-0.8, 0.8, 40)
    driven = np.stack([np.stack([s * times, t * times**2], axis=-1) for s, t in zip(speeds, turns, strict=True)])
    anchors: AnchorSet = fit_anchors(driven, 4, 0, "made for tests")
    path = tmp_path_factory.mktemp("anchors") / "anchors.npy"
    anchors.save(path)
    return path


@pytest.fixture(scope="session")
def tiny_network(tiny_config: PlannerConfig, tiny_anchors: Path) -> PlannerModel:
    """Random weights, in evaluation state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PlannerModel(tiny_config, torch.from_numpy(AnchorSet.load(tiny_anchors).points.copy())).eval()


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_network: PlannerModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny network."""
    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    save_checkpoint(folder, tiny_network)
    return folder


@pytest.fixture
def batch(tiny_config: PlannerConfig) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Features and targets of three scenes, in the types of the devkit's caches."""
    generator = torch.Generator().manual_seed(0)
    layout, wanted = tiny_config.inputs, tiny_config.targets
    features = {
        "camera_feature": torch.rand(3, 3, layout.camera_height, layout.camera_width, generator=generator),
        "lidar_feature": torch.rand(3, 1, layout.lidar_pixels, layout.lidar_pixels, generator=generator),
        "status_feature": torch.rand(3, 8, generator=generator),
    }
    shape = (3, wanted.bev_rows, wanted.bev_columns)
    targets = {
        "trajectory": torch.cumsum(torch.rand(3, wanted.num_poses, 3, generator=generator, dtype=torch.float64), dim=1),
        "agent_states": torch.rand(3, wanted.num_agents, 5, generator=generator),
        "agent_labels": torch.tensor([[True] * 2 + [False] * (wanted.num_agents - 2)] * 3),
        "bev_semantic_map": torch.randint(wanted.bev_classes, shape, generator=generator).to(torch.float32),
    }
    return features, targets
