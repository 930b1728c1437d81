"""Teach the cascade's last layer what the scorer says of its proposals, and hold the proposals where they are.

A planner's fan mostly holds a trajectory that drives well; what costs points is that its scores do not find it. The scorer is
quick enough to judge every proposal of every training scene, so scores need not be guessed from imitation: they can be learnt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.model.config import DecoderKind
from diffdrive.training.config.score_stage import ScoreStageConfig
from diffdrive.training.encoded_scenes import EncodedScenes
from diffdrive.training.scored_proposals import ScoredProposals


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreStage:
    """A planner, what it proposed, and what it should have said of it. Every random number is drawn from ``seed``.

    Raises ``InputError`` for a model without a cascade, and where fewer scenes were scored than a batch has.
    """

    model: PlannerModel
    """The last layer of its decoder is trained in place; nothing else of it changes."""

    scenes: EncodedScenes
    taught: ScoredProposals
    """Of the same scenes, by the model as it is."""

    config: ScoreStageConfig
    seed: int

    def __post_init__(self) -> None:
        if self.model.config.decoder_kind is not DecoderKind.CASCADE:
            raise InputError(
                "The score stage trains the cascade's last layer, and this model has none. Set score_stage.epochs=0."
            )
        if len(self.taught.known) < self.config.batch_size:
            raise InputError(
                f"The score stage has {len(self.taught.known)} scored scenes, fewer than one batch of "
                f"{self.config.batch_size}. Scenes need logs that reach five seconds ahead."
            )

    def train(self) -> None:
        """Improve the scores."""
        layer, config = _last_layer(self.model), self.config
        rows = self.taught.known
        total = config.epochs * (len(rows) // config.batch_size)
        optimizer = torch.optim.AdamW(layer.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        generator = torch.Generator().manual_seed(self.seed)
        self.model.eval()
        wanted = [parameter.requires_grad for parameter in self.model.parameters()]
        self.model.requires_grad_(False)
        layer.requires_grad_(True)
        layer.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # for dropout
            for step, batch in enumerate(self._batches(rows, generator)):
                for group in optimizer.param_groups:
                    group["lr"] = config.lr * _share(step, total, config.warmup_steps)
                optimizer.zero_grad()
                loss = self._loss(batch, int(torch.randint(self.taught.scores.shape[1], (), generator=generator)))
                if not bool(torch.isfinite(loss)):
                    raise InputError("The score stage's loss is no longer finite. Lower score_stage.lr.")
                loss.backward()
                torch.nn.utils.clip_grad_norm_(layer.parameters(), config.gradient_clip_norm)
                optimizer.step()
        self.model.eval()
        for parameter, wants in zip(self.model.parameters(), wanted, strict=True):
            parameter.requires_grad_(wants)

    def _batches(self, rows: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        """Rows [b] of every step; an epoch leaves out what does not fill a batch."""
        size = self.config.batch_size
        for _ in range(self.config.epochs):
            yield from rows[torch.randperm(len(rows), generator=generator)][: len(rows) // size * size].split(size)

    def _loss(self, rows: Tensor, draw: int) -> Tensor:
        model, taught, device = self.model, self.taught, self.model.anchors.device
        noise = taught.noise[rows, draw].to(device)
        proposed = model.denoise(self.scenes.features(model, rows), noise)[-1][-1]
        told = functional.binary_cross_entropy_with_logits(proposed.logits, taught.scores[rows, draw].to(device))
        moved = (proposed.poses - taught.poses[rows, draw].to(device)).abs().mean()
        return told + self.config.hold_weight * moved


def _last_layer(model: PlannerModel) -> nn.Module:
    return cast(nn.ModuleList, model.decoder.layers)[-1]


def _share(step: int, total: int, warmup_steps: int) -> float:
    """Of the learning rate: a short climb, then half a cosine."""
    return min(1.0, (step + 1) / max(warmup_steps, 1)) * 0.5 * (1.0 + math.cos(math.pi * step / total))
