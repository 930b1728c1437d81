"""Where along a line the point nearest to another point is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_TINY = 1e-300
"""A piece without length is a point."""

_FAR_M = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """One line in each of S scenes, padded to the K pieces of the longest."""

    segments: Tensor
    """[S, K, 4] from x, y to x, y; a padded piece is far away from everything."""

    lengths: Tensor
    """[S, K] metres; zero where padded."""

    begins: Tensor
    """[S, K] arc length at the beginning of each piece."""

    @classmethod
    def of(cls, lines: list[Tensor]) -> Lines:
        """From lines [points, 2]."""
        pieces = [torch.cat([line[:-1], line[1:]], dim=1) for line in lines]
        lengths = [torch.hypot(piece[:, 2] - piece[:, 0], piece[:, 3] - piece[:, 1]) for piece in pieces]
        segments = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True, padding_value=_FAR_M)
        padded = torch.nn.utils.rnn.pad_sequence(lengths, batch_first=True)
        return cls(segments=segments, lengths=padded, begins=padded.cumsum(1) - padded)

    def project(self, points: Tensor) -> Tensor:
        """[S, N] arc length of the nearest point of each scene's line to ``points`` [S, N, 2]; the first one on ties."""
        ax, ay, bx, by = self.segments[:, None].unbind(-1)
        px, py = points[..., None].unbind(2)
        way_x, way_y, step_x, step_y = px - ax, py - ay, bx - ax, by - ay
        squared = step_x * step_x + step_y * step_y
        share = (way_x * step_x).addcmul_(way_y, step_y).div_(squared.clamp(min=_TINY)).clamp_(0.0, 1.0)
        away_x, away_y = way_x.addcmul_(share, step_x, value=-1), way_y.addcmul_(share, step_y, value=-1)
        nearest = (away_x.square_() + away_y.square_()).argmin(dim=2)
        share = share.gather(2, nearest[..., None])[..., 0]
        return self.begins.gather(1, nearest) + share * self.lengths.gather(1, nearest)
