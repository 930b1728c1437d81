"""What a planner proposes for its training scenes, and what the scorer says of each proposal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.scene import SceneSource
from diffdrive.scoring import PDMS, prepare, score
from diffdrive.training.encoded_scenes import EncodedScenes

logger = logging.getLogger(__name__)

_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredProposals:
    """Of N scenes, with K noises each."""

    noise: Tensor
    """[N, K, M, T, 2] that the proposals began at."""

    poses: Tensor
    """[N, K, M, T, 3]."""

    scores: Tensor
    """[N, K, M] PDMS, 0..1; NaN in all of a scene that cannot be scored."""

    @property
    def known(self) -> Tensor:
        """Rows [n] of the scenes that were scored."""
        return torch.nonzero(~self.scores.isnan().flatten(1).any(dim=1))[:, 0]


@torch.no_grad()
def propose(model: PlannerModel, scenes: EncodedScenes, draws: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise [N, K, M, T, 2] and proposals [N, K, M, T, 3] on the CPU: a function of model, scenes and ``seed``."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(scenes), draws, *model.config.noise_shape, generator=generator)
    poses = torch.empty(*noise.shape[:-1], 3)
    for rows in torch.arange(len(scenes)).split(_BATCH):
        features = scenes.features(model, rows)
        for draw in range(draws):
            given = noise[rows, draw].to(model.anchors.device)
            poses[rows, draw] = model.denoise(features, given)[-1][-1].poses.float().cpu()
    return noise, poses


def score_proposals(source: SceneSource, tokens: Sequence[str], poses: Tensor, interval_s: float) -> Tensor:
    """PDMS [N, K, M] of ``poses`` [N, K, M, T, 3] in the scenes of ``tokens``.

    ``source`` must look as far ahead as the score does; scenes that it does not have, and such as cannot be prepared, are NaN.
    """
    there = set(source.tokens)
    found = torch.full(poses.shape[:3], torch.nan)
    for row, token in enumerate(tokens):
        if token not in there:
            continue
        try:
            scene = prepare(source.load(token, sensors=False), PDMS.name)
        except InputError as error:
            logger.warning("The score stage leaves out scene '%s': %s", token, error)
            continue
        proposals = poses[row].flatten(0, 1)[None].double()
        total = score(scene, proposals, interval_s=interval_s, on_invalid="zero").total
        found[row] = total[0].unflatten(0, poses.shape[1:3]).float()
    return found
