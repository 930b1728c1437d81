"""What callers hand in to be scored: checked, and stacked into one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError

OnInvalid = Literal["raise", "zero"]
"""What a trajectory that is none does: raise, or score zero."""

FARTHEST_M = 1e5
"""Beyond this distance from the ego a pose is a mistake, not a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTrajectories:
    """Trajectories that can be judged."""

    poses: Tensor
    """[S, N, T, 3] float64, ego frame at t = 0; all zero where not valid."""

    is_valid: Tensor
    """[S, N]."""


def check_trajectories(trajectories: Any, tokens: Sequence[str], on_invalid: OnInvalid, device: Any) -> CheckedTrajectories:
    """Poses of N proposals in each of S scenes: a tensor or an array [S, N, T, 3], for one scene also [N, T, 3], or nested
    sequences of arrays [T, 3].

    A proposal with NaN, an infinite or absurdly far pose, or (in sequences) another shape than the rest is not valid: an
    ``InputError`` that names scene and proposal, or, with ``on_invalid="zero"``, a zero in ``is_valid``.
    """
    if on_invalid not in ("raise", "zero"):
        raise InputError(f"on_invalid must be 'raise' or 'zero', got '{on_invalid}'.")
    poses = _as_tensor(trajectories, len(tokens), device)
    if poses.ndim == 3 and len(tokens) == 1:
        poses = poses[None]
    if poses.ndim != 4 or poses.shape[0] != len(tokens) or poses.shape[-1] != 3 or not poses.shape[1] or not poses.shape[2]:
        raise InputError(
            f"Trajectories must have axes [S, N, T, 3] with S = {len(tokens)} scenes and at least one proposal and pose, "
            f"got shape {list(poses.shape)}."
        )
    is_valid = (poses[..., :2].abs() <= FARTHEST_M).all(dim=-1).all(dim=-1) & poses.isfinite().all(dim=-1).all(dim=-1)
    if on_invalid == "raise" and not bool(is_valid.all()):
        scene, proposal = (int(index) for index in (~is_valid).nonzero()[0])
        raise InputError(
            f"Proposal {proposal} of scene '{tokens[scene]}' is no trajectory: its poses must be finite, of one shape [T, 3] "
            f"with every other, and within {FARTHEST_M:g} m. {int((~is_valid).sum())} of {is_valid.numel()} proposals are not. "
            "Repair them, or score them zero with on_invalid='zero'."
        )
    return CheckedTrajectories(poses=torch.where(is_valid[..., None, None], poses, 0.0), is_valid=is_valid)


def _as_tensor(trajectories: Any, num_scenes: int, device: Any) -> Tensor:
    if isinstance(trajectories, Tensor):
        return trajectories.detach().to(device=device, dtype=torch.float64)
    if isinstance(trajectories, np.ndarray):
        # A copy: torch warns about arrays that are read-only, as those of a Trajectory are.
        return torch.from_numpy(np.array(trajectories, dtype=np.float64)).to(device)
    return torch.from_numpy(_stacked(trajectories, num_scenes)).to(device)


def _stacked(trajectories: Sequence[Any], num_scenes: int) -> np.ndarray:
    """[S, N, T, 3] from sequences; a proposal of another shape than most becomes NaN."""
    scenes = [[np.asarray(proposal, dtype=np.float64) for proposal in proposals] for proposals in trajectories]
    counts = {len(proposals) for proposals in scenes}
    if len(scenes) != num_scenes or len(counts) != 1 or not counts.pop():
        raise InputError(
            f"Trajectories must hold the same number of proposals for each of {num_scenes} scenes, "
            f"got {[len(proposals) for proposals in scenes][:8]}."
        )
    shapes = [proposal.shape for proposals in scenes for proposal in proposals if proposal.ndim == 2 and proposal.shape[1] == 3]
    usual = max(set(shapes), key=shapes.count) if shapes else (1, 3)
    odd = np.full(usual, np.nan)
    return np.array([[proposal if proposal.shape == usual else odd for proposal in proposals] for proposals in scenes])
