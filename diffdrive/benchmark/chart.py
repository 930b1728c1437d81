"""What a split is made of, as a picture. Needs the extra ``viz``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffdrive.benchmark.drivers import DRIVERS
from diffdrive.benchmark.manifest import Benchmark, BenchmarkScene
from diffdrive.benchmark.statistics import TAGS, scenes_with, scores_of
from diffdrive.viz import save_figure
from diffdrive.viz.tag_chart import TagRow, draw_tags

_LABELS = {name: name.replace("_", " ") for name in DRIVERS} | {"pdm_closed": "PDM-Closed"}


def draw_benchmark(benchmark: Benchmark, path: Path) -> Path:
    """One row a tag, those that no scene has included: its scenes, and the mean PDMS of every driver in them.

    Returns ``path``. Raises ``InputError`` as ``viz.save_figure`` does.
    """
    figure = draw_tags(
        _row("all scenes", benchmark.scenes),
        [[_row(word, scenes_with(benchmark.scenes, kind, word)) for word in words] for kind, words in TAGS.items()],
        title=f"DriveTown {benchmark.split}: {len(benchmark.scenes)} scenes of {len(benchmark.towns)} towns",
        score="PDMS",
    )
    return save_figure(figure, path)


def _row(word: str, scenes: Sequence[BenchmarkScene]) -> TagRow:
    means = {_LABELS[name]: float(scores_of(scenes, name).mean()) for name in DRIVERS} if scenes else {}
    return TagRow(name=word.replace("_", " "), count=len(scenes), means=means)
