"""A step that is not finite never reaches the weights: the run ends with a clear error, or goes on without it."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any

import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.config import OnNan, OptimizerConfig, TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.fit import planner_and_anchors
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.objectives import LossTerms
from diffdrive.training.step_guard import SCALER_PATIENCE, StepGuard

SCENES = ["scene-a", "scene-b"]


class Spoiled(PlannerLightningModule):
    """Some steps get a batch in which one sample's status is not a number."""

    spoiled_steps: frozenset[int] = frozenset()

    def training_step(self, batch: PackedBatch, batch_idx: int) -> torch.Tensor:
        if self.global_step in self.spoiled_steps:
            batch.status[1] = math.nan
        self.before = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        return super().training_step(batch, batch_idx)


def train(config: TrainingConfig, cache: FeatureCache, steps: int, *spoiled: int, precision: Any = "32-true") -> Spoiled:
    data = PlannerDataModule(cache, config.data, seed=config.seed)
    config.folder.mkdir(exist_ok=True)
    planner, anchors = planner_and_anchors(config, cache, data.split.train)
    module = Spoiled(config, planner, anchors, steps_per_epoch=4)
    module.spoiled_steps = frozenset(spoiled)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        precision=precision,
    )
    try:
        trainer.fit(module, datamodule=data)
    except InputError as error:
        error.module = module  # type: ignore[attr-defined]
        raise
    return module


def told(config: TrainingConfig, **changes: Any) -> TrainingConfig:
    return dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, **changes))


def test_the_run_ends_and_names_step_losses_and_scenes(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    with pytest.raises(InputError, match=r"^Step 2: a loss is not finite") as caught:
        train(tiny_config, tiny_cache, 4, 2)
    message = str(caught.value)
    asked_for = PlannerDataModule(tiny_cache, tiny_config.data, seed=tiny_config.seed).training_tokens(2, 0)
    assert f"Scenes: {', '.join(asked_for)}." in message
    assert f"Not finite as they are: '{asked_for[1]}'." in message
    assert "trajectory_0 nan" in message and "optimizer.on_nan=skip" in message
    module = caught.value.module  # type: ignore[attr-defined]
    assert all(bool(value.isfinite().all()) for value in module.model.parameters())


def test_a_skipped_step_changes_nothing_and_is_counted(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="diffdrive.training.step_guard"):
        module = train(told(tiny_config, on_nan=OnNan.SKIP), tiny_cache, 2, 1)
    assert module.guard.num_skipped == 1
    assert "Step 1" in caplog.text and "left out (1 so far)" in caplog.text
    for name, tensor in module.model.state_dict().items():
        assert torch.equal(tensor, module.before[name]), f"{name}: neither weights nor batch statistics may have moved"
    healthy = train(tiny_config, tiny_cache, 2)
    assert any(not torch.equal(tensor, healthy.before[name]) for name, tensor in healthy.model.state_dict().items())
    saved: dict[str, Any] = {}
    module.on_save_checkpoint(saved)
    healthy.on_load_checkpoint(saved)
    assert healthy.guard.num_skipped == 1


def test_too_many_in_a_row_end_the_run(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    config = told(tiny_config, on_nan=OnNan.SKIP, max_skips_in_row=1)
    assert train(config, tiny_cache, 4, 0, 2).guard.num_skipped == 2
    with pytest.raises(InputError, match="That was 2 steps in a row"):
        train(config, tiny_cache, 4, 1, 2)


# The guard alone


def note(guard: StepGuard, batch: PackedBatch, *losses: float) -> None:
    guard.begin()
    for loss in losses:
        guard.note(batch, LossTerms({"some": torch.tensor(loss), "other": torch.tensor(1.0)}))


@pytest.fixture
def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))


def test_a_gradient_alone_may_be_broken(model: torch.nn.Module, tiny_cache: FeatureCache) -> None:
    guard = StepGuard(model, OptimizerConfig(), lambda step, micro: SCENES)
    note(guard, tiny_cache.batch([0, 1]), 1.0)
    model[0].bias.grad = torch.tensor([1.0, math.inf])  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"the gradient is not finite though all losses are, in 0\.bias.*scene-a, scene-b"):
        guard.is_good(7, torch.tensor(math.inf))


def test_only_the_batch_with_the_broken_loss_is_named(model: torch.nn.Module, tiny_cache: FeatureCache) -> None:
    guard = StepGuard(model, OptimizerConfig(), lambda step, micro: [f"scene-{step}-{micro}"])
    note(guard, tiny_cache.batch([0, 1]), 1.0, math.inf)
    with pytest.raises(InputError) as caught:
        guard.is_good(7, torch.tensor(math.nan))
    assert "scene-7-1" in str(caught.value) and "scene-7-0" not in str(caught.value)


def test_a_scaler_may_look_for_its_level(model: torch.nn.Module, tiny_cache: FeatureCache) -> None:
    guard = StepGuard(model, OptimizerConfig(), lambda step, micro: SCENES)
    for step in range(SCALER_PATIENCE):
        note(guard, tiny_cache.batch([0, 1]), 1.0)
        assert not guard.is_good(step, torch.tensor(math.inf), has_scaler=True)
    note(guard, tiny_cache.batch([0, 1]), 1.0)
    with pytest.raises(InputError, match="steps in a row"):
        guard.is_good(SCALER_PATIENCE, torch.tensor(math.inf), has_scaler=True)
    fresh = StepGuard(model, OptimizerConfig(), lambda step, micro: SCENES)
    note(fresh, tiny_cache.batch([0, 1]), math.nan)
    with pytest.raises(InputError, match="a loss is not finite"):
        fresh.is_good(0, torch.tensor(math.nan), has_scaler=True)


def test_batch_norms_are_put_back(model: torch.nn.Module, tiny_cache: FeatureCache) -> None:
    guard = StepGuard(model, OptimizerConfig(on_nan=OnNan.SKIP), lambda step, micro: SCENES)
    for _ in range(2):
        note(guard, tiny_cache.batch([0, 1]), 1.0)
        before = [buffer.clone() for buffer in model.buffers()]
        model(torch.full((3, 2), math.nan)).sum().backward()
        assert not all(bool(buffer.isfinite().all()) for buffer in model.buffers())
        assert not guard.is_good(0, torch.tensor(math.nan))
        assert all(torch.equal(*pair) for pair in zip(before, model.buffers(), strict=True))
        assert all(parameter.grad is None for parameter in model.parameters())
