"""Where the ego's box, or the box it would reach by driving straight on, meets another road user's.

Bounding boxes over a few steps leave few pairs of a row and a track; only these are looked at step by step, and only what is
left of them by the exact test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.scoring.motion import Motion
from diffdrive.scoring.overlap.boxes import touches_box
from diffdrive.scoring.overlap.ragged import first_of_group
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS
from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.scoring_scene import Tracks

LOOK_AHEAD_STEPS = (0, 3, 6, 9)
"""The ego now against a track now, and the ego driven straight on for 0.3, 0.6 and 0.9 s against the track then."""

_BLOCK = 6
_BLOCKS = math.ceil(NUM_STEPS / _BLOCK)
_WINDOW = _BLOCK + LOOK_AHEAD_STEPS[-1]
_SLACK_M = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackTable:
    """The tracks of S scenes, padded to the A of the fullest. Positions are relative to the origin of their scene."""

    corners: Tensor
    """[S, A, O, 4, 2]."""

    centroids: Tensor
    """[S, A, O, 2]."""

    is_agent: Tensor
    """[S, A]."""

    speeds: Tensor
    """[S, A]."""

    windows: Tensor
    """[S, A, B, 4, W] bounds (low x, low y, high x, high y) at the W steps that a block of ego steps looks at; an absent box
    bounds nothing."""

    @classmethod
    def of(cls, scenes: Sequence[Tracks], origins: Tensor) -> TrackTable:
        """From the tracks of each scene."""
        steps = scenes[0].corners.shape[1] if len(scenes[0]) else 0
        steps = max([steps, *(tracks.corners.shape[1] for tracks in scenes if len(tracks))])
        most = max(len(tracks) for tracks in scenes)
        corners = torch.zeros(len(scenes), most, steps, 4, 2, dtype=torch.float64)
        centroids = torch.zeros(len(scenes), most, steps, 2, dtype=torch.float64)
        present = torch.zeros(len(scenes), most, steps, dtype=torch.bool)
        is_agent = torch.zeros(len(scenes), most, dtype=torch.bool)
        speeds = torch.zeros(len(scenes), most, dtype=torch.float64)
        for i, tracks in enumerate(scenes):
            count = len(tracks)
            if count:
                corners[i, :count] = torch.tensor(tracks.corners) - origins[i]
                centroids[i, :count] = torch.tensor(tracks.centroids) - origins[i]
                present[i, :count] = torch.tensor(tracks.is_present)
                is_agent[i, :count] = torch.tensor(tracks.is_agent)
                speeds[i, :count] = torch.tensor(tracks.speeds)
        return cls(
            corners=corners,
            centroids=centroids,
            is_agent=is_agent,
            speeds=speeds,
            windows=_windows(corners, present),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounters:
    """N times that a box of the ego meets the box of a track, or may: in no particular order."""

    motion: Motion
    tracks: TrackTable
    row: Tensor
    """[N] 0..F-1."""

    step: Tensor
    """[N] of the ego."""

    ahead: Tensor
    """[N] how many steps later the track is looked at, one of ``LOOK_AHEAD_STEPS``."""

    agent: Tensor
    """[N] the track's index in its scene."""

    @classmethod
    def find(cls, motion: Motion, tracks: TrackTable, look_ahead_until: int) -> Encounters:
        """All that may be, by bounding boxes; looking ahead only at steps before ``look_ahead_until``."""
        row, block, agent = _close_blocks(motion, tracks)
        pair, offset, ahead = _close_steps(motion, tracks, row, block, agent, look_ahead_until)
        step = block[pair] * _BLOCK + offset
        return cls(motion=motion, tracks=tracks, row=row[pair], step=step, ahead=ahead, agent=agent[pair])

    def where(self, mask: Tensor) -> Encounters:
        """Those of ``mask`` [N]."""
        kept = mask.nonzero()[:, 0]
        return Encounters(
            motion=self.motion,
            tracks=self.tracks,
            row=self.row[kept],
            step=self.step[kept],
            ahead=self.ahead[kept],
            agent=self.agent[kept],
        )

    def first_of_each_track(self) -> Encounters:
        """The earliest real meeting of each row and track: the one that decides, for then the track is ignored or at fault.

        The earliest that may be usually is. Only where it is not, the later ones are tested.
        """
        first = self._earliest()
        met = first.where(first.is_meeting())
        is_settled = torch.zeros(self._groups, dtype=torch.bool, device=self.row.device)
        is_settled[met._group] = True
        rest = self.where(~is_settled[self._group])
        rest = rest.where(rest.is_meeting())._earliest()
        return Encounters(
            motion=self.motion,
            tracks=self.tracks,
            row=torch.cat([met.row, rest.row]),
            step=torch.cat([met.step, rest.step]),
            ahead=torch.cat([met.ahead, rest.ahead]),
            agent=torch.cat([met.agent, rest.agent]),
        )

    def is_meeting(self) -> Tensor:
        """[N] whether the boxes really touch."""
        shift = self.speed * (self.ahead * INTERVAL_S)
        half_length, half_width = self.motion.half_length, self.motion.half_width
        return touches_box(self.seen_box(), (shift - half_length, -half_width), (shift + half_length, half_width))

    def _earliest(self) -> Encounters:
        order = self.step * (LOOK_AHEAD_STEPS[-1] + 1) + self.ahead
        return self.where(first_of_group(self._group, order, self._groups))

    @property
    def _group(self) -> Tensor:
        return self.row * self.tracks.speeds.shape[1] + self.agent

    @property
    def _groups(self) -> int:
        return len(self.motion.scenes) * self.tracks.speeds.shape[1]

    def worst(self, value: Tensor) -> Verdict:
        """[F] the smallest ``value`` [N] of each row, with the first step and track that had it; one for rows without any."""
        rows, most = len(self.motion.scenes), self.tracks.speeds.shape[1]
        lowest = torch.ones(rows, dtype=torch.float64, device=value.device).scatter_reduce(0, self.row, value, "amin")
        decisive = (value == lowest[self.row]).nonzero()[:, 0]
        key = torch.zeros(rows, dtype=torch.int64, device=value.device)
        row = self.row[decisive]
        key = key.scatter_reduce(0, row, self.step[decisive] * most + self.agent[decisive], "amin", include_self=False)
        return Verdict.of(lowest, step=key // max(most, 1), agent=key % max(most, 1))

    @property
    def scene(self) -> Tensor:
        return self.motion.scenes[self.row]

    @property
    def speed(self) -> Tensor:
        """[N] of the ego, m/s."""
        return self.motion.speed[self.row, self.step]

    @property
    def is_agent(self) -> Tensor:
        """[N] whether the track is a road user."""
        return self.tracks.is_agent[self.scene, self.agent]

    @property
    def track_speed(self) -> Tensor:
        """[N] m/s."""
        return self.tracks.speeds[self.scene, self.agent]

    def seen_box(self) -> Tensor:
        """[N, 4, 2] the corners of the track from the ego."""
        corners = self.tracks.corners[self.scene, self.agent, self.step + self.ahead]
        return self.motion.seen(corners, self.row, self.step)

    def bearing(self, *, corrected: bool) -> Tensor:
        """[N] radians between the ego's heading and the way from its rear axle to the track's centroid.

        NaN where rounding lifts the cosine above one, as in the devkit; ``corrected`` clamps it.
        """
        centroid = self.tracks.centroids[self.scene, self.agent, self.step + self.ahead]
        x, y = (centroid - self.motion.rear_axle[self.row, self.step]).unbind(-1)
        norm = (x * x + y * y).sqrt()
        cosine, sine = self.motion.direction[self.row, self.step].unbind(-1)
        dot = cosine * (x / norm) + sine * (y / norm)
        return (dot.clamp(-1.0, 1.0) if corrected else dot).acos()


def _windows(corners: Tensor, present: Tensor) -> Tensor:
    """Bounds by block of ego steps."""
    low = torch.where(present[..., None], corners.amin(-2), torch.inf)
    high = torch.where(present[..., None], corners.amax(-2), -torch.inf)
    scenes, most, steps = present.shape
    padding = _BLOCK * (_BLOCKS - 1) + _WINDOW - steps
    low = torch.cat([low, low.new_full((scenes, most, max(padding, 0), 2), torch.inf)], dim=2)
    high = torch.cat([high, high.new_full((scenes, most, max(padding, 0), 2), -torch.inf)], dim=2)
    return torch.cat([low, high], dim=-1).unfold(2, _WINDOW, _BLOCK)[:, :, :_BLOCKS].contiguous()


def _close_blocks(motion: Motion, tracks: TrackTable) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, blocks of steps and tracks whose bounding boxes meet."""
    scenes = len(tracks.speeds)
    low, high = _bounds(motion)
    sweep = motion.direction * (motion.speed * (LOOK_AHEAD_STEPS[-1] * INTERVAL_S))[..., None]
    low = _blocks(low + sweep.clamp(max=0)).amin(2).unflatten(0, (scenes, -1))[:, :, :, None]
    high = _blocks(high + sweep.clamp(min=0)).amax(2).unflatten(0, (scenes, -1))[:, :, :, None]
    track_low = tracks.windows[..., :2, :].amin(-1).transpose(1, 2)[:, None]
    track_high = tracks.windows[..., 2:, :].amax(-1).transpose(1, 2)[:, None]
    meets = (low[..., 0] <= track_high[..., 0]) & (high[..., 0] >= track_low[..., 0])
    meets &= (low[..., 1] <= track_high[..., 1]) & (high[..., 1] >= track_low[..., 1])
    scene, row, block, agent = meets.nonzero(as_tuple=True)
    return scene * meets.shape[1] + row, block, agent


def _close_steps(
    motion: Motion, tracks: TrackTable, row: Tensor, block: Tensor, agent: Tensor, look_ahead_until: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Of these, the steps whose bounding boxes meet: index of the triple, step in the block, steps ahead."""
    low, high = _bounds(motion)
    pace = motion.direction * (motion.speed * INTERVAL_S)[..., None]
    mine = row * _BLOCKS + block
    low, high, pace = (_blocks(part).flatten(0, 1)[mine] for part in (low, high, pace))
    window = tracks.windows[motion.scenes[row], agent, block]
    step = block[:, None] * _BLOCK + torch.arange(_BLOCK, device=row.device)
    meets = []
    for ahead in LOOK_AHEAD_STEPS:
        shift = pace * ahead
        part = window[:, :, ahead : ahead + _BLOCK]
        inside = (low[..., 0] + shift[..., 0] <= part[:, 2]) & (high[..., 0] + shift[..., 0] >= part[:, 0])
        inside &= (low[..., 1] + shift[..., 1] <= part[:, 3]) & (high[..., 1] + shift[..., 1] >= part[:, 1])
        meets.append(inside & (step < (look_ahead_until if ahead else NUM_STEPS)))
    pair, offset, which = torch.stack(meets, dim=2).nonzero(as_tuple=True)
    return pair, offset, torch.tensor(LOOK_AHEAD_STEPS, device=row.device)[which]


def _bounds(motion: Motion) -> tuple[Tensor, Tensor]:
    """[F, T, 2] twice: the bounding box of the body."""
    along, across = motion.direction.abs(), motion.direction.abs().flip(-1)
    extent = along * motion.half_length + across * motion.half_width + _SLACK_M
    return motion.centre - extent, motion.centre + extent


def _blocks(values: Tensor) -> Tensor:
    """[F, B, steps, 2] of [F, T, 2]; the last step fills the last block."""
    missing = _BLOCKS * _BLOCK - values.shape[1]
    filled = torch.cat([values, values[:, -1:].expand(-1, missing, -1)], dim=1)
    return filled.unflatten(1, (_BLOCKS, _BLOCK))
