"""Half precision and a compiled network train like the plain one, and their checkpoints are the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from tiny_planner import TINY_PLANNER

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, planner_config
from diffdrive.training.cache import FeatureCache
from diffdrive.training.compilation import compile_network
from diffdrive.training.config import OptimizerConfig, TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.fit import planner_and_anchors
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.objectives import LossTerms, denoising_losses

SMALLEST = {**TINY_PLANNER, "fusion_layers": 1, "decoder_layers": 1, "fusion_dropout": 0.0, "decoder_dropout": 0.0}


def train(config: TrainingConfig, cache: FeatureCache, steps: int) -> tuple[PlannerLightningModule, dict[str, float]]:
    data = PlannerDataModule(cache, config.data, seed=config.seed, accumulate=config.accumulate)
    config.folder.mkdir(exist_ok=True)
    planner, anchors = planner_and_anchors(config, cache, data.split.train)
    module = PlannerLightningModule(config, planner, anchors, steps_per_epoch=4 // config.accumulate)
    precision: Any = config.precision
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        precision=precision,
        accumulate_grad_batches=config.accumulate,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data)
    return module, {name: float(value) for name, value in trainer.callback_metrics.items()}


def test_bf16_trains_on_a_cpu_with_weights_in_full_precision(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    plain, full = train(tiny_config, tiny_cache, 2)
    module, half = train(dataclasses.replace(tiny_config, precision="bf16-mixed"), tiny_cache, 2)
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert half["train/loss"] == pytest.approx(full["train/loss"], rel=0.02)
    assert half["train/loss"] != full["train/loss"], "nothing was computed in bfloat16"
    weights, others = plain.model.state_dict(), module.model.state_dict()
    assert all(bool(tensor.isfinite().all()) for tensor in others.values())
    name = "agent_head.label.weight"
    torch.testing.assert_close(others[name], weights[name], rtol=0, atol=5e-3)
    with pytest.raises(InputError, match="bf16-mixed"):
        dataclasses.replace(tiny_config, precision="bf16")


def test_rates_follow_the_batch_and_are_logged_by_group(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    optimizer = OptimizerConfig(
        lr=1e-3, min_lr=1e-4, lr_batch_size=16, warmup_epochs=0.0, lr_multipliers={"backbone.image_encoder": 0.5}
    )
    config = dataclasses.replace(tiny_config, optimizer=optimizer, accumulate=2)
    module, logged = train(config, tiny_cache, 1)
    # Two batches of two scenes: a quarter of sixteen.
    assert logged["train/lr"] == pytest.approx(2.5e-4)
    assert logged["train/lr/rest"] == pytest.approx(2.5e-4)
    assert logged["train/lr/backbone.image_encoder"] == pytest.approx(1.25e-4)
    assert logged["train/gradient_norm"] > 0 and logged["train/skipped_steps"] == 0
    assert config.resolved.optimizer.lr == pytest.approx(2.5e-4)
    assert config.resolved.resolved == config.resolved
    (group, *_) = module.optimizers().param_groups  # type: ignore[union-attr]
    assert group["lr"] == pytest.approx(2.5e-4)


def losses_of(model: PlannerModel, cache: FeatureCache) -> LossTerms:
    batch = cache.batch([0, 1])
    noise = torch.randn(2, *model.config.noise_shape, generator=torch.Generator().manual_seed(0))
    return denoising_losses(model, batch.inputs(model.config.inputs), batch.targets(), noise, torch.tensor([3, 7]))


def test_a_compiled_network_is_the_same_network(tiny_cache: FeatureCache) -> None:
    config = planner_config("nano", SMALLEST)
    torch.manual_seed(0)
    plain = PlannerModel(config, torch.randn(config.anchor_shape)).eval()
    compiled = PlannerModel(config, plain.anchors).eval()
    # The back end that runs the captured graph as it is: what is compared is the capture, not code generation.
    compile_network(compiled, backend="eager")
    encode = compiled.encode
    compile_network(compiled, backend="eager")
    assert compiled.encode is encode, "compiled once"
    assert list(compiled.state_dict()) == list(plain.state_dict())
    compiled.load_state_dict(plain.state_dict(), strict=True)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    given, expected = losses_of(compiled, tiny_cache), losses_of(plain, tiny_cache)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 2, "one graph each of encode and decode"
    for name, value in expected.terms.items():
        torch.testing.assert_close(given.terms[name], value, msg=name)
    given.total.backward()
    expected.total.backward()
    for (name, one), other in zip(compiled.named_parameters(), plain.parameters(), strict=True):
        if other.grad is not None and one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4, msg=name)
        assert (one.grad is None) == (other.grad is None), name
