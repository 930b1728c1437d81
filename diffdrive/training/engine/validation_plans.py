"""What the network proposes for chosen validation scenes, and where those scenes come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule

_NOISE_STREAM = 7_368_787


@dataclass(frozen=True, slots=True)
class Plans:
    """Proposals for N scenes, on the CPU."""

    poses: Tensor
    """[N, M, T, 3] float32, in the ego frame."""

    logits: Tensor
    """[N, M] float32."""

    @property
    def chosen(self) -> Tensor:
        """[N, T, 3] of the highest score."""
        return self.poses[torch.arange(len(self.poses)), self.logits.argmax(dim=1)]


def plans_for(
    trainer: pl.Trainer, module: PlannerLightningModule, cache: FeatureCache, rows: np.ndarray, *, batch_size: int
) -> Plans:
    """Plan the scenes at ``rows`` of the cache with the weights that ``module`` has now.

    The noise of a row is the same at every call. To be called within a validation.
    """
    modes, shape = module.planner.num_modes, module.planner.noise_shape
    poses, logits = [torch.zeros(0, modes, shape[-2], 3)], [torch.zeros(0, modes)]
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        noise = torch.stack([_noise_of(module, int(row)) for row in part])
        batch = cache.batch(part).to(module.device)
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            proposals = module.model(batch.inputs(module.planner.inputs), noise.to(module.device))
        poses.append(proposals.poses.float().cpu())
        logits.append(proposals.logits.float().cpu())
    return Plans(torch.cat(poses), torch.cat(logits))


def spread_over(rows: np.ndarray, count: int) -> np.ndarray:
    """``count`` of ``rows``, evenly spread; all where there are fewer."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(int)]


def rows_with_scenes(cache: FeatureCache, rows: np.ndarray, tokens: Sequence[str], asked_by: str) -> np.ndarray:
    """Those of ``rows`` whose scenes a source with ``tokens`` can load. Raises ``InputError`` where it has none of them."""
    known = set(tokens)
    found = np.array([row for row in rows.tolist() if cache.spec.tokens[row] in known], dtype=np.int64)
    if not len(found):
        raise InputError(
            f"{asked_by} needs the scenes behind the features, and data.source has none of the {len(rows)} validation scenes. "
            f"Point data.source at the logs that the cache was made from, or set {asked_by} to 0."
        )
    return found


def _noise_of(module: PlannerLightningModule, row: int) -> Tensor:
    generator = torch.Generator().manual_seed(_NOISE_STREAM * (module.config.seed + 1) + row)
    return torch.randn(*module.planner.noise_shape, generator=generator)
