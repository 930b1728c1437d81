"""Work in this process, one chunk after another: simple, and what to debug with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.evaluation.scoring.executors.executor import ChunkOutcome
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.runner import ChunkRunner


@dataclass(frozen=True, slots=True)
class SerialExecutor:
    """Needs nothing to be picklable."""

    def run(self, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        """In the order of ``chunks``."""
        runner = ChunkRunner(job)
        for chunk in chunks:
            yield ChunkOutcome(chunk, runner(chunk))
