"""Who builds: this process, several processes, or a Ray cluster. What is built does not depend on the choice."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch

from diffdrive.contracts import InputError
from diffdrive.training.cache.work import BuildJob, Report, Task, Worker

Work = Callable[[Iterable[Task]], Iterator[Report]]
"""Does tasks, in any order. Raises what a worker raises."""

Crew = Callable[[BuildJob], AbstractContextManager[Work]]
"""Comes for a job and leaves with it."""


@contextmanager
def alone(job: BuildJob) -> Iterator[Work]:
    """This process."""
    yield partial(map, Worker(job))


def processes(number: int) -> Crew:
    """``number`` processes of this machine. The job must be one that pickle can write."""
    return partial(_processes, number)


@contextmanager
def _processes(number: int, job: BuildJob) -> Iterator[Work]:
    # Forked children would share the parent's OpenGL and thread state; fresh ones do not.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, context, initializer=_start_worker, initargs=(job,)) as pool:

        def work(tasks: Iterable[Task]) -> Iterator[Report]:
            try:
                for future in as_completed([pool.submit(_work, task) for task in tasks]):
                    yield future.result()
            except BrokenProcessPool as error:
                raise InputError(
                    "A worker of the feature cache was killed, perhaps for want of memory. What was finished is kept: start "
                    "again, with fewer workers if this repeats."
                ) from error

        try:
            yield work
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_worker: Worker | None = None  # one per worker process


def _start_worker(job: BuildJob) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = Worker(job)


def _work(task: Task) -> Report:
    if _worker is None:
        raise RuntimeError("The worker process was not started by _start_worker.")
    return _worker(task)


def ray_cluster(address: str | None = None, workers: int | None = None) -> Crew:
    """One actor a CPU of the cluster at ``address``, at most ``workers``; without an address, of a Ray on this machine.

    Every machine needs diffdrive, the data and the cache's folder at the same paths. Raises ``InputError`` without Ray.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("To build on Ray it must be installed. Get it with: pip install 'diffdrive[cluster]'")
    return partial(_ray_cluster, address, workers)


@contextmanager
def _ray_cluster(address: str | None, workers: int | None, job: BuildJob) -> Iterator[Work]:
    import ray

    owned = not ray.is_initialized()
    if owned:
        own: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
        try:
            ray.init(log_to_driver=False, configure_logging=False, **own)
        except Exception as error:  # Ray raises bare exceptions here
            where = "on this machine" if address is None else f"at '{address}'"
            raise InputError(f"Ray does not start {where}: {error} Start a cluster with 'ray start --head'.") from error
    try:
        yield partial(_on_actors, ray, job, workers)
    finally:
        if owned:
            ray.shutdown()


def _on_actors(ray: Any, job: BuildJob, workers: int | None, tasks: Iterable[Task]) -> Iterator[Report]:
    actor = ray.remote(num_cpus=1, max_restarts=0)(Worker)
    stored = ray.put(job)
    limit = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting = list(reversed(list(tasks)))
    idle: list[Any] = []
    busy: dict[Any, Any] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < limit:
                worker = idle.pop() if idle else actor.remote(stored)
                busy[worker.__call__.remote(waiting.pop())] = worker
            (finished, *_), _ = ray.wait(list(busy), num_returns=1)
            try:
                report: Report = ray.get(finished)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:
                raise InputError(
                    f"A worker of the feature cache failed: {error} What was finished is kept: start again."
                ) from error
            idle.append(busy.pop(finished))
            yield report
    finally:
        for worker in [*idle, *busy.values()]:
            ray.kill(worker)
