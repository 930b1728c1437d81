"""Drives as tables: means with bootstrap intervals over episodes, paired differences, and who mastered which event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffdrive.contracts import InputError

if TYPE_CHECKING:
    from diffdrive.evaluation import Interval
    from diffdrive.evaluation.table import Table
    from diffdrive.simulation.record import EpisodeRecord

_SEED = 0
_COLUMNS = (
    "driver", "drives", "driving score", "route %", "collisions", "red lights", "off road %", "wrong way %",
    "comfort %", "TTC %", "min TTC s",
)  # fmt: skip
Drives = dict[str, dict[str, "EpisodeRecord"]]
"""By driver and rate, then by episode."""


def write_lines(records: Sequence[EpisodeRecord], path: Path) -> None:
    """One line of JSON a drive, sorted by driver and episode."""
    from diffdrive.configuration import to_mapping
    from diffdrive.files import written_aside

    ordered = sorted(records, key=lambda record: (record.driver, record.episode))
    with written_aside(path) as aside:
        aside.write_text("".join(json.dumps(to_mapping(record), sort_keys=True) + "\n" for record in ordered))


def tables(records: Sequence[EpisodeRecord]) -> str:
    """Everything there is to compare, ready to print. Raises ``InputError`` for no records, and for two of one drive."""
    drives: Drives = {}
    for record in records:
        own = drives.setdefault(_label(record), {})
        if record.episode in own:
            raise InputError(f"Two drives of {record.episode} by {_label(record)}: name folders that do not overlap.")
        own[record.episode] = record
    if not drives:
        raise InputError("There are no drives to compare in these folders. Drive some: diffdrive drive --out DIR.")
    parts = [_means(drives).text()]
    if len(drives) > 1:
        parts.append(_differences(drives).text())
    events = _events(drives)
    if events.rows:
        parts.append(events.text())
    return "\n\n".join(parts)


def _label(record: EpisodeRecord) -> str:
    checkpoint = f" {record.checkpoint[:6]}" if record.checkpoint else ""
    return f"{record.driver}{checkpoint}, {record.replan_hz:g} Hz"


def _means(drives: Drives) -> Table:
    from diffdrive.evaluation.table import Table

    return Table(columns=_COLUMNS, rows=tuple(_row(label, list(own.values())) for label, own in drives.items()))


def _row(label: str, found: Sequence[EpisodeRecord]) -> tuple[str, ...]:
    return (
        label,
        str(len(found)),
        _shown(_interval([100 * r.driving_score for r in found], found)),
        _shown(_interval([100 * r.route_completion for r in found], found)),
        _mean([sum(i.kind.is_collision for i in r.infractions) for r in found], 2),
        _mean([sum(not i.kind.is_collision for i in r.infractions) for r in found], 2),
        _mean([100 * r.off_road_share for r in found], 1),
        _mean([100 * r.wrong_way_share for r in found], 1),
        _mean([100 * r.comfort for r in found], 0),
        _mean([100 * r.time_to_collision for r in found], 0),
        _median([r.min_ttc_s for r in found if r.min_ttc_s is not None]),
    )


def _differences(drives: Drives) -> Table:
    """Every driver against the first, on the episodes that both drove."""
    from diffdrive.evaluation.table import Table

    first, *others = drives
    rows = []
    for label in others:
        ours, theirs = drives[label], drives[first]
        if shared := sorted(set(ours) & set(theirs)):
            gains = [100 * (ours[name].driving_score - theirs[name].driving_score) for name in shared]
            rows.append((label, str(len(shared)), _shown(_interval(gains, [ours[name] for name in shared]), sign=True)))
    return Table(columns=(f"compared with {first}", "drives", "driving score"), rows=tuple(rows))


def _events(drives: Drives) -> Table:
    """Of the drives that met an event of a kind, the share without an infraction while it was near."""
    from diffdrive.evaluation.table import Table

    kinds = sorted({event.kind for own in drives.values() for record in own.values() for event in record.events})
    rows = []
    for label, own in drives.items():
        cells = []
        for kind in kinds:
            met = [(record, event) for record in own.values() for event in record.events if event.kind == kind]
            good = sum(not any(event.first_s <= i.time_s <= event.last_s for i in record.infractions) for record, event in met)
            cells.append(f"{good} of {len(met)}" if met else "-")
        rows.append((label, *cells))
    return Table(columns=("events without an infraction", *kinds), rows=tuple(rows) if kinds else ())


def _interval(values: Sequence[float], records: Sequence[EpisodeRecord]) -> Interval:
    """Of one value a record. Towns are drawn, not episodes: those of one town resemble each other."""
    import numpy as np

    from diffdrive.evaluation import mean_interval

    towns = [record.episode.partition("-")[0] for record in records]
    return mean_interval(values, np.random.default_rng(_SEED), clusters=towns)


def _shown(interval: Interval, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    return f"{interval.mean:{plus}.1f} [{interval.low:{plus}.1f}, {interval.high:{plus}.1f}]"


def _mean(values: Sequence[float], digits: int) -> str:
    return f"{sum(values) / len(values):.{digits}f}"


def _median(values: Sequence[float]) -> str:
    return f"{sorted(values)[len(values) // 2]:.1f}" if values else "-"
