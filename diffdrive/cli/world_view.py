"""``diffdrive world view``: look at a drive, in py123d's viewer or as a recording for Rerun."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffdrive.scene import Scene
    from diffdrive.sources import Arrow123dSource
    from diffdrive.viz.overlay import PlanOverlay
    from diffdrive.viz.rerun_log import LogFrame
    from diffdrive.world.source import WorldSource

FRAME_S = 0.1
SENSOR_S = 0.5
SCENES_US = 500_000
"""Between the scenes that have tags."""

HISTORY_S = 0.5
"""What planners need to know of the past."""


def add_parser(verbs: Any) -> None:
    """Register the verb below ``world``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "view", help="look at a log of any 123D data root: in a browser, or as a recording for Rerun"
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="folder that holds logs/ and maps/")
    parser.add_argument("--log", metavar="NAME", help="which log (default: the first; the browser can go on to the others)")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--rerun", type=Path, metavar="FILE.rrd", help="write a recording; open it with: rerun FILE.rrd")
    target.add_argument("--viser", action="store_true", help="serve py123d's viewer to a browser (default)")
    parser.add_argument("--port", type=int, metavar="N", help="of the viewer (default 8080)")
    parser.add_argument(
        "--sensors", action="store_true", help="recording: cameras and LiDAR every half second, rendered where the log has none"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="recording: sensors that world render kept, and those drawn now"
    )
    parser.add_argument(
        "--planner",
        metavar="NAME",
        help="recording: the plan of network, constant-velocity, constant-turn-rate, ego-status-mlp or a checkpoint folder, "
        "every half second",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the recording, or serve until interrupted. Raises ``InputError`` for options that do not go together."""
    from diffdrive.contracts import InputError

    if args.rerun is None:
        if args.sensors or args.planner is not None or args.cache is not None:
            raise InputError(
                "--sensors, --cache and --planner belong to --rerun FILE.rrd. The browser shows the sensors that a log holds; "
                "diffdrive world generate --sensors writes them into its logs."
            )
        return _serve(args)
    if args.port is not None:
        raise InputError("--port belongs to --viser; a recording needs none.")
    return _record(args)


def _serve(args: argparse.Namespace) -> int:
    from diffdrive.log123d.viser_viewer import HOST, serve_viser

    folders = _folders(args.data, args.log)
    port = 8080 if args.port is None else args.port
    print(f"{len(folders)} logs of {args.data} at http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    try:
        serve_viser(folders, args.data, port=port)
    except KeyboardInterrupt:
        print("ended")
    return 0


def _record(args: argparse.Namespace) -> int:
    import diffdrive.viz  # noqa: F401  what is missing must be told before the work
    from diffdrive.viz.rerun_log import write_rerun_log

    name = _folders(args.data, args.log)[0].name
    planner, sees = (None, False) if args.planner is None else _planner(args.planner)
    sensors = args.sensors or sees
    source = _open(args, name, history_s=0.0 if planner is None else HISTORY_S, sensors=sensors)
    token = source.tokens[0]
    frames = _frames(source, _notes(args.data, source, name), planner, sensors=sensors)
    count = write_rerun_log(args.rerun, frames, source.world_map(token), vehicle=source.vehicle(token))
    print(f"wrote {count} frames of {name} to {args.rerun}, {args.rerun.stat().st_size / 2**20:.1f} MiB")
    return 0


def _folders(root: Path, name: str | None) -> list[Path]:
    """The log called ``name``, or every log. Raises ``InputError`` for a root without logs and for an unknown name."""
    from diffdrive.contracts import InputError
    from diffdrive.log123d.find import find_logs

    folders = list(find_logs(root))
    if name is None:
        return folders
    if found := [folder for folder in folders if folder.name == name]:
        return found[:1]
    raise InputError(f"'{root}' has no log called '{name}'. It has: {', '.join(folder.name for folder in folders)}.")


def _open(args: argparse.Namespace, name: str, *, history_s: float, sensors: bool) -> Arrow123dSource | WorldSource:
    """Every frame of one log; only where sensors are wanted is what renders them needed."""
    from diffdrive.contracts import InputError
    from diffdrive.sources import Arrow123dSource

    window: dict[str, Any] = {"logs": [name], "history_s": history_s, "future_s": 0.0, "stride_s": FRAME_S}
    if sensors:
        from diffdrive.world.source import WorldSource

        source: Arrow123dSource | WorldSource = WorldSource(args.data, cache=args.cache, **window)
    else:
        source = Arrow123dSource(args.data, **window)
    if not source.tokens:
        raise InputError(f"Log '{name}' is too short to show. Name another one with --log.")
    return source


def _frames(
    source: Arrow123dSource | WorldSource,
    note: Callable[[Scene], str],
    planner: Callable[[Scene], PlanOverlay] | None,
    *,
    sensors: bool,
) -> Iterator[LogFrame]:
    from diffdrive.viz.rerun_log import LogFrame

    next_us = source.info(source.tokens[0]).timestamp_us
    for token in source.tokens:
        is_due = source.info(token).timestamp_us >= next_us
        next_us += round(SENSOR_S * 1e6) if is_due else 0
        scene = source.load(token, sensors=sensors and is_due)
        plan = planner(scene) if planner is not None and is_due else None
        yield LogFrame(scene=scene, plan=plan, note=note(scene))


def _planner(word: str) -> tuple[Callable[[Scene], PlanOverlay], bool]:
    """What plans a scene, and whether it needs sensors. Raises ``InputError`` for what is no planner."""
    from diffdrive.assets import CHECKPOINTS
    from diffdrive.contracts import InputError
    from diffdrive.evaluation.names import BOUNDS, PlannerName
    from diffdrive.evaluation.scoring import entrants
    from diffdrive.runtime import Plan
    from diffdrive.viz.overlay import PlanOverlay

    name = PlannerName.parse(word)
    if name.kind in BOUNDS:
        raise InputError(f"'{name.kind}' is no planner: it knows more than a car may. The driven path is always drawn.")
    entrant = entrants([name], CHECKPOINTS / "nano")[0]
    planner: Any = entrant.make()

    def plan(scene: Scene) -> PlanOverlay:
        made = planner.plan(scene.observation)
        if isinstance(made, Plan):
            return PlanOverlay(chosen=made.trajectory, proposals=made.proposals, scores=made.scores)
        return PlanOverlay(chosen=made)

    return plan, entrant.needs_sensors


def _notes(root: Path, source: Arrow123dSource | WorldSource, name: str) -> Callable[[Scene], str]:
    """Where, how fast, under which light, the tags of the benchmark and which scripted events are on, as Markdown."""
    from diffdrive.world.conditions import conditions_of
    from diffdrive.world.manifest import manifest_path, read_manifest

    info = source.info(source.tokens[0])
    path = manifest_path(root, info.location)
    town = read_manifest(path) if path.is_file() else {}
    events = town.get("events", {}).get(name, [])
    light, tags = conditions_of(name).light.value, _tags(root, name, town)

    def note(scene: Scene) -> str:
        ego = scene.observation.ego
        on = [event for event in events if event["first_us"] <= ego.timestamp_us <= event["last_us"]]
        lines = [
            f"**{name}** in {info.location}",
            f"{ego.speed:.1f} m/s, command: {scene.observation.command.name.lower()}, light when rendered: {light}",
            tags(scene.token),
            *(f"**{event['kind'].replace('_', ' ')}**" for event in on),
        ]
        return "\n\n".join(line for line in lines if line)

    return note


def _tags(root: Path, name: str, town: Mapping[str, Any]) -> Callable[[str], str]:
    """What the benchmark says of the scene that began last; nothing before the first one and after the last one."""
    from diffdrive.benchmark.candidates import script_of
    from diffdrive.benchmark.tags import tag_scene
    from diffdrive.scene import Modality
    from diffdrive.sources import Arrow123dSource

    scenes = Arrow123dSource(root, logs=[name])
    starts = {scenes.info(token).timestamp_us: token for token in scenes.tokens}
    script = script_of(town, name)
    if not starts or not {Modality.AGENTS, Modality.MAP} <= scenes.modalities:
        return lambda token: ""

    @lru_cache(maxsize=1)
    def words(begun: str) -> str:
        tags = tag_scene(scenes.load(begun, sensors=False), script)
        return ", ".join([tags.manoeuvre.value, tags.density.value, *(event.value for event in tags.events)]).replace("_", " ")

    def now(token: str) -> str:
        time_us = int(token.rpartition("-")[2])
        begun = max((start for start in starts if start <= time_us), default=None)
        return "" if begun is None or time_us - begun >= SCENES_US else words(starts[begun])

    return now
