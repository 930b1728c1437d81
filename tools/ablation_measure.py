"""Measure a trained row on the test scenes: scores, displacement, diversity, size and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ablation_data import METRIC, TestSet
from torch import Tensor

from diffdrive.diffusion import JUMP_TABLES, JumpTable
from diffdrive.evaluation.diversity import mode_diversity
from diffdrive.files import written_aside
from diffdrive.model import PlannerModel
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.scoring.rules import rules_of
from diffdrive.scoring.score import score
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.training.encoded_scenes import EncodedScenes
from diffdrive.vehicle import PACIFICA

_PLAN_BATCH = 25
_SCORE_BATCH = 50
_NOISE_SEED = 7
SUB_SCORES = rules_of(METRIC).sub_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One value a scene for each figure; the scenes in the order of the test set."""

    values: dict[str, np.ndarray]
    """[N] by name: ``pdms``, the sub-scores (0..1), ``ade`` and ``min_ade`` (metres), ``diversity`` (0..1)."""

    def save(self, path: Path) -> None:
        with written_aside(path) as aside, aside.open("wb") as file:
            np.savez(file, allow_pickle=False, **self.values)

    @classmethod
    def load(cls, path: Path) -> Measured:
        with np.load(path) as archive:
            return cls(values={name: archive[name] for name in archive.files})


def jumps_called(name: str | None) -> JumpTable | None:
    return None if name is None else JUMP_TABLES[name]


def measure(checkpoint: Path, jumps: JumpTable | None, test: TestSet, seen: EncodedScenes) -> Measured:
    """``seen`` is what the checkpoint's perception makes of the test scenes, in full precision."""
    proposals, logits = plan_all(load_checkpoint(checkpoint), jumps, seen)
    chosen = proposals[np.arange(len(proposals)), logits.argmax(axis=1)]
    driven = seen.trajectory.numpy()
    distance = np.linalg.norm(proposals[..., :2] - driven[:, None, :, :2], axis=-1).mean(axis=-1)
    return Measured(
        values={
            **scored(test.scenes, chosen),
            "ade": np.linalg.norm(chosen[..., :2] - driven[..., :2], axis=-1).mean(axis=-1),
            "min_ade": distance.min(axis=1),
            "diversity": mode_diversity(proposals, PACIFICA.width),
        }
    )


def measure_fixed(test: TestSet, poses: np.ndarray, driven: np.ndarray) -> Measured:
    """Of trajectories [N, T, 3] that no network made."""
    ade = np.linalg.norm(poses[..., :2] - driven[..., :2], axis=-1).mean(axis=-1)
    return Measured(values={**scored(test.scenes, poses), "ade": ade, "min_ade": ade, "diversity": np.zeros(len(poses))})


def scored(scenes: Sequence[ScoringScene], poses: np.ndarray) -> dict[str, np.ndarray]:
    """PDMS and its parts of one trajectory [N, T, 3] a scene."""
    parts: dict[str, list[np.ndarray]] = {"pdms": [], **{name: [] for name in SUB_SCORES}}
    for start in range(0, len(poses), _SCORE_BATCH):
        rows = slice(start, start + _SCORE_BATCH)
        scores = score(scenes[rows], poses[rows, None].astype(np.float64), metric=METRIC)
        parts["pdms"].append(scores.total[:, 0].numpy())
        for name in SUB_SCORES:
            parts[name].append(scores[name][:, 0].numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


@torch.no_grad()
def plan_all(model: PlannerModel, jumps: JumpTable | None, seen: EncodedScenes) -> tuple[np.ndarray, np.ndarray]:
    """All proposals [N, M, T, 3] and their logits [N, M]. A scene's noise is the same for every model of a shape."""
    model.eval()
    generator = torch.Generator().manual_seed(_NOISE_SEED)
    proposals: list[Tensor] = []
    logits: list[Tensor] = []
    for rows in torch.arange(len(seen)).split(_PLAN_BATCH):
        noise = torch.randn(len(rows), *model.config.noise_shape, generator=generator)
        last = model.denoise(seen.features(model, rows), noise, jumps)[-1][-1]
        proposals.append(last.poses)
        logits.append(last.logits)
    return torch.cat(proposals).numpy(), torch.cat(logits).numpy()


def milliseconds(models: Sequence[tuple[PlannerModel, JumpTable | None]], test: TestSet, repeats: int = 21) -> list[float]:
    """Median time of one plan, from the network's input tensors to trajectories; the models take turns."""
    batch = test.cache.batch([0])
    calls: list[Callable[[], object]] = []
    for model, jumps in models:
        inputs = batch.inputs(model.config.inputs)
        noise = torch.zeros(1, *model.config.noise_shape)
        calls.append(lambda model=model, inputs=inputs, noise=noise, jumps=jumps: model(inputs, noise, jumps))  # type: ignore[misc]
    times: list[list[float]] = [[] for _ in calls]
    with torch.inference_mode():
        for _ in range(repeats):
            for kept, call in zip(times, calls, strict=True):
                start = time.perf_counter()
                call()
                kept.append((time.perf_counter() - start) * 1e3)
    return [float(np.median(kept)) for kept in times]
