"""How far proposals end up from what was driven."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.tensors import Proposals


def displacements(proposals: Proposals, trajectory: Tensor) -> dict[str, Tensor]:
    """Metres, averaged over the batch: ``ade`` and ``fde`` of the chosen trajectory, ``min_ade`` of the best proposal.

    ``trajectory`` [B, T, 3] was driven.
    """
    distances = (proposals.poses[..., :2] - trajectory[:, None, :, :2]).norm(dim=-1)  # [B, M, T]
    rows = torch.arange(len(distances), device=distances.device)
    chosen = distances[rows, proposals.logits.argmax(dim=1)]
    return {
        "ade": chosen.mean(),
        "fde": chosen[:, -1].mean(),
        "min_ade": distances.mean(dim=2).amin(dim=1).mean(),
    }
