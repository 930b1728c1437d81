"""Where along a line the point nearest to another point is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.scoring.overlap.points import distance_to_segments


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
        segments = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True, padding_value=torch.inf)
        padded = torch.nn.utils.rnn.pad_sequence(lengths, batch_first=True)
        return cls(segments=segments, lengths=padded, begins=padded.cumsum(1) - padded)

    def project(self, points: Tensor) -> Tensor:
        """[S, N] arc length of the nearest point of each scene's line to ``points`` [S, N, 2]; the first one on ties."""
        distance, share = distance_to_segments(points[:, :, None], self.segments[:, None])
        nearest = distance.argmin(dim=2)
        return self.begins.gather(1, nearest) + share.gather(2, nearest[..., None])[..., 0] * self.lengths.gather(1, nearest)
