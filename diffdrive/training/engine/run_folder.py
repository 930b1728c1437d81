"""The folder of a run: where everything lies, and whether it may be written.

out/train/<name>/config.yaml              what runs
                 checkpoints/last.ckpt    resume from here
                 checkpoints/best.ckpt    the best validation so far
                 log-0/                   metrics.csv and TensorBoard events of the first start (log-1 of the second, ...)
                 log-0.yaml               what the first start ran with
                 curves.png               learning curves over all starts
                 plans/                   pictures of validation plans
                 anchors.npy, .json       when they were clustered for this run
                 export/                  the planner: weights, config, data recipe, metrics
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import yaml

from diffdrive.configuration import load_yaml, to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.training.config import TrainingConfig

logger = logging.getLogger(__name__)

AUTO: Final = "auto"
"""In place of a checkpoint's path: the newest good one of the run's folder, or a fresh start where there is none."""

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths below one run's folder."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def curves(self) -> Path:
        return self.path / "curves.png"

    @property
    def plans(self) -> Path:
        return self.path / "plans"

    @property
    def logs(self) -> list[Path]:
        """One folder for each start, in order."""
        found = (folder for folder in self.path.glob("log-*") if folder.is_dir())
        return sorted(found, key=lambda folder: int(folder.name.removeprefix("log-")))

    def next_log(self) -> Path:
        """Where this start logs."""
        return self.path / f"log-{len(self.logs)}"

    def begin(self, config: TrainingConfig) -> None:
        """Write down what runs, and remove what killed processes left half written."""
        text = yaml.safe_dump(to_mapping(config), sort_keys=False)
        for path in (self.next_log().with_suffix(".yaml"), self.config):
            with written_aside(path) as aside:
                aside.write_text(text)
        for path in self.checkpoints.glob(".*.ckpt"):
            path.unlink(missing_ok=True)

    def start_from(self, config: TrainingConfig, resume: Path | str | None) -> Path | None:
        """The checkpoint to continue from. None is a fresh start, which only a folder without checkpoints allows.

        A checkpoint given by its path may continue with other settings; ``AUTO`` may not. Raises ``InputError`` for a
        checkpoint that is not there, and where starting would overwrite what another run left.
        """
        if resume is not None and resume != AUTO:
            path = Path(resume)
            if not path.is_file():
                raise InputError(f"Checkpoint '{path}' to resume from does not exist. Give a .ckpt file, e.g. '{self.last}'.")
            return path
        differing = self.differing_keys(config)
        if differing:
            raise InputError(
                f"'{self.path}' holds a run with other settings: {_listed(differing)}. Give this run another name=..., or "
                f"continue that one with these settings: --resume {self.last}"
            )
        if resume == AUTO:
            return newest_checkpoint(self.checkpoints)
        if any(self.checkpoints.glob("[!.]*.ckpt")):
            raise InputError(
                f"'{self.path}' holds the checkpoints of this very run. Continue it with --resume auto, give another name=..., "
                "or delete the folder."
            )
        return None

    def differing_keys(self, config: TrainingConfig) -> dict[str, tuple[Any, Any]]:
        """What the folder's configuration says otherwise: (there, here) by dotted key. Empty where it has none."""
        if not self.config.is_file():
            return {}
        there, here = _flat(load_yaml(self.config)), _flat(to_mapping(config))
        both = {key: (there.get(key), here.get(key)) for key in sorted(there.keys() | here.keys())}
        return {key: values for key, values in both.items() if values[0] != values[1]}


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of ``folder`` that can be read, or None. Damaged ones are named in the log."""
    for path in sorted(folder.glob("[!.]*.ckpt"), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        try:
            saved = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
            if "diffdrive" in saved:
                return path
            logger.warning("'%s' is not a checkpoint of diffdrive's training; it is passed over.", path)
        except Exception as error:  # whatever a damaged file makes of the reader
            logger.warning("'%s' cannot be read (%s); it is passed over.", path, error)
    return None


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _listed(differing: Mapping[str, tuple[Any, Any]]) -> str:
    shown = [f"{key} ({there} there, {here} here)" for key, (there, here) in list(differing.items())[:_SHOWN]]
    more = len(differing) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
