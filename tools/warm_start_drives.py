"""Consecutive frames of logs, and planners that plan one after the other: each plan may begin where the one before ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from diffdrive.diffusion import JumpTable
from diffdrive.model import PlannerModel
from diffdrive.model.config import Prior
from diffdrive.runtime.envelope import (
    PastPlan,
    PastProposals,
    SelectionConfig,
    WarmStart,
    WarmStartConfig,
    driven_on,
    retimed,
    select,
)
from diffdrive.runtime.noise import fixed_noise
from diffdrive.scene import DrivingCommand, SceneSource, Trajectory
from diffdrive.training.encoded_scenes import EncodedScenes

INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One moment of a drive."""

    row: int
    """Of the scenes that were encoded."""

    odometry_pose: np.ndarray
    """[3] of the vehicle."""

    stamp_us: int
    command: DrivingCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to plan a drive."""

    name: str
    jumps: JumpTable | None = None
    warm: WarmStartConfig | None = None
    cold_jumps: JumpTable | None = None
    """Of plans that do not begin at the plan before, where they take another table: planners that begin at noise."""

    selection: SelectionConfig | None = None
    """How plans are held on to; None: the highest score is driven."""

    error: tuple[float, float] = (0.0, 0.0)
    """Metres to the side and radians by which the plan before is misplaced, to one side and to the other in turn."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What one way made of all frames."""

    chosen: np.ndarray
    """[N, T, 3], by row."""

    is_warm: np.ndarray
    """[N] whether the plan began at the one before."""


def drives_of(source: SceneSource, tokens: Sequence[str]) -> list[list[Frame]]:
    """The frames of ``tokens``, log by log; rows are places in ``tokens``. A gap begins a new drive."""
    drives: list[list[Frame]] = []
    last = ("", 0)
    for row, token in enumerate(tokens):
        scene = source.load(token, sensors=False)
        seen = scene.observation
        stamp_us = seen.ego.timestamp_us
        frame = Frame(row=row, odometry_pose=scene.world_from_ego, stamp_us=stamp_us, command=seen.command)
        if last == (scene.log_name, stamp_us - round(INTERVAL_S * 1e6)):
            drives[-1].append(frame)
        else:
            drives.append([frame])
        last = (scene.log_name, stamp_us)
    return drives


@torch.no_grad()
def plan_drives(
    model: PlannerModel, seen: EncodedScenes, drives: Sequence[Sequence[Frame]], way: Way, seed: int = 0
) -> Planned:
    """Plan all drives side by side, frame by frame."""
    model.eval()
    chosen = np.zeros((len(seen), model.config.targets.num_poses, 3))
    is_warm = np.zeros(len(seen), dtype=bool)
    memories: list[PastProposals | None] = [None] * len(drives)
    starts = _Starts(model, way, seed)
    for step in range(max(len(drive) for drive in drives)):
        present = [index for index, drive in enumerate(drives) if step < len(drive)]
        frames = [drives[index][step] for index in present]
        begun = [starts.of(memories[index], frame, step) for index, frame in zip(present, frames, strict=True)]
        for table, batch in _by_table(model, way, begun):
            rows = torch.tensor([frames[place].row for place in batch])
            noise = torch.from_numpy(np.stack([begun[place][0] for place in batch]))
            last = model.denoise(seen.features(model, rows), noise, table)[-1][-1]
            poses, scores = last.poses.double().numpy(), last.logits.double().softmax(dim=1).numpy()
            for place, proposals, score in zip(batch, poses, scores, strict=True):
                frame, index = frames[place], present[place]
                mode = _choose(proposals, score, memories[index], frame, way)
                chosen[frame.row], is_warm[frame.row] = proposals[mode], begun[place][1]
                memories[index] = _remembered(proposals, score, mode, frame)
    return Planned(chosen, is_warm)


class _Starts:
    def __init__(self, model: PlannerModel, way: Way, seed: int) -> None:
        self._model, self._way = model, way
        self._cold = fixed_noise((1, *model.config.noise_shape), seed)[0].numpy()
        has_anchors = model.config.prior is Prior.ANCHORS
        self._warm = WarmStart(model, way.warm, jumps=way.jumps, seed=seed) if way.warm is not None and has_anchors else None

    def of(self, past: PastProposals | None, frame: Frame, step: int) -> tuple[np.ndarray, bool]:
        """Noise [M, T, 2], and whether it is that of a warm start."""
        if past is None or self._way.warm is None:
            return self._cold, False
        left, yaw = (each * (-1) ** step for each in self._way.error)
        x, y, heading = frame.odometry_pose
        seen_from = np.array([x - left * np.sin(heading), y + left * np.cos(heading), heading + yaw])
        if self._warm is not None:
            start = self._warm.start(past, seen_from, frame.stamp_us, frame.command)
            return start.noise, bool(start.warm_modes)
        return self._samples(past, seen_from, frame), True

    def _samples(self, past: PastProposals, seen_from: np.ndarray, frame: Frame) -> np.ndarray:
        """For a planner that begins at noise: each of its samples begins at one of the plans before."""
        config, table = self._model.config, self._way.jumps or self._model.config.default_jumps
        later = np.stack([driven_on(past.plan(row), seen_from, frame.stamp_us).poses[:, :2] for row in range(len(past.poses))])
        points = config.normalizer.normalize(torch.as_tensor(later, dtype=torch.float32))
        noised = config.schedule.add_noise(points, torch.from_numpy(self._cold), table.start_level)
        return np.asarray(noised.numpy())


def _by_table(
    model: PlannerModel, way: Way, begun: Sequence[tuple[np.ndarray, bool]]
) -> list[tuple[JumpTable | None, list[int]]]:
    cold = [place for place, (_, is_warm) in enumerate(begun) if not is_warm and way.cold_jumps is not None]
    rest = [place for place in range(len(begun)) if place not in set(cold)]
    return [(table, batch) for table, batch in ((way.cold_jumps, cold), (way.jumps, rest)) if batch]


def _choose(proposals: np.ndarray, scores: np.ndarray, past: PastProposals | None, frame: Frame, way: Way) -> int:
    if way.selection is None or past is None:
        return int(scores.argmax())
    before = retimed(past.plan(0), frame.odometry_pose, frame.stamp_us)
    found = select(proposals, scores, np.ones(len(scores), dtype=bool), before, way.selection)
    return int(scores.argmax()) if found is None else found.mode


def _remembered(proposals: np.ndarray, scores: np.ndarray, mode: int, frame: Frame) -> PastProposals:
    others = [each for each in np.argsort(-scores, kind="stable") if each != mode]
    return PastProposals(
        poses=proposals[[mode, *others]],
        interval_s=INTERVAL_S,
        odometry_pose=frame.odometry_pose,
        stamp_us=frame.stamp_us,
        command=frame.command,
    )


def overlap_errors(chosen: np.ndarray, drives: Sequence[Sequence[Frame]], anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between a plan and the one before it, both [N] by row: mean metres over the common times, and whether the mode flipped.

    The mode of a plan is its nearest anchor (mean distance); that of the plan before is looked for after it was driven on to
    the same times. First frames are NaN.
    """
    errors, flips = np.full(len(chosen), np.nan), np.full(len(chosen), np.nan)
    for drive in drives:
        for before, after in pairwise(drive):
            past = PastPlan(
                trajectory=Trajectory(chosen[before.row], interval_s=INTERVAL_S),
                odometry_pose=before.odometry_pose,
                stamp_us=before.stamp_us,
            )
            later = driven_on(past, after.odometry_pose, after.stamp_us).poses[:, :2]
            new = chosen[after.row, :, :2]
            # The last pose of the plan before is not its own: it was driven on.
            errors[after.row] = np.linalg.norm(new - later, axis=-1)[:-1].mean()
            flips[after.row] = _nearest(later, anchors) != _nearest(new, anchors)
    return errors, flips


def _nearest(points: np.ndarray, anchors: np.ndarray) -> int:
    return int(np.linalg.norm(anchors - points, axis=-1).mean(axis=-1).argmin())
