"""From measured rows to the table: means over seeds, their spread, and paired intervals against the baseline row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ablation_measure import Measured
from ablation_plan import Published, Row

from diffdrive.evaluation.aggregate import Interval, mean_interval

_SHORT = {
    "no_at_fault_collisions": "NC",
    "drivable_area_compliance": "DAC",
    "ego_progress": "EP",
    "time_to_collision": "TTC",
    "comfort": "C",
}
_IN_PERCENT = ("pdms", *_SHORT, "diversity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table; scores and diversity in percent, distances in metres."""

    name: str
    title: str
    seeds: int
    means: dict[str, float]
    spread: float | None
    """Standard deviation of PDMS over the seeds, percent; None for one seed."""

    difference: Interval | None
    """PDMS minus the baseline's, percent, over the same seeds and scenes; logs drawn with replacement."""

    parameters: int | None
    milliseconds: float | None
    training_minutes: float | None
    published: Published | None

    def as_json(self) -> dict[str, Any]:
        """In plain types."""
        return asdict(self)


def line(
    row: Row,
    by_seed: dict[int, Measured],
    baseline: dict[int, Measured],
    logs: Sequence[str],
    *,
    parameters: int | None = None,
    milliseconds: float | None = None,
    training_minutes: float | None = None,
) -> Line:
    """Scenes are paired, so what makes a scene hard for both cancels; seeds that only one of the two has are left out."""
    means = {
        name: float(np.mean([measured.values[name].mean() for measured in by_seed.values()]))
        for name in next(iter(by_seed.values())).values
    }
    totals = [100.0 * measured.values["pdms"].mean() for measured in by_seed.values()]
    common = sorted(set(by_seed) & set(baseline))
    difference = None
    if common and by_seed is not baseline:
        pairs = [by_seed[seed].values["pdms"] - baseline[seed].values["pdms"] for seed in common]
        difference = mean_interval(list(100.0 * np.mean(pairs, axis=0)), np.random.default_rng(0), clusters=logs)
    return Line(
        name=row.name,
        title=row.title,
        seeds=len(by_seed),
        means={name: 100.0 * value if name in _IN_PERCENT else value for name, value in means.items()},
        spread=float(np.std(totals, ddof=1)) if len(totals) > 1 else None,
        difference=difference,
        parameters=parameters,
        milliseconds=milliseconds,
        training_minutes=training_minutes,
        published=row.published,
    )


def markdown(lines: Sequence[Line]) -> str:
    """The table, as it stands in the documentation."""
    names = list(_SHORT.values())
    head = ["row", "seeds", "PDMS", "minus baseline (95 %)", *names, "minADE m", "D %", "params M", "ms", "paper"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *(_cells(each) for each in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _cells(each: Line) -> list[str]:
    spread = "" if each.spread is None else f" ± {each.spread:.1f}"
    gap = each.difference
    return [
        each.title,
        str(each.seeds),
        f"{each.means['pdms']:.1f}{spread}",
        "" if gap is None else f"{gap.mean:+.1f} ({gap.low:+.1f} .. {gap.high:+.1f})",
        *(f"{each.means[name]:.1f}" for name in _SHORT),
        f"{each.means['min_ade']:.2f}",
        f"{each.means['diversity']:.0f}",
        "" if each.parameters is None else f"{each.parameters / 1e6:.2f}",
        "" if each.milliseconds is None else f"{each.milliseconds:.0f}",
        _published(each.published),
    ]


def _published(found: Published | None) -> str:
    if found is None:
        return ""
    parts = [f"table {found.table}"]
    if found.pdms is not None:
        parts.append(f"{found.pdms:g}")
    if found.diversity is not None:
        parts.append(f"D {found.diversity:g}")
    if found.params_m is not None:
        parts.append(f"{found.params_m:g} M")
    if found.note:
        parts.append(found.note)
    return ", ".join(parts)
