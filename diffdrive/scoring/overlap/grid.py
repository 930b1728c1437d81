"""The grids of many scenes as tensors, and the looking up of points in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffdrive.scoring.overlap.cells import Cells
from diffdrive.scoring.overlap.ragged import ragged


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """``Cells`` of S scenes, end to end. Slots, entries, owners and pieces count through all scenes."""

    origins: Tensor
    """[S, 2]."""

    sizes: Tensor
    """[S]."""

    shapes: Tensor
    """[S, 2]."""

    bases: Tensor
    """[S] where each scene's cells begin in ``slots``."""

    slots: Tensor
    """[cells of all scenes] number of a cell among the L that have entries; L for all others."""

    centres: Tensor
    """[2, L + 1] x and y of the cells that have entries."""

    entry_offsets: Tensor
    """[L + 2]; slot L has no entries."""

    owners: Tensor
    """[E] index of the shape."""

    is_inside: Tensor
    """[E]."""

    is_whole: Tensor
    """[E] whether the shape covers the whole cell."""

    piece_offsets: Tensor
    """[E + 1]."""

    segments: Tensor
    """[4, Q] from x, y to x, y: the pieces of every entry, one entry after another."""

    is_centre_left: Tensor
    """[Q] whether the cell's centre is to the left of the piece."""

    @classmethod
    def of(cls, scenes: Sequence[Cells]) -> Grid:
        """From one grid a scene. The shapes of a scene come after those of the scenes before."""
        used = _begins([len(cells.entry_offsets) - 1 for cells in scenes])
        entries = _begins([len(cells.owners) for cells in scenes])
        pieces = _begins([len(cells.pieces) for cells in scenes])
        shapes = _begins([cells.num_shapes for cells in scenes])
        slots = [np.where(cells.slots < 0, used[-1], cells.slots + used[i]) for i, cells in enumerate(scenes)]
        return cls(
            origins=torch.from_numpy(np.array([cells.origin for cells in scenes])),
            sizes=torch.tensor([cells.size for cells in scenes], dtype=torch.float64),
            shapes=torch.tensor([cells.shape for cells in scenes]),
            bases=torch.from_numpy(_begins([len(cells.slots) for cells in scenes])[:-1]),
            slots=torch.from_numpy(np.concatenate(slots)),
            centres=_joined([cells.centres for cells in scenes], np.zeros((1, 2))).T.contiguous(),
            entry_offsets=_joined([c.entry_offsets[:-1] + entries[i] for i, c in enumerate(scenes)], entries[[-1, -1]]),
            owners=_joined([cells.owners + shapes[i] for i, cells in enumerate(scenes)]),
            is_inside=_joined([cells.is_inside for cells in scenes]),
            is_whole=_joined([cells.is_inside & (np.diff(cells.piece_offsets) == 0) for cells in scenes]),
            piece_offsets=_joined([c.piece_offsets[:-1] + pieces[i] for i, c in enumerate(scenes)], pieces[[-1]]),
            segments=_joined([cells.segments[cells.pieces] for cells in scenes]).T.contiguous(),
            is_centre_left=_joined([cells.is_centre_left for cells in scenes]),
        )

    def locate(self, x: Tensor, y: Tensor, scenes: Tensor) -> Tensor:
        """[F * N] the slots of points ``x``, ``y`` [F, N] of the scenes ``scenes`` [F]. Outside of a grid lies a free cell."""
        column, row = self._place(x, 0, scenes), self._place(y, 1, scenes)
        cell = torch.addcmul(row, column, self.shapes[scenes, 1, None].int()).add_(self.bases[scenes, None].int())
        return self.slots.index_select(0, cell.flatten())

    def _place(self, values: Tensor, axis: int, scenes: Tensor) -> Tensor:
        """[F, N] which cell along one axis. In place and with small integers: most of the time here is memory's."""
        place = (values - self.origins[scenes, axis, None]).mul_((1.0 / self.sizes[scenes])[:, None]).clamp_(min=0.0)
        return torch.minimum(place, self.shapes[scenes, axis, None] - 1.0, out=place).to(torch.int32)

    def entries_at(self, slot: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs of a point and an entry of its cell."""
        return ragged(self.entry_offsets, slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Some shapes of a grid, for the question whether a point is in any of them."""

    is_covered: Tensor
    """[L + 1] cells that one shape covers as a whole."""

    has_entries: Tensor
    """[L + 1] cells in which it has to be found out."""

    entry_offsets: Tensor
    """[L + 2] into ``entries``; covered cells have none."""

    entries: Tensor
    """Indices of entries of the grid."""

    @classmethod
    def of(cls, grid: Grid, is_member: Tensor) -> Layer:
        """The layer of the shapes ``is_member`` [shapes]."""
        slots = len(grid.entry_offsets) - 1
        slot = torch.repeat_interleave(torch.arange(slots, device=is_member.device), grid.entry_offsets.diff())
        member = is_member[grid.owners]
        whole = member & grid.is_whole
        covered = torch.zeros(slots, dtype=torch.bool, device=is_member.device)
        covered[slot[whole]] = True
        entries = (member & ~covered[slot]).nonzero()[:, 0]
        counts = torch.bincount(slot[entries], minlength=slots)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(is_covered=covered, has_entries=counts > 0, entry_offsets=offsets, entries=entries)


def _begins(counts: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def _joined(parts: Sequence[np.ndarray], *last: np.ndarray) -> Tensor:
    return torch.from_numpy(np.concatenate([*parts, *last]))
