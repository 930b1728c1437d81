"""Train the decoder alone on perception that no longer moves: many cheap steps over ``EncodedScenes``, new noise in each.

What joins perception's maps into the BEV map that the decoder samples is trained with it: a perception from below another
decoder may never have had a use for that map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.training.config import DecoderStageConfig, OptimizerConfig
from diffdrive.training.config.decoder_stage import Keep
from diffdrive.training.encoded_scenes import EncodedScenes
from diffdrive.training.objectives import ObjectiveWeights, noisy_points, trajectory_losses
from diffdrive.training.optim import WeightAverage, build_optimizer

_VALIDATION_BATCH = 32
_VALIDATION_SEED = 1_000_003


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderStageResult:
    """Displacement errors on the validation scenes (on the training scenes where there are none), metres."""

    ade_before: float
    ade: float
    best_step: int
    """After how many steps the kept weights were there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderStage:
    """A decoder, what it learns from and how.

    Every random number is drawn from ``seed`` in the order of the steps, so the same stage gives the same decoder.
    """

    model: PlannerModel
    """Its decoder, and the joining of its BEV map, are trained in place; nothing else of it changes."""

    scenes: EncodedScenes
    held: EncodedScenes | None
    """Validation scenes; None: the training scenes judge."""

    config: DecoderStageConfig
    weights: ObjectiveWeights
    seed: int

    def train(self, report: Callable[[int, float], None] | None = None) -> DecoderStageResult:
        """Improve the decoder; it ends with averaged weights, which ones ``config.keep`` says.

        ``report`` is told the number of steps taken and the ADE after each epoch. Raises ``InputError`` for fewer scenes than a
        batch and for a loss that is no number.
        """
        trained, config = trained_part(self.model), self.config
        per_epoch = len(self.scenes) // config.batch_size
        if per_epoch < 1:
            raise InputError(f"The decoder stage has {len(self.scenes)} scenes, fewer than one batch of {config.batch_size}.")
        total = config.num_steps(per_epoch)
        held = self.held or self.scenes
        average = WeightAverage(trained, config.ema_decay)
        recipe = OptimizerConfig(lr=config.lr, min_lr=config.min_lr, weight_decay=config.weight_decay)
        optimizer = build_optimizer(trained, recipe)
        before = best = displacement(self.model, held)
        best_step, kept = 0, _copied(trained.state_dict())
        is_judged = config.keep is Keep.BEST or report is not None  # else only the end counts: twenty passes a scene take long
        generator = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # for dropout
            for step, rows in enumerate(self._batches(total, generator), start=1):
                self._take_step(optimizer, rows, (step - 1) / total, generator)
                average.update(trained)
                if step < total and (step % per_epoch or not is_judged):
                    continue
                with average.applied_to(trained):
                    ade = displacement(self.model, held)
                if report is not None:
                    report(step, ade)
                if ade < best or (config.keep is Keep.LAST and step == total):
                    best, best_step, kept = ade, step, _copied(average.state)
        trained.load_state_dict(kept)
        return DecoderStageResult(ade_before=before, ade=best, best_step=best_step)

    def _batches(self, total: int, generator: torch.Generator) -> Iterator[Tensor]:
        """[b] rows of each of ``total`` steps; an epoch leaves out what does not fill a batch."""
        taken = 0
        while taken < total:
            order = torch.randperm(len(self.scenes), generator=generator)
            for rows in order.split(self.config.batch_size):
                if len(rows) == self.config.batch_size and taken < total:
                    taken += 1
                    yield rows

    def _take_step(self, optimizer: torch.optim.Optimizer, rows: Tensor, progress: float, generator: torch.Generator) -> None:
        model, config = self.model, self.config
        model.eval()
        model.decoder.train()
        for group in optimizer.param_groups:
            group["lr"] = config.min_lr + 0.5 * (config.lr - config.min_lr) * (1.0 + math.cos(math.pi * progress))
        device = model.anchors.device
        noise = torch.randn(len(rows), *model.config.noise_shape, generator=generator).to(device)
        levels = torch.randint(model.config.num_train_levels, (len(rows),), generator=generator).to(device)
        driven = self.scenes.trajectory[rows].to(device)
        layers = model.decode(self.scenes.features(model, rows), noisy_points(model, noise, levels, driven), levels)
        losses = trajectory_losses(layers, driven, model.matched_anchors, self.weights)
        loss = torch.stack(list(losses.values())).sum()
        if not bool(torch.isfinite(loss)):
            raise InputError("The decoder stage's loss is no longer finite. Lower decoder_stage.lr.")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained_part(model).parameters(), config.gradient_clip_norm)
        optimizer.step()


def trained_part(model: PlannerModel) -> nn.Module:
    """What the stage trains."""
    parts = {"decoder": model.decoder, "bev_projection": model.neck.bev_projection, "bev_norm": model.neck.bev_norm}
    return nn.ModuleDict(parts)


@torch.no_grad()
def displacement(model: PlannerModel, scenes: EncodedScenes) -> float:
    """Mean distance (metres) between the chosen trajectory and the driven one; the same noise at every call."""
    model.eval()
    device = model.anchors.device
    generator = torch.Generator().manual_seed(_VALIDATION_SEED)
    total = 0.0
    for rows in torch.arange(len(scenes)).split(_VALIDATION_BATCH):
        noise = torch.randn(len(rows), *model.config.noise_shape, generator=generator)
        result = model.denoise(scenes.features(model, rows), noise.to(device))[-1][-1]
        chosen = result.poses[torch.arange(len(rows)), result.logits.argmax(dim=1)]
        total += float((chosen - scenes.trajectory[rows].to(device))[..., :2].norm(dim=-1).mean(dim=1).sum())
    return total / len(scenes)


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
