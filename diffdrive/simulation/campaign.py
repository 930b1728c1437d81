"""Many drives: which there are, which are driven already, and several at a time in processes that may die.

A drive that fails is told and does not stop the others; so is one that kills its process. What was interrupted is run again:
finished drives are files, and stay.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.simulation.drivers import DriverName, Lineup
from diffdrive.simulation.record import EpisodeRecord, read_record
from diffdrive.simulation.view import Sensors
from diffdrive.simulation.worker import Campaign, Episode, Job, Told, record_path, work
from diffdrive.world.manifest import versions
from diffdrive.world.simulation import location_of

SETTINGS = "settings.json"


def check(campaign: Campaign, names: Sequence[DriverName]) -> str:
    """Find out before the work whether all that is needed is there. Returns what renders; '' where nothing has to.

    Raises ``InputError`` for a missing SUMO, for a checkpoint or a renderer that cannot be used, and for a folder whose drives
    were driven by other rules.
    """
    if importlib.util.find_spec("libsumo") is None:
        raise InputError("Driving in the embedded world needs SUMO. Install it with: pip install 'diffdrive[world]'")
    if not names or len(set(names)) != len(names):
        raise InputError(f"Name one driver or more, each once, got: {', '.join(map(str, names)) or 'none'}.")
    _same_settings(campaign)
    lineup = Lineup(campaign.checkpoint)
    if campaign.has_video:
        _check_films()
    for name in names:
        lineup.check(name)
    return Sensors(campaign.renderer).description if any(map(lineup.checkpoint_digest, names)) else ""


def _check_films() -> None:
    for module in ("matplotlib", "av"):
        if importlib.util.find_spec(module) is None:
            raise InputError(f"Films need '{module}', which is not installed. Get it with: pip install 'diffdrive[viz]'")


def choose(
    campaign: Campaign, seeds: Sequence[int], count: int, *, workers: int = 1, tell: Callable[[Told], None] | None = None
) -> tuple[Episode, ...]:
    """``count`` episodes in the towns of ``seeds``: the first window of every town, then the second of every town, and so on.

    Makes as many towns ready as are needed. A town's windows are in the order in which they add most to each other.
    Raises ``InputError`` for no towns, and where one cannot be made or all together have too few windows.
    """
    if count < 1 or not seeds:
        raise InputError(f"Choose one episode or more from one town or more, got {count} of {len(seeds)} towns.")
    used = list(seeds)[:count]
    num_starts: dict[int, int] = {}
    for told in _worked(campaign, [Job(seed=seed) for seed in used], workers):
        if told.error:
            raise InputError(f"{location_of(told.seed)} cannot be made ready: {told.error}")
        num_starts[told.seed] = told.num_starts
        if tell is not None:
            tell(told)
    found = [
        Episode(seed=seed, number=number)
        for number in range(max(num_starts.values()))
        for seed in used
        if number < num_starts[seed]
    ]
    if len(found) < count:
        raise InputError(f"The {len(used)} towns have {len(found)} windows, {count} were asked for. Name more towns.")
    return tuple(found[:count])


def run(campaign: Campaign, episodes: Sequence[Episode], names: Sequence[DriverName], *, workers: int = 1) -> Iterator[Told]:
    """Let every driver drive every episode; tell of each drive when it is over, in any order. Finished ones are told first.

    Raises ``InputError`` for files of another checkpoint, and that are no records.
    """
    _keep_settings(campaign)
    lineup = Lineup(campaign.checkpoint)
    missing: list[tuple[Episode, DriverName]] = []
    for episode in episodes:
        for name in names:
            record = _finished(campaign, episode, name, lineup)
            if record is None:
                missing.append((episode, name))
            else:
                yield Told(seed=episode.seed, drive=(episode, name), record=record)
    yield from _worked(campaign, _jobs(missing, workers), workers)


def _jobs(drives: Sequence[tuple[Episode, DriverName]], workers: int) -> list[Job]:
    """A job for each town, or, where there are fewer towns than workers, for each episode."""
    has_towns_enough = len({episode.seed for episode, _ in drives}) >= workers
    parts: dict[Episode | int, list[tuple[Episode, DriverName]]] = {}
    for episode, name in drives:
        parts.setdefault(episode.seed if has_towns_enough else episode, []).append((episode, name))
    return [Job(seed=part[0][0].seed, drives=tuple(part)) for part in parts.values()]


def _finished(campaign: Campaign, episode: Episode, name: DriverName, lineup: Lineup) -> EpisodeRecord | None:
    path = record_path(campaign, name, f"{location_of(episode.seed)}-log{episode.number:02d}")
    if not path.is_file():
        return None
    record = read_record(path)
    if record.checkpoint != lineup.checkpoint_digest(name):
        raise InputError(f"'{path}' was driven by another checkpoint. Give another folder with --out.")
    return record


def _settings(campaign: Campaign) -> dict[str, object]:
    """What must be equal for drives to be comparable, beside driver, checkpoint and rate."""
    rules = to_mapping(campaign.episode)
    rules.pop("replan_hz")
    return {"split": campaign.split, "rules": rules, "world": to_mapping(campaign.world), "versions": versions()}


def _same_settings(campaign: Campaign) -> None:
    path = campaign.out / SETTINGS
    if path.is_file() and json.loads(path.read_text()) != json.loads(json.dumps(_settings(campaign))):
        raise InputError(f"The drives in '{campaign.out}' were driven by other rules or in other towns. Give another --out.")


def _keep_settings(campaign: Campaign) -> None:
    with written_aside(campaign.out / SETTINGS) as aside:
        aside.write_text(json.dumps(_settings(campaign), indent=1, sort_keys=True) + "\n")


class _Worker:
    """A process with a pipe of its own: when it dies, it is known which drive it took along."""

    def __init__(self, campaign: Campaign, job: Job) -> None:
        # Spawned, not forked: neither an OpenGL context nor torch's threads survive a fork.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=work, args=(theirs, campaign, job))
        self.process.start()
        theirs.close()
        self.job = job

    def told(self) -> Told | None:
        """The next that it tells, or None when it is done. Raises ``EOFError`` where it died."""
        told: Told | None = self.pipe.recv()
        if told is not None and told.drive is not None:
            self.job = replace(self.job, drives=tuple(drive for drive in self.job.drives if drive != told.drive))
        return told

    def end(self) -> None:
        self.pipe.close()
        self.process.join()


def _worked(campaign: Campaign, jobs: Sequence[Job], workers: int) -> Iterator[Told]:
    """Every job, ``workers`` at a time. What a dead process has not begun is given to a new one."""
    if workers < 1:
        raise InputError(f"Driving needs at least one worker, got {workers}.")
    queue, crew = list(jobs), dict[Connection, _Worker]()
    try:
        while queue or crew:
            while queue and len(crew) < workers:
                worker = _Worker(campaign, queue.pop(0))
                crew[worker.pipe] = worker
            for pipe in wait(list(crew)):
                worker = crew[pipe]  # type: ignore[index]
                try:
                    told = worker.told()
                except (EOFError, OSError):
                    told, rest = _lost(worker)
                    queue[:0] = [rest] if rest.drives else []
                    crew.pop(worker.pipe).end()
                if told is not None:
                    yield told
                elif worker.pipe in crew:
                    crew.pop(worker.pipe).end()
    finally:
        for worker in crew.values():
            with suppress(OSError):
                worker.process.terminate()
            worker.end()


def _lost(worker: _Worker) -> tuple[Told, Job]:
    """What to tell of the drive that a dead process was at, and what is left of its job."""
    worker.process.join()
    job, error = worker.job, f"Its process ended with status {worker.process.exitcode}."
    if not job.drives:
        return Told(seed=job.seed, error=error), job
    return Told(seed=job.seed, drive=job.drives[0], error=error), replace(job, drives=job.drives[1:])
