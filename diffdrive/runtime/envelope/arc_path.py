"""A path through poses, every piece an arc of a circle: what a vehicle with a still steering wheel drives between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.geometry import wrap_angle


@dataclass(frozen=True, slots=True)
class ArcPath:
    """A path through ``poses`` [K, 3] (x, y in metres, heading in radians), K >= 2, driven forwards; pieces may have no length.

    It goes on beyond its end as its last piece that has a length, or straight where none has.
    """

    poses: np.ndarray
    ways: np.ndarray = field(init=False)
    """[K] metres driven up to each pose, the first 0."""

    _lengths: np.ndarray = field(init=False)
    _turns: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        poses = frozen_array(np.array(self.poses, dtype=np.float64), np.float64)
        Axes("ArcPath").check("poses", poses, "K 3", finite=True)
        if len(poses) < 2:
            raise InputError(f"ArcPath needs two poses or more, got {len(poses)}.")
        lengths, turns, _ = arcs_between(poses)
        lengths = np.maximum(lengths, 0.0)
        object.__setattr__(self, "poses", poses)
        object.__setattr__(self, "ways", frozen_array(np.concatenate([[0.0], np.cumsum(lengths)]), np.float64))
        object.__setattr__(self, "_lengths", frozen_array(lengths, np.float64))
        object.__setattr__(self, "_turns", frozen_array(turns, np.float64))

    @property
    def length(self) -> float:
        """Metres."""
        return float(self.ways[-1])

    def at(self, way: np.ndarray | float) -> np.ndarray:
        """Poses [..., 3] after ``way`` [...] metres; negative ones count as 0."""
        way = np.maximum(np.asarray(way, dtype=np.float64), 0.0)
        piece = np.searchsorted(self.ways, way, side="right") - 1
        solid = np.flatnonzero(self._lengths > 1e-9)
        last = int(solid[-1]) if len(solid) else 0
        piece = np.minimum(piece, last)
        driven = way - self.ways[piece]
        length = self._lengths[piece]
        turn = np.where(length > 1e-9, self._turns[piece] * driven / np.maximum(length, 1e-9), 0.0)
        start = self.poses[piece]
        x, y = arc_step(driven, turn, start[..., 2])
        return np.stack([start[..., 0] + x, start[..., 1] + y, wrap_angle(start[..., 2] + turn)], axis=-1)


def arc_step(
    way: np.ndarray | float, turn: np.ndarray | float, heading: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """x and y (metres) gained on an arc of ``way`` metres that turns by ``turn`` from ``heading`` (radians). Any shape."""
    chord, direction = way * np.sinc(np.asarray(turn) / (2 * np.pi)), heading + np.asarray(turn) / 2
    return chord * np.cos(direction), chord * np.sin(direction)


def arcs_between(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lengths (metres, negative backwards), turns (radians) and slips (metres) [..., K - 1] between poses [..., K, 3].

    An arc follows its chord's share along the mean heading; the slip is the chord's share across it, which rolling wheels
    do not drive.
    """
    steps, turns = np.diff(poses[..., :2], axis=-2), wrap_angle(np.diff(poses[..., 2], axis=-1))
    middles = poses[..., :-1, 2] + turns / 2
    along = steps[..., 0] * np.cos(middles) + steps[..., 1] * np.sin(middles)
    across = steps[..., 1] * np.cos(middles) - steps[..., 0] * np.sin(middles)
    # A chord is shorter than its arc by sin(x) / x with x half the turn.
    return along / np.sinc(turns / (2 * np.pi)), turns, across
