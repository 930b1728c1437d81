"""When a run is saved: every few minutes, after every epoch, after the best validation, and when a signal asks it to stop."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from diffdrive.files import written_aside
from diffdrive.training.config import BestBy
from diffdrive.training.engine.checkpoint_file import CheckpointFile
from diffdrive.training.engine.outcomes import InterruptedTrainingError, TrainingError
from diffdrive.training.engine.run_folder import RunFolder
from diffdrive.training.engine.stop_signals import StopSignals
from diffdrive.training.lightning import pl

_NOTHING, _SAVE = 0, 1  # larger requests are numbers of signals that ask to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """What makes a validation the best one."""

    metric: str
    larger_is_better: bool

    @classmethod
    def of(cls, best_by: BestBy) -> Monitor:
        """The metric behind a configuration's word."""
        return cls(metric=f"val/{best_by.value}", larger_is_better=best_by is BestBy.PDMS)

    def is_better(self, score: float, best: float | None) -> bool:
        return best is None or (score > best if self.larger_is_better else score < best)


class RunCheckpoints(pl.Callback):
    """Keeps ``last.ckpt`` and ``best.ckpt``. All processes decide together, between two optimiser steps."""

    def __init__(
        self,
        folder: RunFolder,
        file: CheckpointFile,
        monitor: Monitor | None,
        *,
        minutes: float,
        ask_every_steps: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``monitor`` None keeps no best. Several processes ask each other only every ``ask_every_steps`` steps."""
        self.folder, self.file, self.monitor = folder, file, monitor
        self.best_score: float | None = None
        self._is_best = False
        self._signals = StopSignals()
        self._limit_s, self._every, self._clock = 60.0 * minutes, ask_every_steps, clock
        self._saved_s = self._asked_s = clock()

    # Lightning's hooks. The state between two steps is that of the next batch's start: all hooks of the step before have run.

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_s = self._asked_s = self._clock()
        self._signals.install()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % trainer.accumulate_grad_batches:
            return
        if trainer.world_size > 1 and trainer.global_step % self._every:
            return
        request = self._agreed(trainer)
        if request != _NOTHING:
            self.save(trainer)
        self._stop_if_asked(trainer, request)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.monitor is None or trainer.state.fn != "fit":
            return
        score = float(trainer.callback_metrics[self.monitor.metric])
        if self.monitor.is_better(score, self.best_score):
            self.best_score, self._is_best = score, True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Also the last thing of a run, and of one that was cut short within the epoch.
        self.save(trainer)
        if self._is_best:
            self._keep_as_best(trainer)
        self._stop_if_asked(trainer, self._agreed(trainer))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._signals.remove()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._signals.remove()

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Within an epoch, write the state as it is between two optimiser steps.

        A run may end within an epoch, even within a step (``max_steps``, ``max_minutes``): Lightning counts such an epoch as
        done, here it goes on when the run is resumed with more of either.
        """
        if trainer.fit_loop.epoch_loop.batch_progress.current.completed >= trainer.num_training_batches:
            return
        loops = checkpoint["loops"]
        epochs, batches = loops["fit_loop"]["epoch_progress"], loops["fit_loop"]["epoch_loop.batch_progress"]
        for count in (epochs["total"], epochs["current"]):
            count["processed"] = count["completed"] = count["started"] - 1
        batches["is_last_batch"] = False
        part = batches["current"]["completed"] % trainer.accumulate_grad_batches
        for count in (batches["total"], batches["current"]):
            count["completed"] -= part
            count["ready"] = count["started"] = count["processed"] = count["completed"]

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score = state_dict["best_score"]

    # What they do

    def save(self, trainer: pl.Trainer) -> None:
        """Write ``last.ckpt``; every process must call this. Raises ``TrainingError`` in all where it cannot be written."""
        trainer.save_checkpoint(self.folder.last)
        self._agree_on_failure(trainer, self.file.failure)
        self._saved_s = self._clock()

    def _keep_as_best(self, trainer: pl.Trainer) -> None:
        """The checkpoint just written is also the best one."""
        failure = None
        if trainer.is_global_zero:
            try:
                with written_aside(self.folder.best) as aside:
                    shutil.copyfile(self.folder.last, aside)
            except OSError as error:
                failure = f"Checkpoint '{self.folder.best}' could not be written: {error.strerror}. Is the disk full?"
        self._agree_on_failure(trainer, failure)
        self._is_best = False

    def _agree_on_failure(self, trainer: pl.Trainer, failure: str | None) -> None:
        told = trainer.strategy.broadcast(failure)
        if told is not None:
            raise TrainingError(f"{told} Then continue with --resume auto.")

    def _agreed(self, trainer: pl.Trainer) -> int:
        """The most urgent request of any process."""
        now = self._clock()
        pace, self._asked_s = now - self._asked_s, now
        # The next time to ask comes about as late as this one came: then it would be too late.
        is_due = now + pace - self._saved_s > self._limit_s
        request = self._signals.received or (_SAVE if is_due else _NOTHING)
        if trainer.world_size == 1:
            return request
        wanted = torch.tensor(request, dtype=torch.int64, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(wanted, reduce_op="max"))

    def _stop_if_asked(self, trainer: pl.Trainer, request: int) -> None:
        if request > _SAVE:
            raise InterruptedTrainingError(request, trainer.global_step, self.folder.last)
