"""One sheet of plans after every validation: the same scenes each time, so that a run can be watched learning."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch

from diffdrive.scene import Scene, Trajectory
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import TrainingConfig
from diffdrive.training.engine.loggers import log_picture
from diffdrive.training.engine.run_folder import RunFolder
from diffdrive.training.engine.validation_plans import Plans, plans_for, rows_with_scenes, spread_over
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.scene_sources import open_source


class PlanPictures(pl.Callback):
    """Writes ``plans/step-<n>.png``."""

    def __init__(self, folder: RunFolder, config: TrainingConfig, cache: FeatureCache, validation_rows: np.ndarray) -> None:
        self.folder, self.config, self.cache, self.validation_rows = folder, config, cache, validation_rows
        self._rows = np.zeros(0, dtype=np.int64)
        self._scenes: list[Scene] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Load the scenes. Raises ``InputError`` where ``data.source`` does not have them, and without matplotlib."""
        if len(self._rows):
            return
        import diffdrive.viz  # noqa: F401  (raises where it cannot draw)

        source = open_source(self.config.data.source)
        usable = rows_with_scenes(self.cache, self.validation_rows, source.tokens, "validation.plan_images")
        self._rows = spread_over(usable, self.config.validation.plan_images)
        if trainer.is_global_zero:
            tokens = [self.cache.spec.tokens[row] for row in self._rows.tolist()]
            self._scenes = [source.load(token, sensors=False) for token in tokens]

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        module = cast(PlannerLightningModule, pl_module)
        plans = plans_for(trainer, module, self.cache, self._rows, batch_size=self.config.data.batch_size)
        path = self.folder.plans / f"step-{trainer.global_step:07d}.png"
        self._draw(path, plans, module.planner.targets.interval_s, trainer.global_step)
        log_picture(trainer, "val/plans", path)

    def _draw(self, path: Path, plans: Plans, interval_s: float, step: int) -> None:
        from diffdrive.viz import PlanOverlay, draw_plan_sheet, save_figure

        overlays = [
            PlanOverlay(
                chosen=Trajectory(chosen.double().numpy(), interval_s),
                proposals=poses.double().numpy(),
                scores=torch.sigmoid(logits).double().numpy(),
            )
            for chosen, poses, logits in zip(plans.chosen, plans.poses, plans.logits, strict=True)
        ]
        path.parent.mkdir(exist_ok=True)
        figure = draw_plan_sheet(self._scenes, overlays, title=f"{self.config.name}, step {step}")
        save_figure(figure, path, dpi=110)
