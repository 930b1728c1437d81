"""What is drawn on top of a scene: plain values, so that any planner's result can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.scene import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOverlay:
    """Trajectories in the ego frame of the scene they are drawn on. M modes, T poses."""

    chosen: Trajectory | None = None
    proposals: np.ndarray | None = None
    """[M, T, 3] every mode's poses, or None. No rows mean None."""

    scores: np.ndarray | None = None
    """[M] the higher, the better; any scale. Shades the proposals."""

    human: Trajectory | None = None
    """What was driven, by a person or by the simulated driver of an embedded world's log."""

    baselines: Mapping[str, Trajectory] = field(default_factory=dict)
    """Name in the legend -> trajectory."""

    def __post_init__(self) -> None:
        if self.proposals is not None and len(self.proposals) == 0:
            # A fallback plan has no proposals to show: nothing is not an error.
            object.__setattr__(self, "proposals", None)
            object.__setattr__(self, "scores", None)
        axes = Axes("PlanOverlay")
        if self.scores is not None and self.proposals is None:
            raise InputError("PlanOverlay.scores shade the proposals, but there are none. Give both, or neither.")
        for name, contract in (("proposals", "M T 3"), ("scores", "M")):
            if getattr(self, name) is not None:
                array = frozen_array(getattr(self, name), np.float64)
                axes.check(name, array, contract, finite=True)
                object.__setattr__(self, name, array)
        object.__setattr__(self, "baselines", dict(self.baselines))

    @property
    def shades(self) -> np.ndarray:
        """[M] scores scaled to 0..1 over the modes; 0.5 everywhere when they do not differ or are not given."""
        if self.proposals is None:
            return np.zeros(0)
        if self.scores is None or np.ptp(self.scores) < 1e-12:
            return np.full(len(self.proposals), 0.5)
        return (self.scores - self.scores.min()) / np.ptp(self.scores)

    @property
    def painting_order(self) -> np.ndarray:
        """[M] indices of the proposals, worst first, so that the best lies on top."""
        return np.argsort(self.shades, kind="stable")

    def trajectories(self) -> Iterator[tuple[str, Trajectory]]:
        """Every single trajectory with its name, the proposals excepted."""
        if self.human is not None:
            yield "driven", self.human
        yield from self.baselines.items()
        if self.chosen is not None:
            yield "chosen", self.chosen


# Half of what a car turns in half a second stays below ten degrees. A heading more than 20 degrees off the chord belongs to a
# car that slides or stands, or to a network that errs: do not swing out along it.
_ALIGNED = np.cos(np.deg2rad(20.0))


def path_from_ego(poses: np.ndarray) -> np.ndarray:
    """[T + 1, 3] the poses [T, 3] preceded by where the rear axle is now."""
    return np.concatenate([np.zeros((1, 3)), np.asarray(poses, dtype=np.float64)])


def smooth_path(poses: np.ndarray, steps_per_pose: int = 10) -> np.ndarray:
    """[T * steps + 1, 3] the path from the origin through poses [T, 3], as cubic Hermite pieces along the headings.

    Straight chords between poses half a second apart would show corners that no planner asked for. Each piece leaves and
    arrives along the poses' headings; where they do not fit the motion the piece is a straight line.
    """
    path = path_from_ego(poses)
    start, end = path[:-1], path[1:]
    reach = np.hypot(*(end - start)[:, :2].T)[:, None]
    leave = np.stack([np.cos(start[:, 2]), np.sin(start[:, 2])], axis=1)
    arrive = np.stack([np.cos(end[:, 2]), np.sin(end[:, 2])], axis=1)
    chord = (end - start)[:, :2]
    aligned = (np.minimum(np.sum(leave * chord, 1), np.sum(arrive * chord, 1)) > _ALIGNED * reach[:, 0])[:, None]
    leave, arrive = np.where(aligned, leave * reach, chord), np.where(aligned, arrive * reach, chord)
    share = (np.arange(steps_per_pose) / steps_per_pose)[None, :, None]
    square, cube = share**2, share**3
    points = (
        (2 * cube - 3 * square + 1) * start[:, None, :2]
        + (cube - 2 * square + share) * leave[:, None]
        + (3 * square - 2 * cube) * end[:, None, :2]
        + (cube - square) * arrive[:, None]
    ).reshape(-1, 2)
    points = np.concatenate([points, path[-1:, :2]])
    turn = np.unwrap(path[:, 2])
    headings = np.interp(np.linspace(0, len(path) - 1, len(points)), np.arange(len(path)), turn)
    return np.concatenate([points, headings[:, None]], axis=1)
