"""From an evaluation to the tables and charts that a report shows. Says what was measured and nothing more."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.evaluation.aggregate import ALL, Grouping, Interval, Summary, mean_interval, paired_difference, summarise
from diffdrive.evaluation.charts import Series, line_chart, scatter_chart, strip_chart
from diffdrive.evaluation.displacement import MISS_M
from diffdrive.evaluation.evaluate import Evaluation, SceneResult
from diffdrive.evaluation.report import Figure
from diffdrive.evaluation.table import Table
from diffdrive.runtime import PlanTiming

MIN_DRIVES = 10
"""With fewer, resampling drives says little; the bootstrap then draws scenes, and its intervals are too narrow."""

Colours = Mapping[str, str]
"""CSS colour of each candidate."""


def results_table(evaluation: Evaluation, baseline: str, *, highlight: str | None = None, seed: int = 0) -> Table:
    """The main result: one row per candidate, with the paired difference in ADE to ``baseline`` and its 95 % interval."""
    scores = ("ADE", "median", "FDE", "median", "minADE", "diversity")
    columns = ("planner", *scores, f"FDE > {MISS_M:g} m", f"ADE vs {baseline}")
    summaries = summarise(evaluation)
    rows = [(*_cells(summary), _difference(evaluation, summary.candidate, baseline, seed)) for summary in summaries]
    caption = (
        "Displacements in metres, means and medians over scenes. ADE: chosen trajectory, mean over its poses. FDE: its last "
        "pose. minADE: the closest of all proposals (@ their number), which needs the answer to be chosen. Diversity: how "
        "little the proposals cover the same ground (0 .. 1). The last column is "
        f"the mean paired difference with its 95 % bootstrap interval over {drawn(evaluation)} (seeded); negative is closer."
    )
    names = [summary.candidate for summary in summaries]
    return Table(
        columns=columns,
        rows=tuple(rows),
        caption=caption,
        highlight=names.index(highlight) if highlight is not None else None,
    )


def _cells(summary: Summary) -> tuple[str, ...]:
    name = summary.candidate + (f" ({summary.num_fallbacks} fallbacks)" if summary.num_fallbacks else "")
    numbers = (summary.ade_mean_m, summary.ade_median_m, summary.fde_mean_m, summary.fde_median_m)
    closest = f"{summary.min_ade_mean_m:.2f} @{summary.num_proposals}"
    misses = f"{summary.num_misses} of {summary.num_scenes}"
    return (name, *(f"{number:.2f}" for number in numbers), closest, f"{summary.diversity_mean:.2f}", misses)


def _difference(evaluation: Evaluation, candidate: str, baseline: str, seed: int) -> str:
    if candidate == baseline:
        return "-"
    interval = _paired(evaluation, candidate, baseline, seed)
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def drawn(evaluation: Evaluation) -> str:
    """What the bootstrap draws: drives, whose scenes resemble each other, or scenes where there are few drives."""
    return "drives" if len({result.log_name for result in evaluation.results}) >= MIN_DRIVES else "scenes"


def _cluster_of(evaluation: Evaluation) -> Callable[[SceneResult], str]:
    return operator.attrgetter("log_name" if drawn(evaluation) == "drives" else "token")


def _paired(evaluation: Evaluation, candidate: str, baseline: str, seed: int) -> Interval:
    generator = np.random.default_rng(seed)
    return paired_difference(evaluation, candidate, baseline, generator, cluster_of=_cluster_of(evaluation))


def group_table(evaluation: Evaluation, grouping: Grouping, *, value: str = "ADE") -> Table:
    """Mean ADE (or ``minADE``) of every candidate in every group that has scenes; metres."""
    value_of: dict[str, Callable[[Summary], float]] = {"ADE": lambda s: s.ade_mean_m, "minADE": lambda s: s.min_ade_mean_m}
    if value not in value_of:
        raise InputError(f"group_table shows {' or '.join(value_of)}, got '{value}'.")
    cells: dict[str, list[str]] = {}
    for summary in summarise(evaluation, grouping):
        row = cells.setdefault(summary.group, [summary.group, str(summary.num_scenes)])
        row.append(f"{value_of[value](summary):.2f}")
    return Table(
        columns=(grouping.name, "scenes", *evaluation.candidates),
        rows=tuple(tuple(row) for row in cells.values()),
        caption=f"Mean {value} in metres by {grouping.name}. Groups of a few scenes say little.",
    )


def timing_table(timings: Sequence[PlanTiming]) -> Table:
    """Median, 95th percentile and maximum of every stage of a plan, milliseconds."""
    if not timings:
        raise InputError("timing_table needs at least one plan's timing.")
    stages = ("features_s", "network_s", "selection_s", "total_s")
    rows = []
    for stage in stages:
        values = 1e3 * np.array([getattr(timing, stage) for timing in timings])
        rows.append(
            (stage.removesuffix("_s"), *(f"{number:.1f}" for number in (*np.quantile(values, [0.5, 0.95]), values.max())))
        )
    caption = (
        f"Milliseconds per plan over {len(timings)} plans, batch 1, after one warm-up. Features: images and sweep to tensors. "
        "Network: to proposals in host memory. Host clock, machine as under Conditions, other load not excluded."
    )
    return Table(columns=("stage", "p50", "p95", "max"), rows=tuple(rows), caption=caption)


def charts(evaluation: Evaluation, colours: Colours, *, ours: str, rival: str, seed: int = 0) -> tuple[Figure, ...]:
    """Spread of the ADE, growth over the horizon, worth of the proposals, and scene by scene ``ours`` against ``rival``."""
    count = len(evaluation.tokens)
    ade = {name: tuple(result.ade_m for result in evaluation.of(name)) for name in evaluation.candidates}
    closer = sum(a < b for a, b in zip(ade[ours], ade[rival], strict=True))
    across, up = (Series(name=name, colour=colours[name], values=ade[name]) for name in (rival, ours))
    scatter = Figure(
        content=scatter_chart(across, up, "ADE, m"),
        title=f"{ours} is closer to what was driven in {closer} of {count} scenes.",
        caption=f"One dot per scene. Tinted: {ours} closer than {rival}.",
    )
    return (
        _spread_chart(evaluation, colours, seed),
        _horizon_chart(evaluation, colours),
        _best_of_chart(evaluation, colours),
        scatter,
    )


def _spread_chart(evaluation: Evaluation, colours: Colours, seed: int) -> Figure:
    generator = np.random.default_rng(seed)
    series = []
    for name in evaluation.candidates:
        values = tuple(result.ade_m for result in evaluation.of(name))
        clusters = [_cluster_of(evaluation)(result) for result in evaluation.of(name)]
        interval = mean_interval(values, generator, clusters=clusters)
        series.append(Series(name=name, colour=colours[name], values=values, interval=interval))
    return Figure(
        content=strip_chart(series, "average displacement of the chosen trajectory, m"),
        title="Average displacement, scene by scene.",
        caption=f"One dot per scene ({len(evaluation.tokens)}). Diamond and bar: mean and its 95 % bootstrap interval "
        f"over {drawn(evaluation)}.",
    )


def _horizon_chart(evaluation: Evaluation, colours: Colours) -> Figure:
    shapes = {(result.interval_s, len(result.displacement_m)) for result in evaluation.results}
    if len(shapes) > 1:
        raise InputError(f"Candidates that plan at different times cannot share a chart: {sorted(shapes)}.")
    ((interval_s, num_poses),) = shapes
    series = []
    for name in evaluation.candidates:
        curve = np.mean([result.displacement_m for result in evaluation.of(name)], axis=0)
        series.append(Series(name=name, colour=colours[name], values=tuple(float(value) for value in curve)))
    times = [interval_s * (index + 1) for index in range(num_poses)]
    return Figure(
        content=line_chart(series, times, "time ahead, s", "mean displacement, m", from_origin=True),
        title="Displacement over the horizon.",
        caption="Mean over scenes of the distance between the chosen and the driven pose at each time.",
    )


def _best_of_chart(evaluation: Evaluation, colours: Colours) -> Figure:
    most = max(result.num_proposals for result in evaluation.results)
    series = []
    for name in evaluation.candidates:
        rows = [result.best_of_ade_m for result in evaluation.of(name)]
        curve = np.mean([row + row[-1:] * (most - len(row)) for row in rows], axis=0)
        series.append(Series(name=name, colour=colours[name], values=tuple(float(value) for value in curve)))
    return Figure(
        content=line_chart(series, range(1, most + 1), "proposals allowed, highest score first", "minADE, m"),
        title="What a better choice could still gain.",
        caption="Mean ADE of the closest among the k proposals with the highest scores. At 1 it is the ADE of the chosen one; "
        f"at {most} the choice is perfect. Planners with a single trajectory are flat lines.",
    )


def lead_sentence(evaluation: Evaluation, ours: str, rival: str, seed: int = 0) -> str:
    """The result in words, with its uncertainty: what a reader should remember."""
    mean = {summary.candidate: summary.ade_mean_m for summary in summarise(evaluation, ALL)}
    interval = _paired(evaluation, ours, rival, seed)
    scenes = len(evaluation.tokens)
    return (
        f"Over {scenes} scenes the trajectory that {ours} chooses is on average {mean[ours]:.2f} m from the one that was "
        f"driven; {rival} is {mean[rival]:.2f} m away. {_verdict(interval, ours, rival)}"
    )


def _verdict(interval: Interval, ours: str, rival: str) -> str:
    bounds = f"{interval.mean:+.2f} m, 95 % interval {interval.low:+.2f} to {interval.high:+.2f} m"
    if not interval.excludes_zero:
        return f"The difference is not settled by so few scenes ({bounds})."
    closer = ours if interval.mean < 0 else rival
    return f"{closer[:1].upper()}{closer[1:]} is closer ({bounds})."
