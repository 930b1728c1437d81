"""Say which scenes could not be read, at the end of every epoch: in the log, among the metrics and in the run's folder."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from diffdrive.files import written_aside
from diffdrive.training.lightning import pl

logger = logging.getLogger(__name__)

FOLDER = "bad_scenes"


class BadSceneReport(pl.Callback):
    """Writes ``bad_scenes/epoch-0000.json``, token by token how often it was met by any rank; nothing for a clean epoch.

    The trainer's datamodule must be a ``PlannerDataModule``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation is part of the epoch and ended before this."""
        met: Counter[str] = Counter()
        for tokens in _from_all_ranks(trainer.datamodule.take_bad_tokens()):  # type: ignore[attr-defined]
            met.update(tokens)
        pl_module.log("train/bad_scenes", float(met.total()), rank_zero_only=True)
        if not met or not trainer.is_global_zero:
            return
        path = self.folder / f"epoch-{trainer.current_epoch:04d}.json"
        if path.is_file():  # the part of this epoch before a resume
            met.update(json.loads(path.read_text()))
        with written_aside(path) as aside:
            aside.write_text(json.dumps(dict(sorted(met.items())), indent=2) + "\n")
        logger.warning("epoch %d: %d reads of %d bad scenes, named in '%s'", trainer.current_epoch, met.total(), len(met), path)


def _from_all_ranks(mine: list[str]) -> list[Any]:
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return [mine]
    everyone: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyone, mine)
    return everyone
