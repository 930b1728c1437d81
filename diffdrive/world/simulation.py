"""A seed becomes a town and what happened in it: roads, traffic, and the choice of drives. Nothing is written."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.world.curation import CurationConfig, Window, choose_windows
from diffdrive.world.roads import RoadNetwork, TownConfig, build_network, lay_out, read_network
from diffdrive.world.traffic import Recording, Track, TrafficConfig, record
from diffdrive.world.traffic.clearing import without_blockers
from diffdrive.world.traffic.demand import OCCUPANCY_FACTORS, demand_level
from diffdrive.world.traffic.events import EventConfig
from diffdrive.world.traffic.recording import INTERVAL_S
from diffdrive.world.traffic.standing import parked_cars

MAX_OCCUPANCY = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """Everything that shapes a data set of the embedded world, beside the seeds."""

    town: TownConfig = field(default_factory=TownConfig)
    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    events: EventConfig = field(default_factory=EventConfig)
    curation: CurationConfig = field(default_factory=CurationConfig)
    box_radius_m: float = 110.0
    """Agents and lights farther from the ego than this are not annotated."""

    sensors: bool = False
    """Whether the logs hold images and sweeps (about 25 times the space, 15 times the time); they can be rendered later."""

    compression_level: int = 3
    """zstd, 1 (fast) to 19 (small)."""


@dataclass(slots=True)
class StageClock:
    """Seconds that each stage took."""

    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, float] = field(default_factory=dict)
    _last: float | None = None

    def __post_init__(self) -> None:
        self._last = self.clock()

    def lap(self, stage: str) -> None:
        """The time since the last lap went into ``stage``."""
        now = self.clock()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - (self._last or 0.0), 2)
        self._last = now


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTown:
    """A town and what happened in it."""

    seed: int
    network: RoadNetwork
    recording: Recording
    parked: tuple[Track, ...]
    windows: tuple[Window, ...]

    @property
    def location(self) -> str:
        """Name of the town."""
        return location_of(self.seed)


def location_of(seed: int) -> str:
    """Name of the town of a seed."""
    return f"town{seed:04d}"


def simulate_town(seed: int, config: WorldConfig, clock: StageClock | None = None) -> SimulatedTown:
    """Roads, traffic and the choice of windows. The same seed and configuration give the same town.

    Raises ``InputError`` where SUMO is missing or no window is good enough.
    """
    if seed < 0:
        raise InputError(f"A town's seed must not be negative, got {seed}.")
    clock = clock or StageClock()
    with tempfile.TemporaryDirectory(prefix=f"{location_of(seed)}-") as folder:
        network_file = build_network(lay_out(seed, config.town), Path(folder))
        network = read_network(network_file)
        clock.lap("roads")
        recording = record(network, network_file, seed, config.traffic, config.events)
    clock.lap("simulation")
    occupancy = min(MAX_OCCUPANCY, config.town.parking_occupancy * OCCUPANCY_FACTORS[demand_level(seed, config.traffic)])
    parked = without_blockers(parked_cars(network, seed, occupancy, recording.steps), recording.tracks)
    first_step = round(config.traffic.warm_up_s / INTERVAL_S)
    windows = choose_windows(recording, parked, network, config.curation, first_step)
    clock.lap("curation")
    if not windows:
        raise InputError(f"{location_of(seed)} has no drive that meets the rules of curation. Relax them or take another seed.")
    return SimulatedTown(seed=seed, network=network, recording=recording, parked=parked, windows=windows)
