"""Set prediction of vehicles: match slots to vehicles once, then compare pair by pair (Carion et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffdrive.contracts import InputError
from diffdrive.tensors import AgentPredictions
from diffdrive.training.objectives.terms import ObjectiveWeights


def agent_losses(agents: AgentPredictions, states: Tensor, labels: Tensor, weights: ObjectiveWeights) -> tuple[Tensor, Tensor]:
    """Weighted class and box loss against ``states`` [B, A, 5], of which ``labels`` [B, A] (bool) says which are real.

    The class loss is averaged over all slots, the box loss over the real vehicles of the whole batch.
    """
    valid = labels.to(agents.logits.dtype)
    index = match(agents, states, labels, weights)
    logits = agents.logits.gather(1, index)
    boxes = agents.states.gather(1, index[..., None].expand_as(states))
    class_loss = F.binary_cross_entropy_with_logits(logits, valid)
    box_error = (boxes - states.to(boxes.dtype)).abs().sum(dim=-1)
    box_loss = (box_error * valid).sum() / valid.sum().clamp(min=1.0)
    return weights.agent_class * class_loss, weights.agent_box * box_loss


@torch.no_grad()
def match(agents: AgentPredictions, states: Tensor, labels: Tensor, weights: ObjectiveWeights) -> Tensor:
    """[B, A]: for each target row the predicted slot it is compared with; the assignment of least total cost.

    A pair costs its cross entropy and, where the target is real, the L1 distance of the centres.
    Raises ``InputError`` when a prediction is not finite.
    """
    valid = labels.to(agents.logits.dtype)
    logits = agents.logits[:, None, :].expand(-1, labels.shape[1], -1)
    class_cost = F.binary_cross_entropy_with_logits(logits, valid[:, :, None].expand_as(logits), reduction="none")
    distance = (states[:, :, None, :2] - agents.states[:, None, :, :2]).abs().sum(dim=-1)
    cost = weights.agent_class * class_cost + weights.agent_box * valid[:, :, None] * distance
    host = cost.to(device="cpu", dtype=torch.float64)
    if not bool(torch.isfinite(host).all()):
        raise InputError("Agent predictions are no longer finite: training has diverged. Lower the learning rate.")
    assign = _linear_sum_assignment()
    columns = [torch.from_numpy(assign(sample.numpy())[1]) for sample in host]
    return torch.stack(columns).to(agents.logits.device)


def _linear_sum_assignment() -> Any:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("Matching agents needs scipy: pip install 'diffdrive[train]'.") from error
    return linear_sum_assignment
