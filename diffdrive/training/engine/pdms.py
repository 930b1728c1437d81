"""PDMS of the chosen trajectories on some validation scenes, after every validation.

A scene is prepared once (route, drivable area, traffic, PDM-Closed) and kept beside the feature caches for every later run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scene import SceneSource
from diffdrive.scoring import PDMS, PreparedScenes, SceneBatch, ScoringScene, prepare, score
from diffdrive.scoring.rules import INTERVAL_S, MAP_RADIUS_M
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import TrainingConfig
from diffdrive.training.engine.validation_plans import plans_for, rows_with_scenes, spread_over
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.scene_sources import open_source, source_identity

logger = logging.getLogger(__name__)

FUTURE_S = (PDMS.observation_steps - 1) * INTERVAL_S
_CHUNK = 64  # scenes that are judged together


class ValidationPdms(pl.Callback):
    """Logs ``val/pdms`` and its sub-scores. The scenes are shared out over the processes."""

    def __init__(self, config: TrainingConfig, cache: FeatureCache, validation_rows: np.ndarray) -> None:
        self.config, self.cache, self.validation_rows = config, cache, validation_rows
        self._rows = np.zeros(0, dtype=np.int64)
        self._batches: list[SceneBatch] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Prepare this process's share of the scenes. Raises ``InputError`` where ``data.source`` does not have them."""
        if self._batches is not None:
            return
        source = open_source(self.config.data.source, future_s=FUTURE_S, map_radius_m=MAP_RADIUS_M)
        count = self.config.validation.pdms_scenes
        usable = rows_with_scenes(self.cache, self.validation_rows, source.tokens, "validation.pdms_scenes")
        chosen = spread_over(usable, count)
        share = chosen[trainer.global_rank :: trainer.world_size]
        kept = PreparedScenes(self.config.data.cache / "scoring")
        identity = source_identity(source, self.config.data.source)
        prepared = _prepared(source, kept, identity, [self.cache.spec.tokens[row] for row in share])
        self._rows = np.array([row for row in share.tolist() if self.cache.spec.tokens[row] in prepared], dtype=np.int64)
        scenes = [prepared[self.cache.spec.tokens[row]] for row in self._rows.tolist()]
        self._batches = [SceneBatch.of(scenes[i : i + _CHUNK]) for i in range(0, len(scenes), _CHUNK)]

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast(PlannerLightningModule, pl_module)
        plans = plans_for(trainer, module, self.cache, self._rows, batch_size=self.config.data.batch_size)
        sums = self._sums(plans.chosen, module.planner.targets.interval_s)
        total = trainer.strategy.reduce(sums.to(trainer.strategy.root_device), reduce_op="sum").cpu()
        if not int(total[-1]):
            raise InputError("validation.pdms_scenes: none of the chosen validation scenes can be scored; see the log.")
        for name, value in zip(("pdms", *PDMS.sub_scores), (total[:-1] / total[-1]).tolist(), strict=True):
            # Equal everywhere already; Lightning warns of values that are not brought together.
            pl_module.log(f"val/{name}", value, prog_bar=name == "pdms", sync_dist=True)

    def _sums(self, chosen: Tensor, interval_s: float) -> Tensor:
        """[1 + sub-scores + 1] sums over this process's scenes of the total and of each sub-score, and how many they are."""
        sums = torch.zeros(2 + len(PDMS.sub_scores), dtype=torch.float64)
        first = 0
        for batch in self._batches or []:
            trajectories = chosen[first : first + len(batch), None].double()
            result = score(batch, trajectories, interval_s=interval_s, on_invalid="zero")
            values = [result.total, *(result.verdicts[name].value for name in PDMS.sub_scores)]
            sums += torch.tensor([*(float(value.sum()) for value in values), len(batch)], dtype=torch.float64)
            first += len(batch)
        return sums


def _prepared(source: SceneSource, kept: PreparedScenes, identity: str, tokens: Sequence[str]) -> dict[str, ScoringScene]:
    """By token. A scene that cannot be prepared is named in the log and left out."""
    found: dict[str, ScoringScene] = {}
    for token in tokens:
        key = {"metric": PDMS.name, "source": identity, "token": token, "map_radius_m": MAP_RADIUS_M}
        try:
            found[token] = kept.get(key, lambda token=token: prepare(source.load(token, sensors=False), PDMS.name))  # type: ignore[misc]
        except InputError as error:
            logger.warning("PDMS of the validation leaves out scene '%s': %s", token, error)
    return found
