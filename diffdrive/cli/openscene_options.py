"""The options that choose scenes of NAVSIM data, for ``--source openscene``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffdrive.sources.openscene_log import OpenSceneLogSource

_OPTIONS = {"split": None, "scene_filter": None, "sensors": None, "maps": None, "across_gaps": False}


def add_openscene_options(parser: argparse.ArgumentParser) -> None:
    """What belongs to ``--source openscene`` besides ``--data`` and ``--cache``."""
    group = parser.add_argument_group("NAVSIM data (--source openscene)")
    group.add_argument("--split", metavar="NAME", help="folder of logs below DATA/navsim_logs (default: the only one)")
    group.add_argument("--scene-filter", type=Path, metavar="FILE", help="the devkit's YAML of a split, such as navtest.yaml")
    group.add_argument("--sensors", type=Path, metavar="DIR", help="sensor files (default: DATA/sensor_blobs/NAME)")
    group.add_argument("--maps", type=Path, metavar="DIR", help="nuPlan maps (default: DATA/maps)")
    group.add_argument(
        "--across-gaps",
        action="store_true",
        help="take frames for half a second apart whatever their times, as the devkit does",
    )


def forbid_openscene_options(args: argparse.Namespace) -> None:
    """Raise ``InputError`` where one was given for another source."""
    from diffdrive.contracts import InputError

    given = [f"--{name.replace('_', '-')}" for name, default in _OPTIONS.items() if getattr(args, name, default) != default]
    if given:
        raise InputError(f"{' and '.join(given)}: only --source openscene has such options, got --source {args.source}.")


def open_openscene(args: argparse.Namespace, *, future_s: float, map_radius_m: float) -> OpenSceneLogSource:
    """The source that the options ask for, with at least ``future_s`` of future."""
    from diffdrive.contracts import InputError
    from diffdrive.openscene.scene_filter import read_scene_filter
    from diffdrive.sources.openscene_log import OpenSceneLogSource

    if args.logs is None:
        raise InputError("--source openscene needs --data DIR, the folder that holds navsim_logs/, sensor_blobs/ and maps/.")
    chosen = None if args.scene_filter is None else read_scene_filter(args.scene_filter)
    options = {} if chosen is None else chosen.options(future_s=future_s)
    return OpenSceneLogSource(
        args.logs,
        split=args.split,
        sensors_folder=args.sensors,
        maps_folder=args.maps,
        index=args.cache,
        across_gaps=args.across_gaps,
        map_radius_m=map_radius_m,
        **({"future_s": future_s} | options),
    )
