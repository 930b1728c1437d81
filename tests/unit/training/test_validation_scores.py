"""PDMS and pictures of validation plans: features of random scenes, scored on scenes of the embedded world."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from memory_source import MemorySource, make_scene
from tiny_planner import TINY_PLANNER

from diffdrive.contracts import InputError
from diffdrive.model import planner_config
from diffdrive.scene import Scene, SceneSource
from diffdrive.scoring import PDMS, prepare, score
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.config import BestBy, SourceConfig, TrainingConfig, ValidationConfig
from diffdrive.training.engine import pdms
from diffdrive.training.engine.validation_plans import Plans, spread_over
from diffdrive.training.fit import fit
from diffdrive.training.scene_sources import open_source


@functools.cache
def world() -> SceneSource:
    """The logs that ship with the package."""
    return open_source(SourceConfig(), future_s=pdms.FUTURE_S, map_radius_m=pdms.MAP_RADIUS_M)


class Renamed(MemorySource):
    """Random scenes under the tokens of real ones."""

    def __init__(self) -> None:
        super().__init__(12)
        self.tokens = tuple(world().tokens[:12])

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        return dataclasses.replace(make_scene(self.tokens.index(token)), token=token)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    source, planner = Renamed(), planner_config("nano", TINY_PLANNER)
    spec = CacheSpec(inputs=planner.inputs, targets=planner.targets, source="renamed", tokens=source.tokens)
    return open_or_build(tmp_path_factory.mktemp("renamed"), spec, lambda: source)


def with_scores(config: TrainingConfig, folder: Path, **options: Any) -> TrainingConfig:
    data = dataclasses.replace(config.data, cache=folder / "features")
    return dataclasses.replace(config, epochs=1, data=data, validation=ValidationConfig(**options))


def test_validation_scores_the_chosen_trajectories(
    tiny_config: TrainingConfig, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is made to choose what was driven in one scene and to stand still in the other."""
    rows = [row for row, place in enumerate(cache.locations) if place == "town-3"][:3:2]
    scenes = [world().load(cache.spec.tokens[row], sensors=False) for row in rows]
    driven = [scene.future.ego.thinned(8, 0.5).poses for scene in scenes if scene.future is not None]
    wanted = torch.tensor(np.stack([driven[0], np.zeros((8, 3))]), dtype=torch.float32)

    def planned(trainer: Any, module: Any, given: FeatureCache, asked: np.ndarray, *, batch_size: int) -> Plans:
        assert asked.tolist() == rows
        return Plans(torch.stack([wanted, wanted + 50.0], dim=1), torch.tensor([[1.0, 0.0]] * len(rows)))

    monkeypatch.setattr(pdms, "plans_for", planned)
    config = with_scores(tiny_config, tmp_path, pdms_scenes=2, monitor=BestBy.PDMS)
    result = fit(config, cache)
    assert result is not None
    expected = score([prepare(scene, "pdms") for scene in scenes], wanted[:, None].double(), interval_s=0.5)
    assert result.metrics["pdms"] == pytest.approx(float(expected.total.mean()), abs=1e-6)
    for name in PDMS.sub_scores:
        assert result.metrics[name] == pytest.approx(float(expected.verdicts[name].value.mean()), abs=1e-6)
    saved = torch.load(config.folder / "checkpoints" / "best.ckpt", weights_only=False)
    (best,) = [state["best_score"] for state in saved["callbacks"].values() if "best_score" in state]
    assert best == pytest.approx(result.metrics["pdms"])
    kept = list((tmp_path / "features" / "scoring").rglob("*.npz"))
    assert len(kept) == 2
    monkeypatch.setattr(pdms, "prepare", lambda *_: pytest.fail("a prepared scene was prepared again"))
    fit(dataclasses.replace(config, name="second"), cache)


def test_a_sheet_of_plans_after_every_validation(tiny_config: TrainingConfig, cache: FeatureCache, tmp_path: Path) -> None:
    fit(with_scores(tiny_config, tmp_path, plan_images=2), cache)
    (sheet,) = (tiny_config.folder / "plans").iterdir()
    assert sheet.name == "step-0000004.png"
    assert sheet.stat().st_size > 10_000


def test_scenes_that_the_source_lacks_are_named_before_training(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="pdms_scenes needs the scenes behind the features"):
        fit(with_scores(tiny_config, tmp_path, pdms_scenes=2), tiny_cache)


def test_scenes_are_spread_evenly() -> None:
    assert spread_over(np.arange(10), 3).tolist() == [0, 4, 9]
    assert spread_over(np.arange(2), 3).tolist() == [0, 1]
