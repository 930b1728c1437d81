"""Run a scoring job: hand out chunks, keep what is finished, try again what was lost, put everything in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.evaluation.scoring.executors import ChunkOutcome, Executor, SerialExecutor
from diffdrive.evaluation.scoring.folder import JobFolder
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.rows import SceneScore
from diffdrive.evaluation.scoring.runner import lost_rows
from diffdrive.evaluation.scoring.summary import Summaries, summarise_scores

ATTEMPTS = 2
"""How often a chunk is given to a worker before its scenes count as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is."""

    num_scenes: int
    num_done: int
    num_kept: int
    """Of those done, how many an earlier run had finished."""

    num_failed: int
    """Scenes done in which something could not be scored."""

    lost: str = ""
    """What happened, when this report is about a chunk that was lost and will be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredScenes:
    """The results of a job."""

    source: str
    rows: tuple[SceneScore, ...]
    """For each scene in the job's order, each planner, each metric."""

    summaries: Summaries

    @property
    def failures(self) -> tuple[SceneScore, ...]:
        """The rows that hold an error instead of scores."""
        return tuple(row for row in self.rows if not row.is_scored)


def score_planners(
    job: ScoringJob,
    *,
    executor: Executor | None = None,
    folder: Path | None = None,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> ScoredScenes:
    """Score every planner in every scene, in this process unless another ``executor`` is given.

    With a ``folder`` finished chunks are kept there, a run that was interrupted goes on, and ``per_scene.parquet`` and
    ``summary.json`` are written. ``seed`` is that of the bootstrap. What is returned does not depend on the executor.

    A scene that cannot be scored becomes a row that says why; a worker that dies costs a second attempt. Raises
    ``InputError`` for planners that cannot be made and for a folder that holds another job.
    """
    kept_in = None if folder is None else JobFolder.open(folder, job)
    for entrant in job.entrants:
        # Once here, so that a bad checkpoint is an error now and not a thousand failed scenes later.
        entrant.make()
    found: dict[int, tuple[SceneScore, ...]] = {}
    tally = _Tally(len(job.tokens), on_progress)
    chunks = job.chunks()
    for chunk in chunks:
        if kept_in is not None and (rows := kept_in.kept(chunk)) is not None:
            found[chunk.index] = rows
            tally.add(rows, chunk, is_kept=True)
    tally.tell()
    for outcome, is_last in _outcomes(job, executor or SerialExecutor(), [c for c in chunks if c.index not in found]):
        if outcome.lost and not is_last:
            tally.tell(outcome.lost)
            continue
        rows = outcome.rows if not outcome.lost else lost_rows(job, outcome.chunk, f"given up: {outcome.lost}")
        found[outcome.chunk.index] = rows
        # What a dying worker took along may be there next time: only what was worked out is kept.
        if kept_in is not None and not outcome.lost:
            kept_in.keep(outcome.chunk, rows)
        tally.add(rows, outcome.chunk)
        tally.tell()
    result = _in_order(job, [row for rows in found.values() for row in rows], seed)
    if kept_in is not None:
        kept_in.finish(result.rows, result.summaries.as_json())
    return result


def _outcomes(job: ScoringJob, executor: Executor, chunks: Sequence[Chunk]) -> Iterator[tuple[ChunkOutcome, bool]]:
    """Every outcome, and whether no other attempt at its chunk will follow."""
    waiting = list(chunks)
    for number in range(1, ATTEMPTS + 1):
        lost: list[Chunk] = []
        if not waiting:
            return
        for outcome in executor.run(job, waiting):
            if outcome.lost:
                lost.append(outcome.chunk)
            yield outcome, number == ATTEMPTS
        waiting = lost


def _in_order(job: ScoringJob, rows: Sequence[SceneScore], seed: int) -> ScoredScenes:
    found = {(row.token, row.planner, row.metric): row for row in rows}
    names = tuple(entrant.name for entrant in job.entrants)
    ordered = tuple(found[token, name, metric] for token in job.tokens for name in names for metric in job.metrics)
    return ScoredScenes(
        source=job.source.name,
        rows=ordered,
        summaries=summarise_scores(ordered, planners=names, metrics=job.metrics, seed=seed),
    )


class _Tally:
    """Counts scenes as chunks come in."""

    def __init__(self, num_scenes: int, report: Callable[[Progress], None] | None) -> None:
        self._num_scenes, self._report = num_scenes, report
        self._done = self._kept = self._failed = 0

    def add(self, rows: Sequence[SceneScore], chunk: Chunk, *, is_kept: bool = False) -> None:
        self._done += len(chunk.scenes)
        self._kept += len(chunk.scenes) if is_kept else 0
        self._failed += len({row.token for row in rows if not row.is_scored})

    def tell(self, lost: str = "") -> None:
        if self._report is not None:
            self._report(
                Progress(
                    num_scenes=self._num_scenes,
                    num_done=self._done,
                    num_kept=self._kept,
                    num_failed=self._failed,
                    lost=lost,
                )
            )
