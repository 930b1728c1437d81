"""How far two engines' answers lie apart, over every mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from diffdrive.tensors import Proposals


class Answer(NamedTuple):
    """What a batch of frames was answered with, float64 in host memory."""

    poses: Tensor
    """[B, M, T, 3]."""

    logits: Tensor
    """[B, M]."""

    scores: Tensor
    """[B, M]: their softmax."""

    chosen: Tensor
    """[B, T, 3] poses of the highest score."""

    @classmethod
    def of(cls, proposals: Proposals) -> Answer:
        """Copied from wherever ``proposals`` lie; waits for the device."""
        poses, logits = (value.to("cpu", torch.float64, copy=True) for value in (proposals.poses, proposals.logits))
        scores = logits.softmax(dim=1)
        return cls(poses, logits, scores, poses[torch.arange(len(poses)), scores.argmax(dim=1)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """The largest differences between two engines over all scenes, modes and poses; infinite where an answer is not finite."""

    position_m: float
    """In x or in y."""

    heading_rad: float
    logit: float
    same_choice: float
    """Share of scenes in which both choose the same mode."""

    @property
    def pose(self) -> float:
        """The larger of ``position_m`` and ``heading_rad``."""
        return max(self.position_m, self.heading_rad)

    def within(self, pose: float, logit: float) -> bool:
        """True when neither poses nor logits differ by more."""
        return self.pose <= pose and self.logit <= logit


def disagreement(a: Answer, b: Answer) -> Disagreement:
    """Between two answers to the same frames."""
    poses = (a.poses - b.poses).abs().nan_to_num(nan=float("inf"))
    logits = (a.logits - b.logits).abs().nan_to_num(nan=float("inf"))
    return Disagreement(
        position_m=float(poses[..., :2].max()),
        heading_rad=float(poses[..., 2].max()),
        logit=float(logits.max()),
        same_choice=float((a.logits.argmax(dim=1) == b.logits.argmax(dim=1)).to(torch.float64).mean()),
    )


def worst(each: list[Disagreement]) -> Disagreement:
    """Over several comparisons of as many scenes each; there must be at least one."""
    return Disagreement(
        position_m=max(one.position_m for one in each),
        heading_rad=max(one.heading_rad for one in each),
        logit=max(one.logit for one in each),
        same_choice=sum(one.same_choice for one in each) / len(each),
    )
