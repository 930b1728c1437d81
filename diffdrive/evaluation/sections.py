"""The parts of a comparison report, in the order a reader wants them: result, situations, pictures, speed, conditions."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.evaluation import story
from diffdrive.evaluation.aggregate import BY_COMMAND, BY_SPEED, summarise
from diffdrive.evaluation.conditions import checkpoint_hash, machine, training_locations
from diffdrive.evaluation.evaluate import Candidate, Evaluation
from diffdrive.evaluation.report import Figure, Section
from diffdrive.runtime import Plan
from diffdrive.scene import Scene, SceneSource, Trajectory

if TYPE_CHECKING:
    from diffdrive.viz import PlanOverlay

OURS_COLOUR = "#d55e00"
OTHER_COLOURS = ("#0072b2", "#000000", "#8a5a00", "#cc79a7")
"""The colours that the pictures give to the chosen trajectory and to the others, in order."""

PICTURE_DPI = 150


def colours(evaluation: Evaluation, ours: str) -> dict[str, str]:
    """CSS colour of every candidate, the same as in the pictures. Raises ``InputError`` for more than five candidates."""
    others = [name for name in evaluation.candidates if name != ours]
    if len(others) > len(OTHER_COLOURS):
        raise InputError(f"A comparison shows at most {1 + len(OTHER_COLOURS)} candidates, got {1 + len(others)}.")
    return {ours: OURS_COLOUR, **dict(zip(others, OTHER_COLOURS, strict=False))}


def closest_rival(evaluation: Evaluation, ours: str) -> str:
    """The other candidate with the smallest mean ADE. Raises ``InputError`` when there is no other."""
    means = {summary.candidate: summary.ade_mean_m for summary in summarise(evaluation) if summary.candidate != ours}
    if not means:
        raise InputError(f"'{ours}' is the only candidate. Compare it with at least one other.")
    return min(means, key=lambda name: means[name])


def result_sections(evaluation: Evaluation, ours: str, rival: str, baseline: str) -> tuple[Section, ...]:
    """The main table and charts (``ours`` against ``rival``; differences to ``baseline``), then the situations."""
    every = summarise(evaluation)
    mean = {summary.candidate: summary for summary in every}[ours]
    return (
        Section(
            title="How far from what was driven",
            paragraphs=(
                "Every planner sees the same observations: sensors, ego motion and driving command, never the future. Open "
                "loop: displacement from one driver's choice, which is not a measure of safety.",
            ),
            tables=(story.results_table(evaluation, baseline, highlight=ours),),
            figures=story.charts(evaluation, colours(evaluation, ours), ours=ours, rival=rival),
            in_pairs=True,
        ),
        Section(
            title="By situation",
            paragraphs=(f"{mean.num_misses} of {mean.num_scenes} scenes end more than 2 m from the driven pose for {ours}.",),
            tables=(story.group_table(evaluation, BY_COMMAND), story.group_table(evaluation, BY_SPEED)),
        ),
    )


def timing_section(evaluation: Evaluation, ours: str, engine: str) -> Section:
    """How long plans of ``ours`` took; ``engine`` describes what ran."""
    timings = [result.timing for result in evaluation.of(ours)]
    return Section(title="How long a plan takes", paragraphs=(f"Engine {engine}.",), tables=(story.timing_table(timings),))


def conditions(
    evaluation: Evaluation, *, checkpoint: Path | None = None, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a reader needs to repeat the measurement."""
    logs = {result.log_name for result in evaluation.results}
    locations = sorted({result.location for result in evaluation.results})
    shown = ", ".join(locations[:6]) + (" ..." if len(locations) > 6 else "")
    found = {"Scenes": f"{len(evaluation.tokens)} of source {evaluation.source}: {len(logs)} logs, locations {shown}"}
    if checkpoint is not None:
        found["Held out"] = held_out(evaluation, checkpoint)
        found["Checkpoint"] = f"{checkpoint.resolve().name}, SHA-256 {checkpoint_hash(checkpoint)}"
    return found | dict(extra or {}) | machine()


def held_out(evaluation: Evaluation, checkpoint: Path) -> str:
    """Whether training has seen the evaluated locations, in words, from what the checkpoint says about its data."""
    seen = training_locations(checkpoint)
    if seen is None:
        return "not known: the checkpoint does not say where it was trained"
    both = sorted(seen & {result.location for result in evaluation.results})
    if both:
        return f"no: training or validation used {', '.join(both)}"
    return "yes: no location was used for training or validation"


def gallery(source: SceneSource, evaluation: Evaluation, candidates: Sequence[Candidate], ours: str, count: int) -> Section:
    """Pictures of ``count`` scenes, chosen by rank: from the smallest to the largest ADE of ``ours`` at equal steps.

    Needs matplotlib; raises ``InputError`` without it.
    """
    ranked = sorted(evaluation.of(ours), key=lambda result: result.ade_m)
    ranks = sorted({round(rank) for rank in np.linspace(0, len(ranked) - 1, min(count, len(ranked)))})
    figures = []
    for rank in ranks:
        result = ranked[rank]
        scene = source.load(result.token)
        figures.append(
            Figure(
                content=picture(scene, overlay(scene, candidates, ours)),
                title=f"Rank {rank + 1} of {len(ranked)}: ADE {result.ade_m:.2f} m, minADE {result.min_ade_m:.2f} m.",
                caption=f"{result.log_name}, {result.speed_mps:.1f} m/s, command {result.command.name.lower()}.",
            )
        )
    return Section(
        title="What the plans look like",
        paragraphs=(
            f"Not the best ones: scenes at equal steps of rank, from where {ours} is closest to where it is farthest. Above, "
            "the cameras; below, the view from above with every proposal, darker the higher its score.",
        ),
        figures=tuple(figures),
    )


def overlay(scene: Scene, candidates: Sequence[Candidate], ours: str) -> PlanOverlay:
    """What is drawn over a scene: the proposals and choice of ``ours``, and every other candidate's trajectory."""
    from diffdrive.viz import PlanOverlay

    answers = {candidate.name: candidate.plan(scene.observation) for candidate in candidates}
    mine = answers.pop(ours)
    others = {name: _trajectory(answer) for name, answer in answers.items()}
    if isinstance(mine, Plan) and len(mine.proposals):
        return PlanOverlay(chosen=mine.trajectory, proposals=mine.proposals, scores=mine.scores, baselines=others)
    return PlanOverlay(chosen=_trajectory(mine), baselines=others)


def picture(scene: Scene, drawn: PlanOverlay) -> bytes:
    """The picture of a scene as WebP bytes: cameras, view from above, legend."""
    from PIL import Image

    from diffdrive.viz import draw_scene

    png, webp = io.BytesIO(), io.BytesIO()
    draw_scene(scene, drawn).savefig(png, format="png", dpi=PICTURE_DPI)
    # A fifth of the size of the PNG, at a quality where lines and letters stay clean.
    Image.open(png).convert("RGB").save(webp, "webp", quality=90, method=4)
    return webp.getvalue()


def _trajectory(answer: Plan | Trajectory) -> Trajectory:
    return answer.trajectory if isinstance(answer, Plan) else answer
