"""What is kept of a drive: one JSON file, the same bytes for the same drive."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.simulation.infractions import Infraction


class EndReason(enum.Enum):
    """Why a drive was over."""

    GOAL = "goal"
    TIME = "time"
    COLLISION = "collision"
    OFF_ROUTE = "off_route"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeen:
    """A scripted event within reach of the ego."""

    kind: str
    tokens: tuple[str, ...]
    first_s: float
    """Since the drive began."""

    last_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRecord:
    """One drive of one driver. Scores and shares are 0..1."""

    episode: str
    """The name of the log that it begins in."""

    driver: str
    checkpoint: str
    """Digest of the network's weights; '' for drivers without."""

    replan_hz: float
    driving_score: float
    route_completion: float
    end: EndReason
    duration_s: float
    driven_m: float
    route_m: float
    """From start to goal."""

    infractions: tuple[Infraction, ...]
    contacts_without_fault: tuple[str, ...]
    off_road_share: float
    wrong_way_share: float
    comfort: float
    time_to_collision: float
    min_ttc_s: float | None
    """None where nothing was ever nearer than the horizon."""

    events: tuple[EventSeen, ...]
    statuses: dict[str, int]
    """How many plans had which status."""

    poses: tuple[tuple[float, float, float], ...]
    """Rear axle, world frame, at every step."""


def write_record(record: EpisodeRecord, path: Path) -> None:
    """Whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(to_mapping(record), sort_keys=True) + "\n")


def read_record(path: Path) -> EpisodeRecord:
    """Raises ``InputError`` for a file that is no record."""
    try:
        return build(EpisodeRecord, json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"'{path}' is no record of a drive: {error} Remove it: it is driven again.") from error


def records_below(folders: Sequence[Path]) -> list[EpisodeRecord]:
    """Every record in ``folders`` and in the folders of drivers below them. Raises ``InputError`` for a folder without any."""
    found: list[EpisodeRecord] = []
    for folder in folders:
        paths = sorted(path for pattern in ("town*.json", "*hz/town*.json") for path in Path(folder).glob(pattern))
        if not paths:
            raise InputError(f"'{folder}' holds no drives. Give the --out of a run of diffdrive drive.")
        found += [read_record(path) for path in paths]
    return found
