"""What the driver of a job asks of those who do the work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.rows import SceneScore


@dataclass(frozen=True, slots=True)
class ChunkOutcome:
    """What became of one chunk: its rows, or why they were lost."""

    chunk: Chunk
    rows: tuple[SceneScore, ...] = ()
    lost: str = ""
    """Empty for a finished chunk. Otherwise how the worker ended, in words."""


class Executor(Protocol):
    """Works through chunks."""

    def run(self, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        """One outcome for each chunk, in any order, as they are finished. A worker that dies loses its chunk and no other."""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
