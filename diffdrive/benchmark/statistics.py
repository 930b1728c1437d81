"""What a split is made of, in tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from diffdrive.benchmark.drivers import DRIVERS
from diffdrive.benchmark.manifest import Benchmark, BenchmarkScene
from diffdrive.benchmark.tags import Density, EventTag, Light, Manoeuvre
from diffdrive.evaluation.table import Table

FAILED_BELOW = 0.5
NOTHING = "nothing"
"""Stands for a scene without events."""

TAGS: dict[str, tuple[str, ...]] = {
    "manoeuvre": tuple(each.value for each in Manoeuvre),
    "events": (*(each.value for each in EventTag), NOTHING),
    "density": tuple(each.value for each in Density),
    "light": tuple(each.value for each in Light),
}
"""Kinds of tags, and the words of each."""

_WORDS_OF: dict[str, Callable[[BenchmarkScene], set[str]]] = {
    "manoeuvre": lambda scene: {scene.tags.manoeuvre.value},
    "events": lambda scene: {event.value for event in scene.tags.events} or {NOTHING},
    "density": lambda scene: {scene.tags.density.value},
    "light": lambda scene: {scene.tags.light.value},
}


def counts(benchmark: Benchmark, kind: str) -> dict[str, int]:
    """Scenes by the words of a kind of tag (a key of ``TAGS``), zeros included; a scene may have several events."""
    return {word: len(scenes_with(benchmark.scenes, kind, word)) for word in TAGS[kind]}


def scores_of(scenes: Sequence[BenchmarkScene], driver: str) -> np.ndarray:
    """[S] PDMS of a driver, 0..1."""
    return np.array([scene.scores[driver] for scene in scenes], dtype=np.float64)


def driver_table(benchmark: Benchmark) -> Table:
    """Mean PDMS of each driver, and the shares of scenes it solves and fails, percent."""
    solved_above = benchmark.rules.solved_above
    rows = []
    for driver in DRIVERS:
        scores = scores_of(benchmark.scenes, driver)
        shares = (scores.mean(), (scores > solved_above).mean(), (scores < FAILED_BELOW).mean())
        rows.append((driver, *(f"{100 * share:.1f}" for share in shares)))
    return Table(columns=("driver", "PDMS", f"above {100 * solved_above:g}", f"below {100 * FAILED_BELOW:g}"), rows=tuple(rows))


def tag_table(benchmark: Benchmark, kind: str) -> Table:
    """Scenes of each tag of a kind, and how the drivers fare there (mean PDMS, percent); only tags that occur."""
    rows = []
    for word in TAGS[kind]:
        scenes = scenes_with(benchmark.scenes, kind, word)
        if scenes:
            means = (f"{100 * scores_of(scenes, driver).mean():.1f}" for driver in DRIVERS)
            rows.append((word, str(len(scenes)), f"{100 * len(scenes) / len(benchmark.scenes):.1f}", *means))
    return Table(columns=(kind, "scenes", "percent", *DRIVERS), rows=tuple(rows))


def dropped_table(benchmark: Benchmark) -> Table:
    """What became of every candidate."""
    total = benchmark.num_candidates
    chosen = ("chosen", len(benchmark.scenes))
    rows = [chosen, *sorted(benchmark.dropped.items(), key=lambda item: -item[1])]
    return Table(
        columns=("candidates", "scenes", "percent"),
        rows=tuple((name, str(count), f"{100 * count / total:.1f}") for name, count in rows),
    )


def statistics_text(benchmark: Benchmark) -> str:
    """All tables, ready to print."""
    head = (
        f"{benchmark.split}: {len(benchmark.scenes)} scenes of {len(benchmark.towns)} towns, "
        f"hash {benchmark.digest}, generator {benchmark.generator}, SUMO {benchmark.sumo}"
    )
    tables = [driver_table(benchmark), *(tag_table(benchmark, kind) for kind in TAGS), dropped_table(benchmark)]
    return "\n\n".join([head, *(table.text() for table in tables)])


def scenes_with(scenes: Sequence[BenchmarkScene], kind: str, word: str) -> list[BenchmarkScene]:
    """Those of ``scenes`` that have a tag: a kind in ``TAGS`` and one of its words."""
    return [scene for scene in scenes if word in _WORDS_OF[kind](scene)]
