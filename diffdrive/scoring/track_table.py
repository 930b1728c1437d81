"""The tracks of many scenes in tensors, with the bounds that make most of them quick to rule out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.scoring.rules import NUM_STEPS
from diffdrive.scoring.scoring_scene import Tracks

LOOK_AHEAD_STEPS = (0, 3, 6, 9)
"""The ego now against a track now, and driven straight on for 0.3, 0.6 and 0.9 s against the track then. Evenly spaced."""

BLOCK = 6
"""Steps of the ego that are ruled out together."""

BLOCKS = math.ceil(NUM_STEPS / BLOCK)

_WINDOW = BLOCK + LOOK_AHEAD_STEPS[-1]


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

    places: Tensor
    """[S * A * BLOCKS, 2 * W] x and y of the box's centre at the W steps that a block of ego steps looks at; infinitely far
    if absent."""

    diagonals: Tensor
    """[S * A * BLOCKS, 4 * W] likewise two half diagonals of the box, in single precision."""

    block_bounds: Tensor
    """[4, S, BLOCKS, A] low x, low y, high x, high y over each of these windows."""

    @classmethod
    def of(cls, scenes: Sequence[Tracks], origins: Tensor) -> TrackTable:
        """From the tracks of each scene."""
        most, steps = max(len(tracks) for tracks in scenes), max(tracks.corners.shape[1] for tracks in scenes)
        shape = (len(scenes), most, steps)
        corners = torch.zeros(*shape, 4, 2, dtype=torch.float64)
        centroids = torch.zeros(*shape, 2, dtype=torch.float64)
        present = torch.zeros(shape, dtype=torch.bool)
        is_agent = torch.zeros(shape[:2], dtype=torch.bool)
        speeds = torch.zeros(shape[:2], dtype=torch.float64)
        for i, tracks in enumerate(scenes):
            count, known = tracks.is_present.shape
            corners[i, :count, :known] = torch.tensor(tracks.corners) - origins[i]
            centroids[i, :count, :known] = torch.tensor(tracks.centroids) - origins[i]
            present[i, :count, :known] = torch.tensor(tracks.is_present)
            is_agent[i, :count] = torch.tensor(tracks.is_agent)
            speeds[i, :count] = torch.tensor(tracks.speeds)
        return cls(
            corners=corners,
            centroids=centroids,
            is_agent=is_agent,
            speeds=speeds,
            places=_places(corners, present),
            diagonals=_diagonals(corners),
            block_bounds=_block_bounds(corners, present),
        )

    @property
    def most(self) -> int:
        """A."""
        return self.speeds.shape[1]

    def corners_at(self, track: Tensor, step: Tensor) -> Tensor:
        """[N, 4, 2] for pairs of a track (scene * A + index) and a step."""
        return self.corners.flatten(0, 2).index_select(0, track * self.corners.shape[2] + step)

    def centroids_at(self, track: Tensor, step: Tensor) -> Tensor:
        """[N, 2], as ``corners_at``."""
        return self.centroids.flatten(0, 2).index_select(0, track * self.corners.shape[2] + step)


def _places(corners: Tensor, present: Tensor) -> Tensor:
    centre = (corners[..., 0, :] + corners[..., 2, :]) / 2
    return _rows_of_windows(_by_block(torch.where(present[..., None], centre, torch.inf), torch.inf))


def _diagonals(corners: Tensor) -> Tensor:
    first, second, third, fourth = corners.unbind(-2)
    return _rows_of_windows(_by_block(torch.cat([first - third, second - fourth], dim=-1) / 2, 0.0)).float()


def _rows_of_windows(values: Tensor) -> Tensor:
    """[S * A * BLOCKS, C * W] of [C, S, A, BLOCKS, W]: what one look needs lies together."""
    return values.flatten(1, 3).transpose(0, 1).flatten(1).contiguous()


def _block_bounds(corners: Tensor, present: Tensor) -> Tensor:
    low = _by_block(torch.where(present[..., None], corners.amin(-2), torch.inf), torch.inf).amin(-1)
    high = _by_block(torch.where(present[..., None], corners.amax(-2), -torch.inf), -torch.inf).amax(-1)
    return torch.cat([low, high]).transpose(2, 3).contiguous()


def _by_block(values: Tensor, nothing: float) -> Tensor:
    """[C, S, A, BLOCKS, W] of [S, A, O, C]; ``nothing`` after the last step."""
    missing = max(BLOCK * (BLOCKS - 1) + _WINDOW - values.shape[2], 0)
    filled = torch.nn.functional.pad(values.movedim(-1, 0), (0, missing), value=nothing)
    return filled.unfold(3, _WINDOW, BLOCK)[:, :, :, :BLOCKS].contiguous()
