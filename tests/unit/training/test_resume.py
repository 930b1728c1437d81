"""A run that was interrupted ends with the weights of one that was not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import OptimizerConfig, TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.fit import planner_and_anchors
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule


def train(
    config: TrainingConfig, cache: FeatureCache, steps: int, *, resume: Path | None = None, save: Path | None = None
) -> PlannerLightningModule:
    data = PlannerDataModule(cache, config.data, seed=config.seed, accumulate=config.accumulate)
    config.folder.mkdir(exist_ok=True)
    planner, anchors = planner_and_anchors(config, cache, data.split.train)
    module = PlannerLightningModule(config, planner, anchors, steps_per_epoch=4)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        gradient_clip_val=config.optimizer.gradient_clip_norm,
        accumulate_grad_batches=config.accumulate,
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    if save is not None:
        trainer.save_checkpoint(save)
    return module


@pytest.mark.parametrize(
    ("first", "total", "accumulate", "workers"), [(2, 4, 1, 0), (4, 6, 1, 0), (3, 6, 1, 2), (1, 3, 2, 0), (3, 4, 2, 1)]
)
def test_two_steps_then_two_more_equal_four(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path, first: int, total: int, accumulate: int, workers: int
) -> None:
    # An epoch of nine scenes has four batches of two: four steps, or two that accumulate.
    config = dataclasses.replace(tiny_config, accumulate=accumulate)
    straight = train(config, tiny_cache, total)
    torch.manual_seed(1234)
    part = tmp_path / "part.ckpt"
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, workers=workers))
    train(config, tiny_cache, first, save=part)
    torch.manual_seed(4321)
    resumed = train(config, tiny_cache, total, resume=part)
    assert resumed.global_step == straight.global_step == total
    for name, tensor in straight.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], tensor, rtol=0, atol=0, msg=name)
    assert straight.average is not None
    assert resumed.average is not None
    for name, tensor in straight.average.state.items():
        torch.testing.assert_close(resumed.average.state[name], tensor, rtol=0, atol=0, msg=name)


def test_training_moves_weights_and_another_seed_moves_them_elsewhere(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache
) -> None:
    one = train(tiny_config, tiny_cache, 1)
    two = train(tiny_config, tiny_cache, 2)
    other = train(dataclasses.replace(tiny_config, seed=1), tiny_cache, 2)
    weights = [module.model.agent_head.state_dict() for module in (one, two, other)]
    name = next(iter(weights[0]))
    assert not torch.equal(weights[0][name], weights[1][name])
    assert not torch.equal(weights[1][name], weights[2][name])


def test_a_checkpoint_of_another_network_is_refused(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path
) -> None:
    part = tmp_path / "part.ckpt"
    train(tiny_config, tiny_cache, 1, save=part)
    wider = dataclasses.replace(tiny_config, planner={**tiny_config.planner, "fusion_dropout": 0.0})
    with pytest.raises(InputError, match="another network"):
        train(wider, tiny_cache, 2, resume=part)
    without = dataclasses.replace(tiny_config, optimizer=OptimizerConfig(ema_decay=None))
    with pytest.raises(InputError, match="ema_decay"):
        train(without, tiny_cache, 2, resume=part)
    grouped = dataclasses.replace(tiny_config.optimizer, lr_multipliers={"backbone": 0.5})
    with pytest.raises(InputError, match="lr_multipliers or decay_all differ"):
        train(dataclasses.replace(tiny_config, optimizer=grouped), tiny_cache, 2, resume=part)
