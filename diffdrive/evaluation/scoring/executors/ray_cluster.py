"""Work on a Ray cluster: the same job, on as many machines as the cluster has. Needs the extra ``cluster``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.evaluation.scoring.executors.executor import ChunkOutcome
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.runner import ChunkRunner
from diffdrive.runtime.errors import describe


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """One actor a CPU of the cluster. Every machine needs diffdrive, the data and the checkpoints at the same paths, and the
    modules of planners that are not diffdrive's own.

    Without ``address`` a Ray of its own is started on this machine, with ``workers`` CPUs, and stopped again.
    """

    address: str | None = None
    workers: int | None = None
    """How many actors work at a time; by default as many as the cluster has CPUs."""

    gpus_per_worker: float = 0.0
    """Share of a GPU that each actor reserves, for planners that run on one."""

    def __post_init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise InputError(
                "The executor 'ray' needs Ray, which is not installed. Get it with: pip install 'diffdrive[cluster]'"
            )
        if self.workers is not None and self.workers < 1:
            raise InputError(f"A cluster needs at least one worker, got {self.workers}.")

    def run(self, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        """In the order in which chunks are finished. A Ray that runs in this process already is used and left running.

        Raises ``InputError`` where Ray does not start, or is not there at the address.
        """
        import ray

        owned = not ray.is_initialized()
        if owned:
            self._connect(ray)
        try:
            yield from self._dispatch(ray, job, chunks)
        finally:
            if owned:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        try:
            ray.init(**self._options())
        except Exception as error:  # Ray raises bare exceptions here
            where = "on this machine" if self.address is None else f"at '{self.address}'"
            raise InputError(
                f"Ray does not start {where}: {describe(error)} Start a cluster with 'ray start --head' and name its address, "
                "or use another executor."
            ) from error

    def _options(self) -> dict[str, Any]:
        quiet: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False, "configure_logging": False}
        if self.address is not None:
            return {"address": self.address, "log_to_driver": False, "configure_logging": False}
        return quiet if self.workers is None else {**quiet, "num_cpus": self.workers}

    def _dispatch(self, ray: Any, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        actor = ray.remote(num_cpus=1, num_gpus=self.gpus_per_worker, max_restarts=0)(ChunkRunner)
        stored = ray.put(job)
        limit = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting = list(reversed(chunks))
        idle: list[Any] = []
        busy: dict[Any, tuple[Any, Chunk]] = {}
        while waiting or busy:
            while waiting and len(busy) < limit:
                worker = idle.pop() if idle else actor.remote(stored)
                chunk = waiting.pop()
                busy[worker.__call__.remote(chunk)] = (worker, chunk)
            (finished, *_), _ = ray.wait(list(busy), num_returns=1)
            worker, chunk = busy.pop(finished)
            try:
                rows = ray.get(finished)
            except Exception as error:  # a dead actor, a lost machine, a bug: all lose this chunk and no other
                ray.kill(worker)
                yield ChunkOutcome(chunk, lost=f"the worker failed: {reason_of(error)}")
            else:
                idle.append(worker)
                yield ChunkOutcome(chunk, rows)
        for worker in idle:
            ray.kill(worker)


def reason_of(error: Exception) -> str:
    """One line: Ray quotes what was raised on the other machine, cause last."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__
