"""Score one chunk: what every worker does, whatever kind of worker it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.evaluation.scoring.entrants import AnyPlanner
from diffdrive.evaluation.scoring.frames import make_frame
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.judging import judge_frames
from diffdrive.evaluation.scoring.rows import SceneScore


class ChunkRunner:
    """A job's worker: makes the planners once, then scores chunk after chunk."""

    def __init__(self, job: ScoringJob) -> None:
        self.job = job
        self._planners: dict[str, AnyPlanner] = {entrant.name: entrant.make() for entrant in job.entrants}

    def __call__(self, chunk: Chunk) -> tuple[SceneScore, ...]:
        """One row for each scene, planner and metric. Scenes that fail give rows that say why."""
        with one_thread():
            frames = [make_frame(self.job, self._planners, place) for place in chunk.places]
            found: dict[tuple[str, str, str], SceneScore] = {}
            for rules in self.job.rules:
                rows = judge_frames(frames, rules, tuple(self._planners), human_filter=self.job.human_filter)
                found |= {(row.token, row.planner, row.metric): row for row in rows}
        return tuple(
            found[place.token, name, metric] for place in chunk.scenes for name in self._planners for metric in self.job.metrics
        )


def lost_rows(job: ScoringJob, chunk: Chunk, reason: str) -> tuple[SceneScore, ...]:
    """The rows of a chunk that no worker could finish."""
    return tuple(
        SceneScore(
            planner=entrant.name,
            metric=metric,
            token=place.token,
            log_name=place.log_name,
            timestamp_us=place.timestamp_us,
            error=reason,
        )
        for place in chunk.scenes
        for entrant in job.entrants
        for metric in job.metrics
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: workers share the cores, and sums of several threads may differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
