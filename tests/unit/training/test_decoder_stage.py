"""The second stage: only the decoder moves, and the best epoch stays."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_planner import TINY_PLANNER

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, planner_config
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.training import decoder_stage
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import DecoderStageConfig, TrainingConfig
from diffdrive.training.config.decoder_stage import Keep
from diffdrive.training.decoder_stage import DecoderStage, DecoderStageResult, displacement
from diffdrive.training.encoded_scenes import EncodedScenes, encode_into, encode_scenes
from diffdrive.training.fit import fit
from diffdrive.training.objectives import ObjectiveWeights

ROWS = np.arange(9)
HELD = np.arange(9, 12)
STAGE = DecoderStageConfig(epochs=15, batch_size=3, lr=3e-3, ema_decay=0.5)


@pytest.fixture
def model() -> PlannerModel:
    torch.manual_seed(0)
    config = planner_config("nano", TINY_PLANNER)
    return PlannerModel(config, torch.randn(config.anchor_shape, generator=torch.Generator().manual_seed(1)) * 5)


def train(
    model: PlannerModel, cache: FeatureCache, held: np.ndarray, config: DecoderStageConfig, seed: int = 0
) -> DecoderStageResult:
    stage = DecoderStage(
        model=model,
        scenes=encode_scenes(model, cache, ROWS),
        held=encode_scenes(model, cache, held),
        config=config,
        weights=ObjectiveWeights(),
        seed=seed,
    )
    return stage.train()


def state(model: PlannerModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_kept_scenes_decode_as_the_model_itself_does(model: PlannerModel, tiny_cache: FeatureCache) -> None:
    scenes = encode_scenes(model, tiny_cache, ROWS)
    batch = tiny_cache.batch(ROWS)
    noise = torch.zeros(len(ROWS), *model.config.noise_shape)
    with torch.no_grad():
        direct = model(batch.inputs(model.config.inputs), noise)
        kept = model.denoise(scenes.features(model, torch.arange(len(ROWS))), noise)
    torch.testing.assert_close(kept[-1][-1].poses, direct.poses, atol=2e-2, rtol=1e-2)  # half precision in between


def test_only_the_decoder_moves_and_it_gets_better(model: PlannerModel, tiny_cache: FeatureCache) -> None:
    before = state(model)
    result = train(model, tiny_cache, ROWS, STAGE)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith(("decoder.", "neck.bev_")) for name in changed)
    assert result.ade < result.ade_before
    assert displacement(model, encode_scenes(model, tiny_cache, ROWS)) == pytest.approx(result.ade, abs=1e-4)


def test_a_stage_that_does_not_help_leaves_the_model_alone(model: PlannerModel, tiny_cache: FeatureCache) -> None:
    before = state(model)
    wild = dataclasses.replace(STAGE, epochs=1, lr=10.0, ema_decay=0.01)
    result = train(model, tiny_cache, HELD, wild)
    assert (result.best_step, result.ade) == (0, result.ade_before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_same_seed_same_decoder(tiny_cache: FeatureCache, model: PlannerModel) -> None:
    start = state(model)
    runs = []
    for _ in range(2):
        model.load_state_dict(start)
        train(model, tiny_cache, HELD, STAGE, seed=3)
        runs.append(state(model))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_a_stage_that_diverges_says_so(model: PlannerModel, tiny_cache: FeatureCache) -> None:
    with pytest.raises(InputError, match="no longer finite"):
        train(model, tiny_cache, HELD, dataclasses.replace(STAGE, lr=1e6))


def test_a_stage_of_a_fixed_length_ends_with_its_last_average(model: PlannerModel, tiny_cache: FeatureCache) -> None:
    wild = dataclasses.replace(STAGE, epochs=0, steps=5, keep=Keep.LAST, lr=1.0)
    result = train(model, tiny_cache, HELD, wild)
    assert result.best_step == 5
    assert result.ade != result.ade_before


def test_a_stage_of_a_fixed_length_ends_alike_whether_its_epochs_are_judged_or_not(
    model: PlannerModel, tiny_cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, ends = state(model), []
    judged: list[int] = []

    def counted(model: PlannerModel, scenes: EncodedScenes) -> float:
        judged.append(len(scenes))
        return displacement(model, scenes)

    monkeypatch.setattr(decoder_stage, "displacement", counted)
    scenes = encode_scenes(model, tiny_cache, HELD)
    for report, times in ((None, 2), (lambda step, ade: None, 4)):
        judged.clear()
        model.load_state_dict(start)
        config = dataclasses.replace(STAGE, epochs=3, keep=Keep.LAST)
        DecoderStage(model=model, scenes=scenes, held=None, config=config, weights=ObjectiveWeights(), seed=0).train(report)
        ends.append(state(model))
        assert len(judged) == times, "before and at the end, or before and after each of three epochs"
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in start)


def test_encoded_scenes_come_back_from_their_folder(model: PlannerModel, tiny_cache: FeatureCache, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no encoded scenes"):
        EncodedScenes.load(tmp_path / "encoded")
    kept, direct = encode_into(tmp_path / "encoded", model, tiny_cache, ROWS), encode_scenes(model, tiny_cache, ROWS)
    for field in dataclasses.fields(EncodedScenes):
        assert torch.equal(getattr(kept, field.name), getattr(direct, field.name))


def test_bad_stages_are_refused() -> None:
    with pytest.raises(InputError, match="epochs >= 0"):
        DecoderStageConfig(epochs=-1)


def test_a_run_ends_with_the_stage_that_its_config_asks_for(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    config = dataclasses.replace(tiny_config, epochs=1)
    plain = fit(config, tiny_cache)
    stage = dataclasses.replace(STAGE, epochs=2, keep=Keep.LAST)
    staged = fit(dataclasses.replace(config, name="staged", decoder_stage=stage), tiny_cache)
    assert plain is not None
    assert staged is not None
    one, two = load_checkpoint(plain.export).state_dict(), load_checkpoint(staged.export).state_dict()
    moved = {name for name in one if not torch.equal(one[name], two[name])}
    assert moved
    assert all(name.startswith(("decoder.", "neck.bev_")) for name in moved)
