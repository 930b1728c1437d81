"""The agent in a real NAVSIM devkit, v1.1 or v2.2, whichever is on the import path: features, targets, plans, training.

Marked ``navsim``. ``DIFFDRIVE_NAVSIM_DATA`` names a data root to use instead of the small drive made here.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffdrive.runtime.noise import scene_key
from diffdrive.scene import CameraId

pytestmark = pytest.mark.navsim

MOST_SCENES = 6
NANO = "diffusiondrive_nano"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drive made by hand, with images that can be cropped."""
    pytest.importorskip("navsim", reason="the NAVSIM devkit is not installed")
    given = os.environ.get("DIFFDRIVE_NAVSIM_DATA")
    if given:
        return Path(given)
    from navsim_data import BOSTON, NAME, drive, town

    from diffdrive.openscene import LogToExport, export_logs

    rng = np.random.default_rng(0)
    scenes = {}
    for scene in drive():
        cameras = {
            name: replace(camera, image=rng.integers(0, 256, (27, 48, 3), dtype=np.uint8))
            for name, camera in scene.observation.cameras.items()
        }
        scenes[scene.token] = replace(scene, observation=replace(scene.observation, cameras=cameras))
    made = tmp_path_factory.mktemp("devkit") / "root"
    route = ("a", "b", "x", "y", "c")
    log = LogToExport(
        name=NAME,
        split="mini",
        location="hand",
        vector_map=town(),
        route=route,
        tokens=tuple(scenes),
        load=scenes.__getitem__,
    )
    export_logs([log], made, city=BOSTON)
    return made


@pytest.fixture(scope="module")
def agent(root: Path) -> Any:
    """The shipped planner, as Hydra makes it from the package's configuration."""
    hydra_utils = pytest.importorskip("hydra.utils")
    from diffdrive_configs import navsim
    from omegaconf import OmegaConf

    config = OmegaConf.load(Path(str(navsim.__file__)).parent / "agent" / f"{NANO}.yaml")
    made = hydra_utils.instantiate(config, device="cpu")
    made.initialize()
    return made


@pytest.fixture(scope="module")
def loader(root: Path, agent: Any) -> Iterator[Any]:
    from navsim.common import dataclasses as values
    from navsim.common.dataloader import SceneLoader

    before = values.NUPLAN_MAPS_ROOT
    values.NUPLAN_MAPS_ROOT = str(root / "maps")
    split = next((root / "navsim_logs").iterdir()).name
    scene_filter = values.SceneFilter(num_history_frames=4, num_future_frames=10, frame_interval=1, max_scenes=MOST_SCENES)
    # The second argument has another name in each version.
    yield SceneLoader(
        root / "navsim_logs" / split,
        root / "sensor_blobs" / split,
        scene_filter,
        sensor_config=agent.get_sensor_config(),
    )
    values.NUPLAN_MAPS_ROOT = before


def public_builders(agent: Any) -> tuple[Any, Any]:
    """TransFuser's, which DiffusionDrive uses too."""
    transfuser = pytest.importorskip("navsim.agents.transfuser.transfuser_features")
    from navsim.agents.transfuser.transfuser_config import TransfuserConfig

    arguments = inspect.signature(transfuser.TransfuserTargetBuilder.__init__).parameters
    sampling = {"trajectory_sampling": agent.sampling} if "trajectory_sampling" in arguments else {}
    config = TransfuserConfig()
    return transfuser.TransfuserFeatureBuilder(config), transfuser.TransfuserTargetBuilder(**sampling, config=config)


def test_features_and_targets_are_the_devkits_own(loader: Any, agent: Any) -> None:
    base = type(agent)(preset="base")
    public_features, public_targets = public_builders(agent)
    (features,), (targets,) = base.get_feature_builders(), base.get_target_builders()
    assert features.get_unique_name() == public_features.get_unique_name()
    assert targets.get_unique_name() == public_targets.get_unique_name()
    for token in loader.tokens:
        scene = loader.get_scene_from_token(token)
        given = scene.get_agent_input()
        expected = {**public_features.compute_features(given), **public_targets.compute_targets(scene)}
        answered = {**features.compute_features(given), **targets.compute_targets(scene)}
        assert answered.keys() == expected.keys()
        for name, value in expected.items():
            assert (answered[name].dtype, answered[name].shape) == (value.dtype, value.shape), name
            if name == "bev_semantic_map":
                # Drawn by another library: borders may fall into the next cell.
                assert float((answered[name] == value).float().mean()) > 0.98
            else:
                assert torch.equal(answered[name], value), name


def test_a_scene_gets_the_same_plan_however_it_is_loaded(loader: Any, agent: Any, root: Path) -> None:
    from diffdrive_agents.observation import observation_of

    from diffdrive.sources import OpenSceneLogSource

    source = OpenSceneLogSource(root, cameras=[CameraId.F0, CameraId.L0, CameraId.R0])
    for token in reversed(loader.tokens):
        given = loader.get_agent_input_from_token(token)
        trajectory = agent.compute_trajectory(given)
        assert trajectory.poses.dtype == np.float32 and trajectory.trajectory_sampling is agent.sampling
        from_scene = agent.compute_trajectory(loader.get_scene_from_token(token).get_agent_input())
        assert np.array_equal(from_scene.poses, trajectory.poses)
        ours = source.load(token).observation
        assert scene_key(ours) == scene_key(observation_of(given))


def test_two_steps_of_the_devkits_lightning_module(loader: Any, agent: Any, tmp_path: Path) -> None:
    lightning = pytest.importorskip("pytorch_lightning")
    from navsim.planning.training.agent_lightning_module import AgentLightningModule
    from navsim.planning.training.dataset import Dataset

    trained = type(agent)(checkpoint_path="nano", epochs=1, optimizer={"lr": 1e-4, "schedule": "step"})
    data = Dataset(
        scene_loader=loader,
        feature_builders=trained.get_feature_builders(),
        target_builders=trained.get_target_builders(),
        cache_path=str(tmp_path / "cache"),
        force_cache_computation=True,
    )
    batches = torch.utils.data.DataLoader(data, batch_size=2)
    module = AgentLightningModule(agent=trained)
    trainer = lightning.Trainer(
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=trained.get_training_callbacks(),
    )
    trainer.fit(module, train_dataloaders=batches, val_dataloaders=batches)
    assert trainer.global_step == 2
    assert torch.isfinite(trainer.callback_metrics["train/loss_epoch"])
    (file,) = tmp_path.rglob("*.ckpt")
    again = type(agent)(checkpoint_path=str(file), device="cpu")
    again.initialize()
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, trained.network.state_dict()[name]), name
    poses = again.compute_trajectory(loader.get_agent_input_from_token(loader.tokens[0])).poses
    assert np.isfinite(poses).all()
