"""The Lightning module, the mirror, the split and the blind baseline's training, on a handful of random scenes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from memory_source import make_scene

from diffdrive.baselines import EgoStatusMLP
from diffdrive.configuration import build, load_yaml
from diffdrive.contracts import InputError
from diffdrive.model import PlannerConfig, planner_config
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.scene import Agents, CameraFrame, CameraId, DrivingCommand, EgoState, Future, LidarSweep, Scene, Trajectory
from diffdrive.training.augmentation import mirror, mirror_some
from diffdrive.training.cache import FeatureCache, PackedBatch, pack
from diffdrive.training.config import AugmentationConfig, DataConfig, TrainingConfig, load_training_config
from diffdrive.training.ego_status_mlp import EgoStatusMLPTraining, fit_ego_status_mlp
from diffdrive.training.fit import fit, planner_and_anchors
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.objectives import denoising_losses
from diffdrive.training.randomness import BatchPlace, Stream, draw_noise
from diffdrive.training.split import split_rows

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "training"


def mirror_image(scene: Scene) -> Scene:
    """The same scene reflected in y = 0, built from facts, not from features."""
    seen = scene.observation
    flip3, swap = np.array([1.0, -1.0, -1.0]), {CameraId.L0: CameraId.R0, CameraId.R0: CameraId.L0}
    turn = {DrivingCommand.LEFT: DrivingCommand.RIGHT, DrivingCommand.RIGHT: DrivingCommand.LEFT}
    ego = EgoState(
        timestamp_us=seen.ego.timestamp_us,
        pose=seen.ego.pose,
        velocity=seen.ego.velocity * [1, -1],
        acceleration=seen.ego.acceleration * [1, -1],
    )
    assert seen.lidar is not None
    assert scene.future is not None
    observation = dataclasses.replace(
        seen,
        ego_history=(ego,),
        command=turn.get(seen.command, seen.command),
        cameras={
            swap.get(name, name): CameraFrame(
                image=frame.image[:, ::-1],
                # The picture's columns count the other way, and so does the camera's x; the vehicle's y likewise.
                intrinsics=np.array([[-1, 0, 480], [0, 1, 0], [0, 0, 1]]) @ frame.intrinsics @ np.diag([-1, 1, 1]),
                ego_from_camera=np.diag([1, -1, 1, 1]) @ frame.ego_from_camera @ np.diag([-1, 1, 1, 1]),
            )
            for name, frame in seen.cameras.items()
        },
        lidar=LidarSweep(points=seen.lidar.points * np.array([1, -1, 1], np.float32)),
    )
    agents = dataclasses.replace(scene.agents, boxes=scene.agents.boxes * [1, -1, -1, 1, 1])
    future = Future(ego=Trajectory(scene.future.ego.poses * flip3), agents=(Agents.none(),) * 8)
    return dataclasses.replace(scene, observation=observation, agents=agents, future=future)


def features_of(scene: Scene, cache: FeatureCache) -> PackedBatch:
    spec = cache.spec
    return pack(scene, spec.inputs, spec.targets)


def fields_of(batch: PackedBatch) -> dict[str, torch.Tensor]:
    return {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}


def make_module(config: TrainingConfig, cache: FeatureCache) -> PlannerLightningModule:
    config.folder.mkdir(parents=True, exist_ok=True)
    planner, anchors = planner_and_anchors(config, cache, np.arange(9))
    return PlannerLightningModule(config, planner, anchors, steps_per_epoch=4)


def validation_noise(config: TrainingConfig, planner: PlannerConfig, index: int, count: int) -> torch.Tensor:
    place, levels = BatchPlace(step=index, size=2), planner.num_train_levels
    return draw_noise(config.seed, Stream.VALIDATION, place, count, shape=planner.noise_shape, num_levels=levels)[0]


def test_mirrored_features_are_the_features_of_the_mirrored_scene(tiny_cache: FeatureCache) -> None:
    for index in range(4):
        mirrored = fields_of(mirror(features_of(make_scene(index), tiny_cache)))
        expected = fields_of(features_of(mirror_image(make_scene(index)), tiny_cache))
        for name in ("lidar", "status", "rig", "trajectory", "agent_states", "agent_labels"):
            torch.testing.assert_close(mirrored[name], expected[name], msg=name)
        # Resizing rounds on either side of the mirror.
        difference = mirrored["camera"].int() - expected["camera"].int()
        assert difference.abs().max() <= 1
        # Boxes are drawn on whole cells, so their outlines may fall on the neighbour.
        assert (mirrored["bev_semantic"] == expected["bev_semantic"]).float().mean() > 0.9


def test_mirroring_twice_changes_nothing(tiny_cache: FeatureCache) -> None:
    batch = tiny_cache.batch(range(6))
    for name, tensor in fields_of(mirror(mirror(batch))).items():
        torch.testing.assert_close(tensor, getattr(batch, name), msg=name)


def test_some_are_mirrored_and_the_rest_untouched(tiny_cache: FeatureCache) -> None:
    batch = tiny_cache.batch(range(12))
    half = mirror_some(batch, 0.5, torch.Generator().manual_seed(0))
    full = mirror(batch)
    is_mirrored = (half.trajectory == full.trajectory).all(dim=(1, 2))
    assert 0 < is_mirrored.sum() < 12
    for name, tensor in fields_of(half).items():
        torch.testing.assert_close(tensor[is_mirrored], getattr(full, name)[is_mirrored], msg=name)
        torch.testing.assert_close(tensor[~is_mirrored], getattr(batch, name)[~is_mirrored], msg=name)
    assert mirror_some(batch, 0.0, torch.Generator()) is batch


def test_the_training_step_is_the_objective_of_its_own_seed(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    config = dataclasses.replace(tiny_config, augmentation=AugmentationConfig())
    module = make_module(config, tiny_cache).eval()
    logged: dict[str, torch.Tensor] = {}
    module.log = lambda name, value, **_: logged.__setitem__(name, value)  # type: ignore[method-assign,assignment]
    module.log_dict = lambda values, **_: logged.update(values)  # type: ignore[method-assign,assignment]
    batch = tiny_cache.batch([0, 1])
    loss = module.training_step(batch, 0)
    assert loss.requires_grad
    assert torch.equal(module.training_step(batch, 0), loss), "the same step must draw the same noise"
    place = BatchPlace(step=0, size=2)
    shape, num_levels = module.planner.noise_shape, module.planner.num_train_levels
    noise, levels = draw_noise(config.seed, Stream.DENOISING, place, 2, shape=shape, num_levels=num_levels)
    terms = denoising_losses(module.model, batch.inputs(module.planner.inputs), batch.targets(), noise, levels, config.weights)
    torch.testing.assert_close(loss, terms.total)
    torch.testing.assert_close(sum(v for k, v in logged.items() if k not in ("train/loss",)), loss.detach())


def test_validation_measures_metres(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    module = make_module(tiny_config, tiny_cache).eval()
    logged: dict[str, torch.Tensor] = {}
    module.log = lambda name, value, **_: logged.__setitem__(name, value)  # type: ignore[method-assign,assignment]
    batch = tiny_cache.batch([0, 1])
    with torch.no_grad():
        module.validation_step(batch, 0)
        proposals = module.model(batch.inputs(module.planner.inputs), validation_noise(tiny_config, module.planner, 0, 2))
    distance = (proposals.best[..., :2] - batch.trajectory[..., :2]).norm(dim=-1)
    torch.testing.assert_close(logged["val/ade"], distance.mean())
    torch.testing.assert_close(logged["val/fde"], distance[:, -1].mean())
    assert logged["val/min_ade"] <= logged["val/ade"]
    assert torch.isfinite(logged["val/loss"])


def test_initial_weights_come_from_the_seed(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    torch.manual_seed(7)
    one = make_module(tiny_config, tiny_cache).model.state_dict()
    torch.manual_seed(8)
    two = make_module(tiny_config, tiny_cache).model.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_anchors_are_clustered_once_and_give_the_box(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    tiny_config.folder.mkdir(parents=True)
    planner, anchors = planner_and_anchors(tiny_config, tiny_cache, np.arange(9))
    box = json.loads((tiny_config.folder / "anchors.json").read_text())["normalizer"]
    assert dataclasses.asdict(planner.normalizer) == box
    (tiny_config.folder / "anchors.npy").touch()
    before = (tiny_config.folder / "anchors.npy").stat().st_mtime_ns
    again, kept = planner_and_anchors(tiny_config, tiny_cache, np.arange(9))
    assert torch.equal(anchors, kept)
    assert again == planner
    assert (tiny_config.folder / "anchors.npy").stat().st_mtime_ns == before
    _, others = planner_and_anchors(tiny_config, tiny_cache, np.arange(2, 11))
    assert not torch.equal(anchors, others), "other scenes need other anchors"
    explicit = dataclasses.replace(tiny_config, planner={**tiny_config.planner, "normalizer": {"x_max_m": 99.0}})
    assert planner_and_anchors(explicit, tiny_cache, np.arange(9))[0].normalizer.x_max_m == 99.0


def test_the_blind_baseline_learns_and_survives_a_round_trip(tiny_cache: FeatureCache, tmp_path: Path) -> None:
    config = DataConfig(validation_locations=("town-3",))
    split = split_rows(tiny_cache.locations, tiny_cache.log_names, config, seed=0)
    short = fit_ego_status_mlp(tiny_cache, split, training=EgoStatusMLPTraining(epochs=1))
    longer = fit_ego_status_mlp(tiny_cache, split, training=EgoStatusMLPTraining(epochs=40))
    assert longer.ade < 0.5 * short.ade
    longer.model.save(tmp_path)
    status = torch.from_numpy(tiny_cache.column("status")[split.validation])
    driven = torch.from_numpy(tiny_cache.column("trajectory")[split.validation])
    with torch.no_grad():
        poses = EgoStatusMLP.load(tmp_path)(status)
    assert float((poses[..., :2] - driven[..., :2]).norm(dim=-1).mean()) == pytest.approx(longer.ade, rel=1e-5)


def test_a_whole_run_leaves_a_planner_that_loads(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    result = fit(tiny_config, tiny_cache)
    assert result is not None
    assert set(result.metrics) == {"ade", "fde", "min_ade", "loss"}
    recipe = json.loads((result.export / "data.json").read_text())
    assert recipe["validation_locations"] == ["town-3"]
    assert recipe["training_scenes"] == 9
    assert build(TrainingConfig, load_yaml(result.folder / "config.yaml")) == tiny_config
    planner = load_checkpoint(result.export)
    rows = np.flatnonzero(np.array(tiny_cache.locations) == "town-3")
    distances = []
    for index, part in enumerate((rows[:2], rows[2:])):
        batch = tiny_cache.batch(part)
        noise = validation_noise(tiny_config, planner.config, index, len(part))
        with torch.no_grad():
            poses = planner(batch.inputs(planner.config.inputs), noise).best
        distances.append((poses[..., :2] - batch.trajectory[..., :2]).norm(dim=-1))
    assert float(torch.cat(distances).mean()) == pytest.approx(result.metrics["ade"], rel=1e-4)
    resumed = fit(dataclasses.replace(tiny_config, epochs=3), tiny_cache, resume=result.folder / "checkpoints" / "last.ckpt")
    assert resumed is not None
    assert json.loads((resumed.export / "metrics.json").read_text())["steps"] == 12


def test_what_cannot_be_trained_is_refused(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    with pytest.raises(InputError, match="does not exist"):
        fit(tiny_config, tiny_cache, resume=Path("nowhere.ckpt"))
    large = dataclasses.replace(tiny_config, data=dataclasses.replace(tiny_config.data, batch_size=64))
    with pytest.raises(InputError, match="fewer than one step"):
        fit(large, tiny_cache)
    with pytest.raises(InputError, match="Did you mean 'batch_size'"):
        build(TrainingConfig, {}, ["data.batchsize=3"])
    with pytest.raises(InputError, match="max_minutes"):
        build(TrainingConfig, {"optimizer": {"anneal_by_time": True}})


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_build(path: Path) -> None:
    config = load_training_config(path)
    assert planner_config(config.preset, config.planner).num_modes == 20
