"""A process that makes towns ready and lets drives happen, one after the other, and tells of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.simulation.drivers import DriverName, Lineup
from diffdrive.simulation.episode import EpisodeConfig, Wheel, drive_episode
from diffdrive.simulation.record import EpisodeRecord, write_record
from diffdrive.simulation.stage import Stage, StageFiles, Start, open_stage
from diffdrive.simulation.traffic import Traffic
from diffdrive.simulation.view import Sensors
from diffdrive.world.simulation import WorldConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Everything that drives have in common."""

    out: Path
    """A folder for each driver, in it a file for each episode."""

    cache: Path
    """Where towns are kept between runs."""

    split: str
    """The split that the towns' logs belong to: train, val or test."""

    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    world: WorldConfig = field(default_factory=WorldConfig)
    checkpoint: Path | None = None
    renderer: str = "auto"
    has_video: bool = False
    """Whether each drive is filmed, beside its file."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Episode:
    """A window of a town: where drives begin."""

    seed: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Drives in one town; without drives the town is made ready."""

    seed: int
    drives: tuple[tuple[Episode, DriverName], ...] = ()
    """Those of one episode follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one drive, or of making a town ready."""

    seed: int
    drive: tuple[Episode, DriverName] | None = None
    record: EpisodeRecord | None = None
    num_starts: int = 0
    """Of a town that was made ready."""

    error: str = ""
    """Why there is nothing; empty where there is."""

    took_s: float = 0.0


def record_path(campaign: Campaign, name: DriverName, episode: str) -> Path:
    """Where the drive of a driver is kept."""
    return campaign.out / f"{str(name).replace(':', '+')}-{campaign.episode.replan_hz:g}hz" / f"{episode}.json"


def work(pipe: Connection, campaign: Campaign, job: Job) -> None:
    """Do ``job`` and send a ``Told`` for each part of it, then None."""
    begin = time.perf_counter()
    try:
        stage, files = open_stage(job.seed, campaign.world, campaign.cache, split=campaign.split)
    except Exception as error:  # one town must not cost the others
        for drive in job.drives or (None,):
            pipe.send(Told(seed=job.seed, drive=drive, error=_described(error)))
        pipe.send(None)
        return
    if not job.drives:
        pipe.send(Told(seed=job.seed, num_starts=len(stage.starts), took_s=time.perf_counter() - begin))
    crew = _Crew(campaign, stage, files)
    for episode in dict.fromkeys(episode for episode, _ in job.drives):
        names = [name for each, name in job.drives if each == episode]
        for told in crew.drives(episode, names):
            pipe.send(told)
    pipe.send(None)


class _Crew:
    """What drives in one town share: the network, the renderer, the town itself."""

    def __init__(self, campaign: Campaign, stage: Stage, files: StageFiles) -> None:
        self._campaign, self._stage, self._files = campaign, stage, files
        self._lineup = Lineup(campaign.checkpoint)
        self._sensors: Sensors | None = None

    def drives(self, episode: Episode, names: list[DriverName]) -> Iterator[Told]:
        """One after the other, from the same moment of the same traffic."""
        starts = self._stage.starts
        if episode.number >= len(starts):
            error = f"{self._stage.location} has {len(starts)} windows, there is no number {episode.number}."
            yield from (Told(seed=episode.seed, drive=(episode, name), error=error) for name in names)
            return
        start = starts[episode.number]
        with Traffic(self._stage, self._files, start, self._campaign.episode.num_steps) as traffic:
            for name in names:
                begin = time.perf_counter()
                try:
                    record = self._drive(start, traffic, name)
                except Exception as error:  # one drive must not cost the others
                    yield Told(seed=episode.seed, drive=(episode, name), error=_described(error))
                    continue
                took_s = time.perf_counter() - begin
                yield Told(seed=episode.seed, drive=(episode, name), record=record, took_s=took_s)

    def _drive(self, start: Start, traffic: Traffic, name: DriverName) -> EpisodeRecord:
        driver = self._lineup.driver(name, start)
        if driver.needs_sensors and self._sensors is None:
            self._sensors = Sensors(self._campaign.renderer)
        wheel = Wheel(
            driver=driver,
            name=str(name),
            checkpoint=self._lineup.checkpoint_digest(name),
            sensors=self._sensors if driver.needs_sensors else None,
        )
        path = record_path(self._campaign, name, start.name)
        if not self._campaign.has_video:
            record = drive_episode(self._stage, start, traffic, wheel, self._campaign.episode)
        else:
            # Imported where a film is made: matplotlib is not needed to drive.
            from diffdrive.simulation.video import PICTURES_PER_S, Film
            from diffdrive.viz.film import FilmWriter

            with FilmWriter(path.with_suffix(".mp4"), pictures_per_s=PICTURES_PER_S) as writer:
                film = Film(writer, title=f"{start.name}   ·   {name}")
                record = drive_episode(self._stage, start, traffic, wheel, self._campaign.episode, [film])
                film.end(record)
        write_record(record, path)
        return record


def _described(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
