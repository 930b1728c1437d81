"""``diffdrive evaluate``: compare planners over many scenes, by displacement or (``--metric``) by NAVSIM's scores."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.cli.benchmark_options import add_benchmark_option, scenes_of_benchmark
from diffdrive.cli.evaluate_metrics import add_metric_options, forbid_metric_options, run_metrics
from diffdrive.cli.progress import scene_progress
from diffdrive.cli.source_options import (
    add_checkpoint_options,
    add_source_options,
    checkpoint_folder,
    open_source,
    planner_of,
    require_sensors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffdrive.evaluation import Candidate, Evaluation
    from diffdrive.evaluation.names import PlannerName
    from diffdrive.runtime import Planner
    from diffdrive.scene import SceneSource

PLANNERS = ("network", "constant_velocity", "constant_turn_rate", "ego_status_mlp")


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate", help="compare planners over many scenes", description=__doc__
    )
    add_source_options(parser)
    add_checkpoint_options(parser)
    add_benchmark_option(parser, "its scenes alone (needs --data)")
    parser.add_argument("--scenes", type=int, metavar="N", help="evenly chosen over the source (default: all)")
    parser.add_argument(
        "--planners",
        "--planner",
        nargs="+",
        default=list(PLANNERS),
        metavar="NAME",
        help=f"{', '.join(PLANNERS)} (default: these), folders of checkpoints; with --metric also human, pdm_closed",
    )
    parser.add_argument(
        "--out", type=Path, metavar="PATH", help="write a report (FILE.html), or with --metric every score (a folder)"
    )
    add_metric_options(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of the table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate. Status 1 when a planner had to answer a scene with its fallback."""
    from diffdrive.contracts import InputError
    from diffdrive.evaluation import ALL, evaluate, story, summarise
    from diffdrive.evaluation.names import parse_planners

    names = parse_planners(args.planners)
    choose = scenes_of_benchmark(args, evenly)
    if args.metric is not None:
        return run_metrics(args, names, choose)
    forbid_metric_options(args)
    if args.out is not None and (args.out.suffix.lower() != ".html" or len(names) < 2):
        raise InputError(f"A report compares planners in an HTML file, got --out {args.out} and {len(names)} planner(s).")
    source = open_source(args)
    candidates, planner = _candidates(args, names, source)
    tokens = choose(source.tokens, args.scenes)
    evaluation = evaluate(
        source, candidates, tokens, sensors=planner is not None, on_scene=None if args.json else scene_progress(len(tokens))
    )
    baseline = "constant velocity" if "constant velocity" in evaluation.candidates else evaluation.candidates[-1]
    if args.out is not None:
        needs_checkpoint = any(name.kind in ("network", "ego_status_mlp") and name.folder is None for name in names)
        _write_report(args, evaluation, baseline, planner.engine.description if planner else "", needs_checkpoint)
    if args.json:
        print(json.dumps({"source": source.name, "results": [dataclasses.asdict(row) for row in summarise(evaluation, ALL)]}))
    else:
        print(story.results_table(evaluation, baseline).text())
        if args.out is not None:
            print(f"wrote {args.out}")
    return 0 if all(result.is_planned for result in evaluation.results) else 1


def _candidates(
    args: argparse.Namespace, names: Sequence[PlannerName], source: SceneSource
) -> tuple[list[Candidate], Planner | None]:
    """Who takes part, and the first network among them."""
    from diffdrive.contracts import InputError
    from diffdrive.evaluation import Candidate
    from diffdrive.evaluation.lineup import lineup
    from diffdrive.evaluation.names import BOUNDS, NETWORK

    if bounds := [name.kind for name in names if name.kind in BOUNDS]:
        raise InputError(f"{' and '.join(bounds)} can only be scored. Name a metric, for example --metric pdms,epdms.")
    networks: dict[PlannerName, Planner] = {}
    for name in names:
        if name.kind == NETWORK:
            require_sensors(source)
            networks[name] = planner_of(args if name.folder is None else _with_checkpoint(args, name.folder))
    first = next(iter(networks.values()), None)
    found: list[Candidate] = []
    for name in names:
        if name.folder is not None:
            found.append(Candidate(name.folder.resolve().name, networks[name].plan))
        else:
            found.extend(lineup([name.kind], checkpoint_folder(args), networks.get(name, first)))
    return found, first


def _with_checkpoint(args: argparse.Namespace, folder: Path) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), "checkpoint": folder})


def evenly(tokens: Sequence[str], count: int | None) -> tuple[str, ...]:
    """``count`` tokens at even distances, the whole sequence when it is None. Raises ``InputError`` for too many or none."""
    from diffdrive.contracts import InputError

    if count is None:
        return tuple(tokens)
    if not 1 <= count <= len(tokens):
        raise InputError(f"--scenes must be between 1 and {len(tokens)}, the number of scenes there are, got {count}.")
    return tuple(tokens[int((index + 0.5) * len(tokens) / count)] for index in range(count))


def _write_report(args: argparse.Namespace, evaluation: Evaluation, baseline: str, engine: str, needs_checkpoint: bool) -> None:
    from diffdrive.evaluation import Report, sections, story, write_report

    ours = evaluation.candidates[0]
    rival = sections.closest_rival(evaluation, ours)
    parts = [*sections.result_sections(evaluation, ours, rival, baseline)]
    if engine:
        parts.append(sections.timing_section(evaluation, ours, engine))
    report = Report(
        title=f"{ours} on {evaluation.source}",
        lead=story.lead_sentence(evaluation, ours, rival),
        sections=tuple(parts),
        conditions=sections.conditions(evaluation, checkpoint=checkpoint_folder(args) if needs_checkpoint else None),
    )
    write_report(report, args.out)
