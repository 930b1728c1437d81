"""A town made ready for drives: SUMO's files, what stands in it, where drives can begin. Kept on disk: it takes a minute.

A start is a curated window of the town. Its ego is replaced a second and a half into it: at the first scene of its log.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import folder_written_aside
from diffdrive.geometry import wrap_angle
from diffdrive.log123d.write import LogRecord
from diffdrive.scene import Agents
from diffdrive.world.events import EventKind
from diffdrive.world.manifest import versions
from diffdrive.world.manoeuvres import EgoMotion
from diffdrive.world.records import log_record
from diffdrive.world.roads import RoadNetwork, build_network, lay_out
from diffdrive.world.simulation import SimulatedTown, WorldConfig, location_of, simulate_town
from diffdrive.world.traffic import Track
from diffdrive.world.traffic.demand import demand_xml
from diffdrive.world.traffic.events import EventPlan, plan_events, write_plan

HISTORY_STEPS = 15
"""Steps of 0.1 s that a scene looks back, and so the first step of a log at which the ego can be taken over."""

FORMAT = 1
"""Goes up with every change to what a kept stage holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where one drive begins: ``HISTORY_STEPS`` into a window of the town."""

    number: int
    """Of the window."""

    ego: str
    """The track that is replaced."""

    record: LogRecord
    """Motion and route of the log, without anybody else."""

    expert: EgoMotion
    """What SUMO's driver did from ``first_step`` on, as long as the recording goes."""

    events: tuple[EventKind, ...]
    """What the log sees by script."""

    @property
    def name(self) -> str:
        """The log's."""
        return self.record.name

    @property
    def first_step(self) -> int:
        """Of the simulation: the last one that is as recorded."""
        return round(int(self.record.timestamps_us[HISTORY_STEPS]) / 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A town and the drives that can begin in it."""

    seed: int
    network: RoadNetwork
    plan: EventPlan
    box_radius_m: float
    """How far a scene's agents and lights reach."""

    standing: Agents
    """Parked cars and the things that block streets, world frame."""

    starts: tuple[Start, ...]

    @property
    def location(self) -> str:
        """Name of the town."""
        return location_of(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFiles:
    """What SUMO reads of a town."""

    folder: Path

    @property
    def network(self) -> Path:
        return self.folder / "town.net.xml"

    @property
    def routes(self) -> Path:
        return self.folder / "town.rou.xml"

    @property
    def plan(self) -> Path:
        return self.folder / "events.json"


def open_stage(seed: int, config: WorldConfig, cache: Path, *, split: str) -> tuple[Stage, StageFiles]:
    """The town of ``seed``, from ``cache`` where it has been there before; otherwise it is simulated and kept.

    Raises ``InputError`` where SUMO is missing and where the town has no drive worth a log.
    """
    folder = Path(cache) / f"{location_of(seed)}-{_key(config, split)}"
    kept = folder / "stage.pickle"
    if not kept.is_file():
        town = simulate_town(seed, config)
        try:
            with folder_written_aside(folder) as aside:
                _write(town, config, split, aside)
        except OSError:
            # Somebody else made the same town meanwhile.
            if not kept.is_file():
                raise
    try:
        stage = pickle.loads(kept.read_bytes())
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
        raise InputError(f"The kept town '{folder}' cannot be read: {error!r}. Remove it: it is made again.") from error
    return stage, StageFiles(folder=folder)


def _key(config: WorldConfig, split: str) -> str:
    """Of everything that a stage depends on beside the seed."""
    text = json.dumps([FORMAT, split, to_mapping(config), versions()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _write(town: SimulatedTown, config: WorldConfig, split: str, folder: Path) -> None:
    built = build_network(lay_out(town.seed, config.town), folder)
    files = StageFiles(folder=folder)
    built.replace(files.network)
    files.routes.write_text(demand_xml(town.network, town.seed, config.traffic))
    plan = plan_events(town.network, town.seed, config.events)
    write_plan(files.plan, plan)
    stage = Stage(
        seed=town.seed,
        network=town.network,
        plan=plan,
        box_radius_m=config.box_radius_m,
        standing=_standing(town, plan),
        starts=tuple(_start(town, k, split) for k in range(len(town.windows))),
    )
    (folder / "stage.pickle").write_bytes(pickle.dumps(stage))


def _start(town: SimulatedTown, number: int, split: str) -> Start:
    window = town.windows[number]
    rows = slice(window.first_step + HISTORY_STEPS - window.track.first_step, None)
    motion = window.motion
    return Start(
        number=number,
        ego=window.track.token,
        # Nobody is within no distance: who else is there is simulated anew.
        record=log_record(town, number, split=split, radius_m=0.0),
        expert=EgoMotion(
            poses=motion.poses[rows].copy(),
            velocities=motion.velocities[rows].copy(),
            accelerations=motion.accelerations[rows].copy(),
            yaw_rates=motion.yaw_rates[rows].copy(),
        ),
        events=window.events,
    )


def _standing(town: SimulatedTown, plan: EventPlan) -> Agents:
    props = {token for site in plan.bottlenecks for token in site.tokens}
    tracks: list[Track] = [*(track for track in town.recording.tracks if track.token in props), *town.parked]
    if not tracks:
        return Agents.none()
    poses, sizes = np.array([track.poses[0] for track in tracks]), np.array([track.size for track in tracks])
    return Agents(
        track_tokens=tuple(track.token for track in tracks),
        kinds=tuple(track.kind for track in tracks),
        boxes=np.column_stack([poses[:, :2], wrap_angle(poses[:, 2]), sizes[:, :2]]),
        vertical=np.column_stack([sizes[:, 2] / 2, sizes[:, 2]]),
        velocities=np.zeros((len(tracks), 2)),
    )
