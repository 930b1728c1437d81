"""What planners are measured on: the features of the test scenes, and the scenes prepared for scoring."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from diffdrive.assets import LOGS
from diffdrive.baselines import ConstantVelocity, Human
from diffdrive.benchmark.manifest import load_benchmark
from diffdrive.files import written_aside
from diffdrive.model import planner_config
from diffdrive.scene import Scene
from diffdrive.scoring.preparation import prepare
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.scoring.storage import load_scoring_scene, save_scoring_scene
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.config import SourceConfig, TrainingConfig
from diffdrive.training.scene_sources import open_source, source_identity
from diffdrive.world.source import WorldSource

METRIC = "pdms"
_SCORED_FUTURE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """The scenes of a split."""

    cache: FeatureCache
    scenes: tuple[ScoringScene, ...]
    """One for each row of the cache."""

    answers: dict[str, np.ndarray]
    """[N, T, 3] of what is there without a network, by name: constant_velocity, human."""


def test_set(config: TrainingConfig, source: SourceConfig, split: str, folder: Path, workers: int) -> TestSet:
    """The scenes of the benchmark's ``split``, from the logs of ``source``; features as ``config`` lays them out.

    Raises ``InputError`` for an unknown split and for logs that lack one of its scenes.
    """
    tokens = tuple(scene.token for scene in load_benchmark(split).scenes)
    return scene_set(config, source, tokens, folder, workers)


def scene_set(config: TrainingConfig, source: SourceConfig, tokens: tuple[str, ...], folder: Path, workers: int) -> TestSet:
    """As ``test_set``, with any scenes. ``folder`` keeps what was prepared of them: one for each choice of scenes."""
    planner = planner_config(config.preset, config.planner)
    spec = CacheSpec(
        inputs=planner.inputs, targets=planner.targets, source=source_identity(open_source(source), source), tokens=tokens
    )
    cache = open_or_build(config.data.cache, spec, partial(open_source, source), workers=workers)
    scenes, answers = prepared_scenes(source, tokens, folder)
    return TestSet(cache=cache, scenes=scenes, answers=answers)


def prepared_scenes(
    source: SourceConfig, tokens: tuple[str, ...], folder: Path
) -> tuple[tuple[ScoringScene, ...], dict[str, np.ndarray]]:
    """The scenes ready for scoring, in the order of ``tokens``, kept in ``folder``; and the answers that need no network."""
    kept = folder / "answers.npz"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # Judging looks a second past the four that are planned.
        world = WorldSource(source.root or LOGS, future_s=_SCORED_FUTURE_S, stride_s=source.stride_s)
        answers: dict[str, list[np.ndarray]] = {"constant_velocity": [], "human": []}
        for token in tokens:
            scene = world.load(token, sensors=False)
            save_scoring_scene(folder / f"{token}.npz", prepare(scene, METRIC))
            for name, poses in _answers(scene).items():
                answers[name].append(poses)
        with written_aside(kept) as aside, aside.open("wb") as file:
            np.savez(file, allow_pickle=False, **{name: np.stack(poses) for name, poses in answers.items()})
    scenes = tuple(load_scoring_scene(folder / f"{token}.npz") for token in tokens)
    with np.load(kept) as archive:
        return scenes, {name: archive[name] for name in archive.files}


def _answers(scene: Scene) -> dict[str, np.ndarray]:
    human = Human().plan_scene(scene).poses[:8]
    return {"constant_velocity": ConstantVelocity().plan(scene.observation).poses, "human": human}
