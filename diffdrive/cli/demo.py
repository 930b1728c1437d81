"""``diffdrive demo``: render scenes of the embedded world, plan them with the shipped network, compare, report.

Also plans one real frame, where a nuScenes sample is at hand. Everything is written below ``--out``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.cli.evaluate import evenly
from diffdrive.cli.progress import scene_progress
from diffdrive.cli.source_options import real_frame_folder, require_sensors
from diffdrive.files import written_aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffdrive.evaluation import Candidate, Evaluation, Section

NUM_SCENES = 54
NUM_PICTURES = 6
BASELINE = "constant velocity"


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo", help="plan, compare and report with what is shipped", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="default out/demo")
    parser.add_argument("--scenes", type=int, default=NUM_SCENES, metavar="N", help=f"default {NUM_SCENES}")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="other logs of the embedded world (default: shipped)")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="another planner (default: the shipped nano)")
    parser.add_argument("--renderer", choices=("auto", "gl", "embree"), default="auto", help="what draws the cameras")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo. Status 1 when the network had to fall back in a scene. Raises ``InputError`` for missing parts."""
    import diffdrive.viz  # noqa: F401  a missing matplotlib must be told before the work, not after it
    from diffdrive.assets import CHECKPOINTS, LOGS
    from diffdrive.contracts import InputError
    from diffdrive.evaluation import Report, evaluate, sections, story, write_report
    from diffdrive.evaluation.lineup import PLANNERS, lineup
    from diffdrive.runtime import Planner
    from diffdrive.world.source import WorldSource

    begin = time.monotonic()
    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"--out must be a folder, but '{args.out}' is a file.")
    checkpoint = args.checkpoint or CHECKPOINTS / "nano"
    source = WorldSource(args.logs or LOGS, cache=args.out / "sensors", renderer=args.renderer)
    require_sensors(source)
    tokens = evenly(source.tokens, args.scenes)
    planner = Planner.from_checkpoint(checkpoint)
    planner.warm_up()
    candidates = lineup(PLANNERS, checkpoint, planner)
    ours, engine = candidates[0].name, planner.engine.description
    _say(f"Rendering and planning {len(tokens)} of {len(source.tokens)} scenes.")
    evaluation = evaluate(source, candidates, tokens, on_scene=scene_progress(len(tokens)))
    rival = sections.closest_rival(evaluation, ours)
    _say(f"Drawing {min(NUM_PICTURES, len(tokens))} of them.")
    parts = [
        *sections.result_sections(evaluation, ours, rival, BASELINE),
        sections.gallery(source, evaluation, candidates, ours, NUM_PICTURES),
        *_real_frame(candidates, ours, args.out),
        sections.timing_section(evaluation, ours, engine),
        _limits(),
    ]
    report = Report(
        title=f"{ours} on the embedded world",
        lead=story.lead_sentence(evaluation, ours, rival),
        highlights=_highlights(evaluation, ours),
        sections=tuple(parts),
        conditions=sections.conditions(evaluation, checkpoint=checkpoint, extra={"Cameras": source.renderer_description}),
    )
    path = write_report(report, args.out / "report.html")
    print(story.results_table(evaluation, BASELINE).text())
    print(f"wrote {path} in {time.monotonic() - begin:.0f} s")
    return 0 if all(result.is_planned for result in evaluation.results) else 1


def _real_frame(candidates: Sequence[Candidate], ours: str, out: Path) -> list[Section]:
    """The real frame's picture, in the report and beside it, where the frame is there."""
    from diffdrive.evaluation import Figure, Section, sections
    from diffdrive.sources.nuscenes_sample import NuscenesSampleSource

    folder = real_frame_folder()
    if not (folder / "sample.json").is_file():
        _say(f"No real frame at {folder}: that part is left out (DIFFDRIVE_REAL_DATA says where to look).")
        return []
    speed = NuscenesSampleSource(folder, 0.0).implied_speed_mps
    source = NuscenesSampleSource(folder, speed)
    scene = source.load(source.tokens[0])
    # A turn rate needs two poses, and a single frame has one.
    able = [candidate for candidate in candidates if candidate.name in (ours, BASELINE)]
    content = sections.picture(scene, sections.overlay(scene, able, ours))
    with written_aside(out / "real_frame.webp") as aside:
        aside.write_bytes(content)
    _say(f"Planned the real frame at {folder}: {out / 'real_frame.webp'}.")
    figure = Figure(
        content=content,
        title="A real frame (nuScenes).",
        caption=f"Ego speed {speed:.1f} m/s, from the frame's own calibration; no route, so the command is unknown. The "
        "network has seen only the embedded world: this shows that real data flows through, and nothing about quality.",
    )
    return [Section(title="One real frame", figures=(figure,))]


def _highlights(evaluation: Evaluation, ours: str) -> tuple[tuple[str, str], ...]:
    from statistics import median

    from diffdrive.evaluation import summarise

    mine = next(summary for summary in summarise(evaluation) if summary.candidate == ours)
    milliseconds = 1e3 * median(result.timing.total_s for result in evaluation.of(ours))
    return (
        (f"{mine.ade_mean_m:.2f} m", "average displacement of the chosen trajectory"),
        (f"{mine.min_ade_mean_m:.2f} m", f"of the closest of {mine.num_proposals} proposals"),
        (f"{mine.num_scenes}", f"scenes of {len({result.location for result in evaluation.results})} towns"),
        (f"{milliseconds:.0f} ms", "median time of a plan on this machine"),
    )


def _limits() -> Section:
    from diffdrive.evaluation import Section

    return Section(
        title="What this does not show",
        paragraphs=(
            "The towns, their traffic and their sensors are synthetic; the driver that is imitated is a simulated one. Numbers "
            "do not carry over to real roads or to NAVSIM.",
            "A few drives in a few towns: the intervals tell how much the result hangs on these drives, not on these towns.",
            "Displacement says how close a plan is to one driver's choice, not whether it is safe, legal or comfortable.",
        ),
    )


def _say(message: str) -> None:
    print(message, flush=True)
