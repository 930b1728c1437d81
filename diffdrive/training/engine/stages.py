"""What follows the end-to-end training: the decoder alone, then its scores alone."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from diffdrive.model import PlannerModel
from diffdrive.scoring.rules import MAP_RADIUS_M
from diffdrive.training.config import TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.decoder_stage import DecoderStage
from diffdrive.training.encoded_scenes import encode_scenes
from diffdrive.training.engine.export import averaged_state, plain_model
from diffdrive.training.engine.pdms import FUTURE_S
from diffdrive.training.engine.whole_state import load_whole_state
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.scene_sources import open_source
from diffdrive.training.score_stage import ScoreStage
from diffdrive.training.scored_proposals import ScoredProposals, propose, score_proposals

logger = logging.getLogger(__name__)


def train_decoder(config: TrainingConfig, trainer: pl.Trainer, module: PlannerLightningModule, data: PlannerDataModule) -> None:
    """Continue with the decoder alone, from the averaged weights; every process computes the same."""
    model = _averaged(trainer, module)
    rows = data.split

    def report(step: int, ade: float) -> None:
        logger.info("decoder stage, step %d: ADE %.3f m", step, ade)

    stage = DecoderStage(
        model=model,
        scenes=encode_scenes(model, data.reader(rows.train), rows.train),
        held=encode_scenes(model, data.reader(rows.validation), rows.validation) if len(rows.validation) else None,
        config=config.decoder_stage,
        weights=config.weights,
        seed=config.seed,
    )
    stage.train(report if trainer.is_global_zero else None)
    _take_back(module, model)


def teach_scores(config: TrainingConfig, trainer: pl.Trainer, module: PlannerLightningModule, data: PlannerDataModule) -> None:
    """Continue with the last layer's scores alone; the proposals are scored by all processes together.

    Raises ``InputError`` for planners and scenes that the stage cannot teach with (see ``ScoreStage``).
    """
    model, stage, rows = _averaged(trainer, module), config.score_stage, data.split.train
    reader = data.reader(rows)
    scenes = encode_scenes(model, reader, rows)
    noise, poses = propose(model, scenes, stage.draws, config.seed)
    tokens = [data.cache.spec.tokens[reader.row_read(row)] for row in rows.tolist()]
    taught = ScoredProposals(
        noise=noise, poses=poses, scores=_scored_together(config, trainer, tokens, poses, model.config.targets.interval_s)
    )
    logger.info("score stage: %d of %d scenes scored", len(taught.known), len(rows))
    ScoreStage(model=model, scenes=scenes, taught=taught, config=stage, seed=config.seed).train()
    _take_back(module, model)


def _scored_together(
    config: TrainingConfig, trainer: pl.Trainer, tokens: list[str], poses: Tensor, interval_s: float
) -> Tensor:
    """Every process scores its share. NaN plus zero is NaN, so scenes that cannot be scored survive the sum."""
    source = open_source(config.data.source, future_s=FUTURE_S, map_radius_m=MAP_RADIUS_M)
    share = slice(trainer.global_rank, None, trainer.world_size)
    scores = torch.zeros(poses.shape[:3])
    scores[share] = score_proposals(source, tokens[share], poses[share], interval_s)
    return trainer.strategy.reduce(scores.to(trainer.strategy.root_device), reduce_op="sum").cpu()


def _averaged(trainer: pl.Trainer, module: PlannerLightningModule) -> PlannerModel:
    """The averaged weights in a model of their own, the same in every process."""
    # Each process has batch statistics of its own; the first one's count.
    weights = trainer.strategy.broadcast({name: tensor.cpu() for name, tensor in averaged_state(module).items()})
    return plain_model(module.model, weights).to(module.device)


def _take_back(module: PlannerLightningModule, model: PlannerModel) -> None:
    module.average = None
    load_whole_state(module.model, model.state_dict())
