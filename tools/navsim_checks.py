"""What proves that a step worked: each check looks at the files that the step left, not at its exit status."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from navsim_comparison import is_scene

from diffdrive.contracts import InputError
from diffdrive.openscene.export import RECORD_FILE


def checked_export(folder: Path) -> dict[str, Any]:
    """An export: its logs, their frames."""
    record = folder / RECORD_FILE
    if not record.is_file():
        raise InputError(f"'{folder}' has no {RECORD_FILE}.")
    logs = json.loads(record.read_text())["logs"]
    return {"logs": len(logs), "frames": sum(len(log["frames"]) for log in logs.values())}


def checked_metric_cache(folder: Path) -> dict[str, Any]:
    """Scenes in a metric cache."""
    return {"scenes": _count(folder, "metric_cache.pkl")}


def checked_features(folder: Path) -> dict[str, Any]:
    """Files of a dataset cache: one a builder and scene."""
    return {"files": _count(folder, "*.gz"), "scenes": len({path.parent for path in folder.rglob("*.gz")})}


def checked_scores(folder: Path) -> dict[str, Any]:
    """The devkit's table: no scene failed, and the mean that it states."""
    rows = list(csv.DictReader(scores_file(folder).open(newline="")))
    if failed := [row["token"] for row in rows if row["valid"] != "True"]:
        raise InputError(f"The devkit failed in {len(failed)} of {len(rows)} rows, for example {failed[0]}.")
    scenes = [row for row in rows if is_scene(row["token"])]
    if not scenes:
        raise InputError(f"'{folder}' has a table without scenes.")
    return {"scenes": len(scenes), "mean": round(sum(float(row["score"]) for row in scenes) / len(scenes), 6)}


def scores_file(folder: Path) -> Path:
    """The only table of scores in a folder that the devkit wrote. Raises ``InputError`` for none or several."""
    found = sorted(folder.glob("*.csv"))
    if len(found) != 1:
        raise InputError(f"'{folder}' must hold one table of scores, has {len(found)}.")
    return found[0]


def checked_own(folder: Path) -> dict[str, Any]:
    """Our table: how many scenes the planners have, and their means."""
    rows = json.loads((folder / "summary.json").read_text())["scores"]
    return {"scenes": rows[0]["num_scenes"], **{row["planner"]: round(row["total"], 6) for row in rows}}


def checked_training(folder: Path) -> dict[str, Any]:
    """A checkpoint with weights that are finite."""
    import torch

    file = trained_checkpoint(folder)
    state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    weights = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    broken = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if broken:
        raise InputError(f"'{file}' has weights that are not finite, for example {broken[0]}.")
    return {"tensors": len(weights), "checkpoint": file.name}


def trained_checkpoint(folder: Path) -> Path:
    """The newest checkpoint below a training's folder. Raises ``InputError`` where there is none."""
    found = sorted(folder.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"The training left no checkpoint below '{folder}'.")
    return found[-1]


def checked_submission(folder: Path) -> dict[str, Any]:
    """A submission file; what is in it is ``diffdrive navsim submit-check``'s to say."""
    file = folder / "submission.pkl"
    if not file.is_file():
        raise InputError(f"'{folder}' has no submission.pkl.")
    return {"bytes": file.stat().st_size}


def _count(folder: Path, pattern: str) -> int:
    count = sum(1 for _ in folder.rglob(pattern))
    if not count:
        raise InputError(f"'{folder}' has no {pattern}.")
    return count
