"""Set prediction of vehicles: match slots to vehicles once, then compare pair by pair (Carion et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffdrive.tensors import AgentPredictions
from diffdrive.training.objectives.terms import ObjectiveWeights


def agent_losses(
    agents: AgentPredictions, states: Tensor, labels: Tensor, weights: ObjectiveWeights, slots: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Weighted class and box loss against ``states`` [B, A, 5], of which ``labels`` [B, A] (bool) says which are real.

    The class loss is averaged over all slots, the box loss over the real vehicles of the whole batch. ``slots`` [B, A] is
    the matching, from ``match`` unless given.
    """
    valid = labels.to(agents.logits.dtype)
    index = match(agents, states, labels, weights) if slots is None else slots
    logits = agents.logits.gather(1, index)
    boxes = agents.states.gather(1, index[..., None].expand_as(states))
    class_loss = F.binary_cross_entropy_with_logits(logits, valid)
    # Half a mantissa would round metres to decimetres under mixed precision.
    box_error = (boxes.float() - states.float()).abs().sum(dim=-1)
    box_loss = (box_error * valid).sum() / valid.sum().clamp(min=1.0)
    return weights.agent_class * class_loss, weights.agent_box * box_loss


def match(agents: AgentPredictions, states: Tensor, labels: Tensor, weights: ObjectiveWeights) -> Tensor:
    """[B, A]: for each target row the predicted slot it is compared with; the assignment of least total cost.

    L1 distances often tie exactly (two slots left of two vehicles cost the same either way), so several assignments may be
    cheapest; which one is returned can depend on the last bit of the costs. A sample whose costs are not finite keeps the
    order of its slots: its loss is not finite either, and whoever trains will see that.
    """
    return assign(pair_costs(agents, states, labels, weights))


@torch.no_grad()
def pair_costs(agents: AgentPredictions, states: Tensor, labels: Tensor, weights: ObjectiveWeights) -> Tensor:
    """[B, A, A] of target row and predicted slot: weighted cross entropy and, where the target is real, L1 of the centres."""
    valid = labels.to(agents.logits.dtype)
    logits = agents.logits[:, None, :].expand(-1, labels.shape[1], -1)
    entropy = F.binary_cross_entropy_with_logits(logits, valid[:, :, None].expand_as(logits), reduction="none")
    distance = (states[:, :, None, :2] - agents.states[:, None, :, :2]).abs().sum(dim=-1)
    return weights.agent_class * entropy + weights.agent_box * valid[:, :, None] * distance


def assign(costs: Tensor) -> Tensor:
    """[B, A] column of each row in the cheapest one-to-one assignment of ``costs`` [B, A, A] (Kuhn 1955, by scipy)."""
    host = costs.detach().to(device="cpu", dtype=torch.float64)
    host[~host.isfinite().all(dim=(1, 2))] = 0.0
    solve = _linear_sum_assignment()
    return torch.stack([torch.from_numpy(solve(sample.numpy())[1]) for sample in host]).to(costs.device)


def _linear_sum_assignment() -> Any:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("Matching agents needs scipy: pip install 'diffdrive[train]'.") from error
    return linear_sum_assignment
