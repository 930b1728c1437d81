"""What is known about the decisive meetings of the ego with other road users: the rules of collision need no more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.scoring.areas import Areas
from diffdrive.scoring.encounters import Encounters
from diffdrive.scoring.motion import HALF_LENGTH, HALF_WIDTH, Motion
from diffdrive.scoring.overlap.boxes import touches_box
from diffdrive.scoring.scores import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings:
    """N meetings: the first of each row and track."""

    encounters: Encounters
    ego: Motion
    """[N]."""

    is_agent: Tensor
    """[N] whether the track can move by its kind."""

    track_speed: Tensor
    """[N] m/s."""

    bearing: Tensor
    """[N] radians between the ego's heading and the way from its rear axle to the track's centroid."""

    is_off_lane: Tensor
    """[N] whether the ego is in several lanes, or with a corner in no drivable area."""

    @classmethod
    def of(cls, encounters: Encounters, areas: Areas, *, corrected: bool) -> Meetings:
        """Look everything up. A bearing is NaN where rounding lifts the cosine above one, as in the devkit; ``corrected``
        clamps it."""
        tracks, track = encounters.tracks, encounters.track
        ego = encounters.motion.at(encounters.row, encounters.step)
        centroid = tracks.centroids_at(track, encounters.step + encounters.ahead)
        return cls(
            encounters=encounters,
            ego=ego,
            is_agent=tracks.is_agent.flatten().index_select(0, track),
            track_speed=tracks.speeds.flatten().index_select(0, track),
            bearing=_bearing(ego, centroid, corrected=corrected),
            is_off_lane=areas.is_nondrivable[encounters.row, encounters.step] | areas.is_in_multiple_lanes(ego),
        )

    def where(self, mask: Tensor) -> Meetings:
        """Those of ``mask`` [N]."""
        kept = mask.nonzero()[:, 0]
        return Meetings(
            encounters=self.encounters.take(kept),
            ego=self.ego.take(kept),
            is_agent=self.is_agent.index_select(0, kept),
            track_speed=self.track_speed.index_select(0, kept),
            bearing=self.bearing.index_select(0, kept),
            is_off_lane=self.is_off_lane.index_select(0, kept),
        )

    def meets_front(self) -> Tensor:
        """[N] whether the front edge of the ego touches the track now."""
        corners = self.encounters.tracks.corners_at(self.encounters.track, self.encounters.step)
        return touches_box(*self.ego.seen(corners), (HALF_LENGTH, -HALF_WIDTH), (HALF_LENGTH, HALF_WIDTH))

    def worst(self, value: Tensor) -> Verdict:
        """[F] the smallest ``value`` [N] of each row, with the first step and track that had it; one for rows without any."""
        found, rows, most = self.encounters, len(self.encounters.motion.scenes), max(self.encounters.tracks.most, 1)
        lowest = torch.ones(rows, dtype=torch.float64, device=value.device).scatter_reduce(0, found.row, value, "amin")
        decisive = found.where(value == lowest.index_select(0, found.row))
        key = torch.zeros(rows, dtype=torch.int64, device=value.device)
        key = key.scatter_reduce(0, decisive.row, decisive.step * most + decisive.agent, "amin", include_self=False)
        return Verdict.of(lowest, step=key // most, agent=key % most)


def _bearing(ego: Motion, points: Tensor, *, corrected: bool) -> Tensor:
    x, y = (points - ego.rear_axle).unbind(-1)
    norm = (x * x + y * y).sqrt()
    cosine, sine = ego.direction.unbind(-1)
    # Divided before multiplied, as the devkit does: which bearings are no numbers depends on it.
    dot = cosine * (x / norm) + sine * (y / norm)
    return (dot.clamp(-1.0, 1.0) if corrected else dot).acos()
