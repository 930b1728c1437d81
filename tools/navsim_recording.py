"""What an agent did in NAVSIM, scene by scene, as a file; and how two such files differ."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.files import written_aside

TOLERANCE_M = 1e-4
"""Of poses (metres and radians) and of the scores of proposals, which sum to one."""

SCORE_TOLERANCE = 2e-5
"""Of the devkit's scores. Verdicts are 0, 1/2 or 1; progress is a ratio of lengths, of which the longer one is 5 m or more."""

PROPOSALS = ("poses", "proposal_scores")

NOT_SCORES = frozenset(
    ["", "token", "valid", "log_name", "frame_type", "start_time", "endpoint_x", "endpoint_y", "start_point_x", "start_point_y"]
)
"""Columns of the devkit's tables that say where a scene lies, not how it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """N scenes in the order of their tokens."""

    tokens: tuple[str, ...]
    trajectories: np.ndarray
    """[N, T, 3]."""

    score_names: tuple[str, ...] = ()
    scores: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    """[N, S], NaN where the devkit's table is empty. Nothing for scenes that no devkit scored."""

    proposals: dict[str, np.ndarray] = field(default_factory=dict)
    """``poses`` [N, M, T, 3] and ``proposal_scores`` [N, M], or nothing."""

    def write(self, path: Path) -> None:
        """As one ``.npz``."""
        arrays = {"tokens": np.array(self.tokens), "trajectories": self.trajectories, **self.proposals}
        if self.score_names:
            arrays |= {"score_names": np.array(self.score_names), "scores": self.scores}
        with written_aside(path) as aside, aside.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Raises ``InputError`` for a file that is no recording."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return cls(
                tokens=tuple(arrays["tokens"].tolist()),
                trajectories=arrays["trajectories"],
                score_names=tuple(arrays["score_names"].tolist()) if "score_names" in arrays else (),
                scores=arrays.get("scores", np.zeros((0, 0))),
                proposals={name: arrays[name] for name in PROPOSALS if name in arrays},
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"'{path}' is no recording: {error}. Make one with 'record' or 'draw'.") from error


def gathered(scenes: Path, table: Path | None) -> Recording:
    """What ``recording_agent.recorded`` wrote, and the devkit's table of the same scenes.

    Raises ``InputError`` where one failed.
    """
    tokens = sorted(path.stem for path in scenes.glob("*.npz"))
    if not tokens:
        raise InputError(f"No scene was recorded in '{scenes}'. The devkit's log says why.")
    files = [dict(np.load(scenes / f"{token}.npz")) for token in tokens]
    stacked = {name: np.stack([file[name] for file in files]) for name in files[0]}
    names, scores = ((), np.zeros((0, 0))) if table is None else _scores(table, tokens)
    return Recording(
        tokens=tuple(tokens), trajectories=stacked.pop("trajectory"), score_names=names, scores=scores, proposals=stacked
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a comparison."""

    name: str
    compared: int
    differing: int
    worst: float
    where: str = ""

    def __str__(self) -> str:
        verdict = "FAIL" if self.differing else "ok  "
        told = f"{self.differing} of {self.compared} scenes differ, worst {self.worst:.2e} {self.where}"
        return f"{verdict} {self.name:32s} {told}".rstrip()


def compare(reference: Recording, ours: Recording) -> Iterator[Row]:
    """One row for everything that both hold. Raises ``InputError`` unless they hold the same scenes and the same scores."""
    if reference.tokens != ours.tokens:
        other = sorted(set(reference.tokens) ^ set(ours.tokens))
        raise InputError(f"{len(other)} scenes are in one recording only, for example {other[0]}. Record both on one data set.")
    if reference.score_names != ours.score_names:
        raise InputError("The recordings hold different scores, those of two devkits. Record both in one, or 'replay' one.")
    yield _row("trajectory", _gaps(reference.trajectories, ours.trajectories), TOLERANCE_M, ours.tokens)
    if reference.proposals and ours.proposals:
        first, second = (each.proposals["proposal_scores"].argmax(axis=1) for each in (reference, ours))
        yield _row("chosen proposal", (first != second).astype(float), 0.0, ours.tokens)
        for name in PROPOSALS:
            gaps = _gaps(reference.proposals[name], ours.proposals[name])
            yield _row(f"{name}, all proposals", gaps, TOLERANCE_M, ours.tokens)
    for index, name in enumerate(ours.score_names):
        yield _row(name, _gaps(reference.scores[:, index], ours.scores[:, index]), SCORE_TOLERANCE, ours.tokens)


def _gaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest difference in each scene. Two values that are both missing agree."""
    if first.shape != second.shape:
        raise InputError(f"The recordings hold arrays of shape {list(first.shape)} and {list(second.shape)}.")
    gaps = np.abs(first.astype(np.float64) - second)
    gaps[np.isnan(first) & np.isnan(second)] = 0.0
    return gaps.reshape(len(first), -1).max(axis=1)


def _row(name: str, gaps: np.ndarray, tolerance: float, tokens: Sequence[str]) -> Row:
    # Written so that NaN differs.
    differing = int((~(gaps <= tolerance)).sum())
    worst = int(np.nan_to_num(gaps, nan=math.inf).argmax())
    where = tokens[worst] if differing else ""
    return Row(name=name, compared=len(tokens), differing=differing, worst=float(gaps[worst]), where=where)


def _scores(table: Path, tokens: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    with table.open(newline="") as stream:
        rows = {row["token"]: row for row in csv.DictReader(stream)}
    if failed := [token for token in tokens if token not in rows or rows[token]["valid"] != "True"]:
        raise InputError(f"The devkit failed in {len(failed)} scenes of '{table}', for example {failed[0]}.")
    names = tuple(name for name, text in rows[tokens[0]].items() if name not in NOT_SCORES and _is_number(text))
    return names, np.array([[float(rows[token][name] or "nan") for name in names] for token in tokens])


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True
