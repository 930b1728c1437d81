"""Where logged numbers go."""

from __future__ import annotations

import logging
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.training.config import TrainingConfig
from diffdrive.training.engine.devices import launch_of_this_process
from diffdrive.training.lightning import pl

logger = logging.getLogger(__name__)


def loggers_of(config: TrainingConfig, log: Path) -> list[Any]:
    """CSV always; TensorBoard and Weights & Biases as configured. ``log`` is the log folder of this start.

    Raises ``InputError`` where Weights & Biases is asked for and not installed.
    """
    found: list[Any] = [pl.loggers.CSVLogger(log.parent, name=None, version=log.name, flush_logs_every_n_steps=50)]
    if config.recording.tensorboard:
        if find_spec("tensorboard") is not None:
            found.append(pl.loggers.TensorBoardLogger(log.parent, name=None, version=log.name, default_hp_metric=False))
        else:
            logger.info("TensorBoard files are left out: the package tensorboard is not installed (pip install tensorboard).")
    if config.recording.wandb_project is not None:
        found.append(_wandb(config, config.recording.wandb_project))
    return found


def _wandb(config: TrainingConfig, project: str) -> Any:
    if find_spec("wandb") is None:
        raise InputError("recording.wandb_project needs Weights & Biases, which is not installed: pip install wandb")
    # All starts of a run are one run there.
    kept = config.folder / "wandb-id"
    if not kept.is_file() and launch_of_this_process().rank == 0:
        with written_aside(kept) as aside:
            aside.write_text(uuid.uuid4().hex)
    number = kept.read_text() if kept.is_file() else None
    return pl.loggers.WandbLogger(
        name=config.name, project=project, save_dir=config.folder, id=number, resume="allow", config=to_mapping(config)
    )


def log_picture(trainer: pl.Trainer, name: str, picture: Path) -> None:
    """Show a PNG file wherever the run's loggers can show pictures."""
    for each in trainer.loggers:
        if isinstance(each, pl.loggers.TensorBoardLogger):
            each.experiment.add_image(name, _pixels(picture), trainer.global_step, dataformats="HWC")
        elif isinstance(each, pl.loggers.WandbLogger):
            each.log_image(key=name, images=[str(picture)])


def _pixels(picture: Path) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))
