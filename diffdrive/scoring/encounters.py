"""Where the ego's box, or the box it would reach by driving straight on, meets another road user's.

Bounding boxes over a few steps leave few triples of a row, a block of steps and a track; bounds along the ego's own axes say at
which of these steps there may be a meeting; and the exact test is needed for the earliest of each row and track, mostly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffdrive.scoring.motion import HALF_LENGTH, HALF_WIDTH, Motion
from diffdrive.scoring.overlap.boxes import touches_box
from diffdrive.scoring.overlap.ragged import first_of_group
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS
from diffdrive.scoring.track_table import BLOCK, BLOCKS, LOOK_AHEAD_STEPS, TrackTable

_SLACK_M = 1e-3
_RELATIVE_SLACK_S = 1e-6
"""Metres, and metres for each m/s: more than single precision loses where boxes may meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounters:
    """N times that a box of the ego meets the box of a track, or may, in no particular order."""

    motion: Motion
    tracks: TrackTable
    rule: Tensor
    """[N] which of the rules asked."""

    row: Tensor
    """[N] 0..F-1."""

    step: Tensor
    """[N] of the ego."""

    ahead: Tensor
    """[N] how many steps later the track is looked at, one of ``LOOK_AHEAD_STEPS``."""

    agent: Tensor
    """[N] the track's index in its scene."""

    def take(self, index: Tensor) -> Encounters:
        """Those at ``index``."""
        return self._with([column.index_select(0, index) for column in self._columns])

    def where(self, mask: Tensor) -> Encounters:
        """Those of ``mask`` [N]."""
        return self.take(mask.nonzero()[:, 0])

    def joined(self, others: Encounters) -> Encounters:
        """These and ``others``."""
        return self._with([torch.cat(pair) for pair in zip(self._columns, others._columns, strict=True)])

    @property
    def _columns(self) -> tuple[Tensor, ...]:
        return self.rule, self.row, self.step, self.ahead, self.agent

    def _with(self, columns: list[Tensor]) -> Encounters:
        rule, row, step, ahead, agent = columns
        return replace(self, rule=rule, row=row, step=step, ahead=ahead, agent=agent)

    @property
    def track(self) -> Tensor:
        """[N] the track's index among those of all scenes."""
        return self.motion.scenes.index_select(0, self.row) * self.tracks.most + self.agent

    @property
    def group(self) -> Tensor:
        """[N] a number for each rule, row and track, below ``num_groups``."""
        return (self.rule * len(self.motion.scenes) + self.row) * self.tracks.most + self.agent

    @property
    def num_groups(self) -> int:
        """For two rules."""
        return 2 * len(self.motion.scenes) * self.tracks.most

    def earliest(self) -> Encounters:
        """The first of each group."""
        order = self.step * (LOOK_AHEAD_STEPS[-1] + 1) + self.ahead
        return self.take(first_of_group(self.group, order, self.num_groups))

    def real(self) -> Encounters:
        """Those where the boxes really touch."""
        ego = self.motion.at(self.row, self.step)
        x, y = ego.seen(self.tracks.corners_at(self.track, self.step + self.ahead))
        shift = ego.speed * (self.ahead * INTERVAL_S)
        return self.where(touches_box(x, y, (shift - HALF_LENGTH, -HALF_WIDTH), (shift + HALF_LENGTH, HALF_WIDTH)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """C triples of a row, a block of ego steps and a track, and when bounds meet."""

    motion: Motion
    tracks: TrackTable
    row: Tensor
    block: Tensor
    agent: Tensor
    """[C] each."""

    step: Tensor
    """[BLOCK, C] of the ego; beyond the last one in the last block."""

    speed: Tensor
    """[BLOCK, C] of the ego at that step, m/s."""

    may_meet: Tensor
    """[BLOCK, 4, C] by how far ahead."""

    @classmethod
    def find(cls, motion: Motion, tracks: TrackTable) -> Candidates:
        """All of them."""
        row, block, agent = _close_blocks(motion, tracks)
        mine = row * BLOCKS + block
        track = motion.scenes.index_select(0, row) * tracks.most + agent
        ego = torch.cat([motion.centre, motion.direction, motion.speed[..., None]], dim=-1).movedim(-1, 0)
        ego = _columns(_blocks(ego).movedim(0, 2).flatten(0, 1).flatten(1), mine, 5)
        step = block * BLOCK + torch.arange(BLOCK, device=row.device)[:, None]
        window = track * BLOCKS + block
        bounds_meet = _may_meet(ego, _columns(tracks.places, window, 2), _columns(tracks.diagonals, window, 4))
        may_meet = bounds_meet & (step < NUM_STEPS)[:, None]
        return cls(motion=motion, tracks=tracks, row=row, block=block, agent=agent, step=step, speed=ego[-1], may_meet=may_meet)

    def first_meetings(self, *asked: Tensor) -> Encounters:
        """The earliest real meeting of each row and track among those that a rule asks for: [BLOCK, 4, C] a rule, of two.

        It is the one that decides: from then on the track is ignored or the ego at fault. The earliest by bounds usually is the
        earliest. Only where it is not, the later ones are tested.
        """
        possible = torch.cat([self.may_meet & each for each in asked], dim=2).flatten(0, 1)
        some = possible.any(dim=0).nonzero()[:, 0]
        possible = possible.index_select(1, some)
        found = self._encounters(some, possible.to(torch.uint8).argmax(dim=0))
        met = found.earliest().real()
        is_settled = torch.zeros(met.num_groups, dtype=torch.bool, device=some.device)
        is_settled[met.group] = True
        rest = (~is_settled.index_select(0, found.group)).nonzero()[:, 0]
        moment, candidate = possible.index_select(1, rest).nonzero(as_tuple=True)
        later = self._encounters(some.index_select(0, rest.index_select(0, candidate)), moment)
        return met.joined(later.real().earliest())

    def _encounters(self, candidate: Tensor, moment: Tensor) -> Encounters:
        """At the places ``moment`` [N] in the flattened ``may_meet`` of the candidates [N], counted once a rule."""
        each = candidate % max(len(self.row), 1)
        ahead = torch.tensor(LOOK_AHEAD_STEPS, device=moment.device)
        return Encounters(
            motion=self.motion,
            tracks=self.tracks,
            rule=candidate // max(len(self.row), 1),
            row=self.row.index_select(0, each),
            step=self.block.index_select(0, each) * BLOCK + moment // len(LOOK_AHEAD_STEPS),
            ahead=ahead.index_select(0, moment % len(LOOK_AHEAD_STEPS)),
            agent=self.agent.index_select(0, each),
        )


def _close_blocks(motion: Motion, tracks: TrackTable) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, blocks of steps and tracks whose bounding boxes meet, the way ahead included."""
    scenes, direction = len(tracks.speeds), motion.direction
    extent = direction.abs() * HALF_LENGTH + direction.abs().flip(-1) * HALF_WIDTH + _SLACK_M
    sweep = direction * (motion.speed * (LOOK_AHEAD_STEPS[-1] * INTERVAL_S))[..., None]
    low = _blocks((motion.centre - extent + sweep.clamp(max=0.0)).movedim(-1, 0)).amin(-1)
    high = _blocks((motion.centre + extent + sweep.clamp(min=0.0)).movedim(-1, 0)).amax(-1)
    low, high = (part.unflatten(1, (scenes, -1))[..., None] for part in (low, high))
    meets = torch.ones(1, dtype=torch.bool, device=low.device)
    for axis in (0, 1):
        theirs = tracks.block_bounds[axis::2, :, None]
        meets = meets & (low[axis] <= theirs[1]) & (high[axis] >= theirs[0])
    scene, row, block, agent = meets.nonzero(as_tuple=True)
    return scene * meets.shape[1] + row, block, agent


def _may_meet(ego: Tensor, places: Tensor, diagonals: Tensor) -> Tensor:
    """[BLOCK, 4, C] whether the ego [5, BLOCK, C] meets the bounds of a track, on its own axes.

    ``places`` [2, W, C] and half ``diagonals`` [4, W, C] of the track in its window. Half the numbers' size is twice the speed:
    only the differences of positions need double precision.
    """
    pace = LOOK_AHEAD_STEPS[1]
    # [..., 4, BLOCK, C]: the window from each step ahead on.
    places, diagonals = (each.unfold(1, BLOCK, pace).movedim(-1, 2) for each in (places, diagonals))
    x, y = ego[:2]
    cosine, sine, speed = ego[2:].float()
    away_x, away_y = (places[0] - x).float(), (places[1] - y).float()
    one_x, one_y, other_x, other_y = diagonals
    # Errors of single precision grow with the distance travelled.
    slack = speed * _RELATIVE_SLACK_S + _SLACK_M
    seconds = torch.tensor(LOOK_AHEAD_STEPS, device=ego.device, dtype=speed.dtype)[:, None, None] * INTERVAL_S
    along = (away_x * cosine).addcmul_(away_y, sine).addcmul_(speed, seconds, value=-1).abs_()
    across = (away_y * cosine).addcmul_(away_x, sine, value=-1).abs_()
    length = torch.maximum((one_x * cosine).addcmul_(one_y, sine).abs_(), (other_x * cosine).addcmul_(other_y, sine).abs_())
    width = torch.maximum(
        (one_y * cosine).addcmul_(one_x, sine, value=-1).abs_(), (other_y * cosine).addcmul_(other_x, sine, value=-1).abs_()
    )
    meets = (along <= length.add_(slack + HALF_LENGTH)) & (across <= width.add_(slack + HALF_WIDTH))
    return meets.transpose(0, 1)


def _columns(rows: Tensor, index: Tensor, parts: int) -> Tensor:
    """[parts, K, N] of ``rows`` [..., parts * K] at ``index`` [N]: arithmetic then runs along all of them, not along a row."""
    return rows.index_select(0, index).T.contiguous().unflatten(0, (parts, -1))


def _blocks(values: Tensor) -> Tensor:
    """[..., BLOCKS, BLOCK] of [..., T]; the last step fills the last block."""
    missing = BLOCKS * BLOCK - values.shape[-1]
    filled = torch.cat([values, values[..., -1:].expand(*values.shape[:-1], missing)], dim=-1)
    return filled.unflatten(-1, (BLOCKS, BLOCK))
