"""Planners and sources that go wrong in ways of their own. Here, at the top of a module, so that other processes find them."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.assets import LOGS
from diffdrive.baselines import ConstantVelocity, Human
from diffdrive.evaluation.scoring import Entrant, SceneScore, ScoringJob
from diffdrive.evaluation.scoring.columns import to_columns
from diffdrive.evaluation.scoring.pdm_closed import PdmClosed
from diffdrive.scene import Modality, Observation, Scene, Trajectory, VectorMap
from diffdrive.world.source import WorldSource

LOG_NAMES = ("town9000-log00", "town9001-log02")


@cache
def town() -> WorldSource:
    """Two shipped logs of the embedded world."""
    return WorldSource(LOGS, logs=LOG_NAMES, future_s=5.0)


@dataclass(frozen=True)
class BrokenSource:
    """``source`` with one scene that cannot be read and one that has no map."""

    source: WorldSource
    unreadable: str = ""
    without_map: str = ""

    name = "broken"
    modalities = frozenset(Modality)

    @property
    def tokens(self) -> Sequence[str]:
        return self.source.tokens

    def info(self, token: str) -> Any:
        return self.source.info(token)

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        if token == self.unreadable:
            raise OSError("the disk is gone")
        scene = self.source.load(token, sensors=sensors)
        return replace(scene, vector_map=VectorMap()) if token == self.without_map else scene


class Refuses:
    """Cannot plan to the left of nothing: raises when it is fast."""

    def __init__(self, above_mps: float = 0.0) -> None:
        self.above_mps = above_mps

    def plan(self, observation: Observation) -> Trajectory:
        if observation.ego.speed > self.above_mps:
            raise ValueError("too fast for me")
        return ConstantVelocity().plan(observation)


class Short:
    """Plans two seconds, which no score accepts."""

    def plan(self, observation: Observation) -> Trajectory:
        return Trajectory(ConstantVelocity().plan(observation).poses[:4])


class Fine:
    """Plans every 0.1 s."""

    def plan(self, observation: Observation) -> Trajectory:
        poses = np.zeros((40, 3))
        poses[:, 0] = 0.1 * observation.ego.speed * np.arange(1, 41)
        return Trajectory(poses, 0.1)


class DiesOnce:
    """Kills the process it runs in, the first time."""

    def __init__(self, marker: Path, times: int = 1) -> None:
        self.marker, self.times = marker, times

    def plan(self, observation: Observation) -> Trajectory:
        deaths = len(list(self.marker.glob("*")))
        if deaths < self.times:
            (self.marker / str(deaths)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return ConstantVelocity().plan(observation)


SIMPLE = (
    Entrant(name="human", make=Human),
    Entrant(name="constant_velocity", make=ConstantVelocity),
    Entrant(name="pdm_closed", make=PdmClosed),
)


def job(prepared: Path, *, num_scenes: int = 4, **changes: Any) -> ScoringJob:
    """The first scenes of both logs, half of each."""
    source = changes.pop("source", town())
    each = num_scenes // 2
    tokens = tuple(token for name in LOG_NAMES for token in _of_log(source, name)[:each])
    values = {"source": source, "entrants": SIMPLE, "tokens": tokens, "prepared": prepared, "chunk_size": 2}
    return ScoringJob(**(values | changes))


def _of_log(source: Any, name: str) -> list[str]:
    return [token for token in source.tokens if source.info(token).log_name == name]


def content(rows: Sequence[SceneScore]) -> dict[str, list[Any]]:
    """The rows in a form in which equal means equal to the last bit, NaN included."""
    return to_columns(rows)
