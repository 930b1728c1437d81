"""The learning curves of a run over all its starts, drawn anew after every validation."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from diffdrive.scoring import PDMS
from diffdrive.training.engine.loggers import log_picture
from diffdrive.training.engine.run_folder import RunFolder
from diffdrive.training.lightning import pl

logger = logging.getLogger(__name__)

_FIRST = ("loss", "ade", "pdms", "fde", "min_ade", *PDMS.sub_scores, "lr")


def read_curves(logs: Iterable[Path]) -> dict[str, np.ndarray]:
    """[K, 2] of (step, value) by name, from the metrics of log folders in order. What a later start repeats replaces."""
    found: dict[str, dict[int, float]] = {}
    for log in logs:
        path = log / "metrics.csv"
        if not path.is_file():
            continue
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("step")]
        first = min((int(row["step"]) for row in rows), default=0)
        for values in found.values():
            for step in [step for step in values if step >= first]:
                del values[step]
        for row in rows:
            for name, text in row.items():
                if text and "/" in name:
                    found.setdefault(name, {})[int(row["step"])] = float(text)
    curves = {name: np.array(sorted(values.items()), dtype=np.float64) for name, values in found.items() if values}
    return {name: curves[name] for name in sorted(curves, key=_place)}


def _place(name: str) -> tuple[int, str]:
    """What is looked at first comes first."""
    quantity = name.partition("/")[2]
    return (_FIRST.index(quantity) if quantity in _FIRST else len(_FIRST), name)


class LearningCurves(pl.Callback):
    """Writes ``curves.png``. Without matplotlib it says so once and does nothing."""

    def __init__(self, folder: RunFolder, title: str) -> None:
        self.folder, self.title = folder, title
        self._can_draw = find_spec("matplotlib") is not None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._can_draw and trainer.is_global_zero:
            logger.info("Learning curves are left out: matplotlib is not installed (pip install 'diffdrive[viz]').")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or not self._can_draw:
            return
        for each in trainer.loggers:
            each.save()
        curves = read_curves(self.folder.logs)
        if not curves:
            return
        from diffdrive.viz import draw_training_curves, save_figure

        save_figure(draw_training_curves(curves, title=self.title), self.folder.curves, dpi=110)
        log_picture(trainer, "curves", self.folder.curves)
