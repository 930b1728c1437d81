"""Checkpoints on disk: written aside, forced to the disk, renamed. A reader sees the old file or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from diffdrive.files import written_aside
from diffdrive.training.lightning import TorchCheckpointIO


class CheckpointFile(TorchCheckpointIO):
    """Lightning's way to files. Only the first process writes.

    A file that cannot be written does not raise, because the other processes already wait for this one: ``failure`` says
    why, and whoever asked for the checkpoint tells them all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: str | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint``; on a failure the file that was there before stays."""
        self.failure = None
        target = Path(path)
        try:
            with written_aside(target) as aside, aside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        # torch's writer turns what a full disk says into a RuntimeError.
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
            kept = f"The checkpoint before it, '{target}', is whole" if target.is_file() else "There is none before it"
            self.failure = f"Checkpoint '{target}' could not be written: {reason}. {kept}. Is the disk full?"
