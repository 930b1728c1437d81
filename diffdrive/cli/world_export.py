"""``diffdrive world export-navsim``: any 123D logs as data that the NAVSIM devkits load, cache and score."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.cli.world_render import SCALES

if TYPE_CHECKING:
    from diffdrive.openscene import LogToExport
    from diffdrive.scene import Scene
    from diffdrive.sources import Arrow123dSource, LogSummary


def add_parser(verbs: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "export-navsim", help="logs as NAVSIM data: OpenScene pickles, sensor files, nuPlan maps"
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="folder that holds logs/ and maps/")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument("--split", metavar="NAME", help="put every log into this split (default: each log's own)")
    parser.add_argument("--logs", nargs="+", metavar="NAME", help="only these logs")
    parser.add_argument("--city", default="us-ma-boston", metavar="NAME", help="the city to pose as (default us-ma-boston)")
    parser.add_argument("--no-sensors", action="store_true", help="neither images nor point clouds")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep rendered sensors here")
    parser.add_argument(
        "--cameras", choices=("front", "all"), default="front", help="front: render three cameras; all: eight (default front)"
    )
    parser.add_argument(
        "--scale",
        choices=tuple(SCALES),
        default="quarter",
        help="quarter: render 480 x 270 and enlarge; full: render 1920 x 1080 (default quarter)",
    )
    parser.add_argument(
        "--renderer", choices=("auto", "gl", "embree"), default="auto", help="what draws missing cameras (default auto)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the export and say what it holds. Raises ``InputError`` for bad folders, names and logs, as ``export_logs``."""
    from diffdrive.cli.progress import scene_progress
    from diffdrive.openscene import export_logs

    source, load = _open(args)
    logs = [_log(source, summary, args.split or summary.split, load) for summary in source.logs]
    frames = sum(len(log.tokens) for log in logs)
    export_logs(logs, args.out, city=args.city, sensors=not args.no_sensors, tell=scene_progress(frames))
    splits = sorted({log.split for log in logs})
    print(f"{len(logs)} logs with {frames} frames as {args.city} in {args.out} (splits: {', '.join(splits)})")
    return 0


def _open(args: argparse.Namespace) -> tuple[Arrow123dSource, Callable[[str], Scene]]:
    """The logs as frames without past and future, and what loads a frame as it is to be written."""
    # Of a frame's surroundings nothing is written: maps are written whole.
    cut: dict[str, Any] = {"logs": args.logs, "history_s": 0, "future_s": 0, "map_radius_m": 1.0}
    if args.no_sensors:
        from diffdrive.sources import Arrow123dSource

        source = Arrow123dSource(args.data, **cut)
        return source, partial(source.load, sensors=False)
    from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_RIG, rig_at
    from diffdrive.world.source import WorldSource

    rig = rig_at(SCALES[args.scale], NUPLAN_FRONT_RIG if args.cameras == "front" else NUPLAN_RIG)
    rendered = WorldSource(args.data, cache=args.cache, renderer=args.renderer, rig=rig, **cut)
    return rendered.logs, rendered.load


def _log(source: Arrow123dSource, summary: LogSummary, split: str, load: Callable[[str], Scene]) -> LogToExport:
    from diffdrive.openscene import LogToExport

    tokens = tuple(scene.token for scene in summary.scenes)
    return LogToExport(
        name=summary.log_name,
        split=split,
        location=summary.location,
        vector_map=source.world_map(tokens[0]),
        route=_route(source, tokens),
        tokens=tokens,
        load=load,
    )


def _route(source: Arrow123dSource, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """A lane of each block of the planned route or, where none was planned, of the driven one, extended straight ahead."""
    import numpy as np

    from diffdrive.geometry import to_world
    from diffdrive.scoring.preparation.map_matching import matched_route
    from diffdrive.scoring.preparation.vector_map_graph import lane_graph_of

    first = source.load(tokens[0], sensors=False)
    if first.route is None:
        path = np.array([source.load(token, sensors=False).world_from_ego[:2] for token in tokens])
    else:
        path = to_world(first.route, first.world_from_ego)
    graph = lane_graph_of(source.world_map(tokens[0]))
    blocks = matched_route(graph, path, float(first.world_from_ego[2]))
    return tuple(graph.blocks[block].lane_ids[0] for block in blocks)
