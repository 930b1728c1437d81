"""The options that say which scenes a verb works on, shared by the verbs that plan."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.cli.openscene_options import add_openscene_options, forbid_openscene_options, open_openscene

if TYPE_CHECKING:
    from diffdrive.runtime import Planner
    from diffdrive.scene import SceneSource

SOURCES = ("drivetown", "logs", "openscene", "nuscenes")
JUMPS = ("reference", "reference-1", "reference-3", "ddim", "ddim-1", "ddim-3", "vanilla-20")
"""The names in ``diffusion.JUMP_TABLES``, which needs torch: a command line is parsed without."""


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """``--source`` and what belongs to it."""
    parser.add_argument(
        "--source",
        choices=SOURCES,
        default="drivetown",
        help="drivetown: logs of the embedded world, sensors rendered; logs: any 123D logs, sensors as recorded; "
        "openscene: NAVSIM data; nuscenes: one real frame (default drivetown)",
    )
    parser.add_argument(
        "--logs",
        "--data",
        type=Path,
        metavar="DIR",
        help="data root (holds logs/ and maps/; NAVSIM's holds navsim_logs/), or the frame's folder (default: shipped)",
    )
    parser.add_argument("--speed", type=float, metavar="V", help="nuscenes: ego speed in m/s, which the frame does not state")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="drivetown: keep rendered sensors here; openscene: an index of the logs"
    )
    parser.add_argument(
        "--renderer", choices=("auto", "gl", "embree"), default="auto", help="drivetown: what draws the cameras (default auto)"
    )
    add_openscene_options(parser)


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    """Which network plans, and how it samples."""
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="folder of a planner (default: the shipped nano)")
    add_jumps_option(parser)
    parser.add_argument(
        "--engine",
        default="eager",
        metavar="NAME[:PRECISION]",
        help="what runs the network, for example native or compiled:bf16 (default eager)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default cpu)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise that plans start from (default 0)")


def add_jumps_option(parser: argparse.ArgumentParser) -> None:
    """Which table of denoising steps."""
    parser.add_argument(
        "--jumps", choices=JUMPS, help="denoising steps (default: the planner's own, reference where it starts from anchors)"
    )


def open_source(args: argparse.Namespace, *, future_s: float = 4.0, map_radius_m: float = 120.0) -> SceneSource:
    """The source that the options ask for; scenes cut from logs hold ``future_s`` of future and ``map_radius_m`` of map.

    Raises ``InputError`` for options that do not go together and for bad folders.
    """
    from diffdrive.contracts import InputError

    if args.source != "nuscenes" and args.speed is not None:
        raise InputError(f"--speed belongs to --source nuscenes; the logs of '{args.source}' state the ego's speed.")
    if args.source == "openscene":
        return open_openscene(args, future_s=future_s, map_radius_m=map_radius_m)
    forbid_openscene_options(args)
    if args.source == "drivetown":
        from diffdrive.assets import LOGS
        from diffdrive.world.source import WorldSource

        logs = args.logs or LOGS
        return WorldSource(logs, cache=args.cache, renderer=args.renderer, future_s=future_s, map_radius_m=map_radius_m)
    if args.source == "logs":
        from diffdrive.sources import Arrow123dSource

        if args.logs is None:
            raise InputError("--source logs needs --logs DIR, the folder that holds logs/ and maps/.")
        return Arrow123dSource(args.logs, future_s=future_s, map_radius_m=map_radius_m)
    from diffdrive.sources.nuscenes_sample import NuscenesSampleSource

    if args.speed is None:
        raise InputError("--source nuscenes needs --speed V in m/s: the frame does not state how fast the car was.")
    return NuscenesSampleSource(args.logs or real_frame_folder(), args.speed)


def real_frame_folder() -> Path:
    """Where the real nuScenes frame is looked for: below DIFFDRIVE_REAL_DATA, or in shared/real beside the checkout."""
    return Path(os.environ.get("DIFFDRIVE_REAL_DATA", "../shared/real")) / "nuscenes_sample"


def checkpoint_folder(args: argparse.Namespace) -> Path:
    """The checkpoint that the options ask for."""
    from diffdrive.assets import CHECKPOINTS

    return args.checkpoint or CHECKPOINTS / "nano"


def jump_table(args: argparse.Namespace) -> Any:
    """The table of denoising steps that the options ask for; None: the planner's own."""
    from diffdrive.diffusion import JUMP_TABLES

    return None if args.jumps is None else JUMP_TABLES[args.jumps]


def planner_of(args: argparse.Namespace) -> Planner:
    """The planner that the options ask for, warmed up: a first call that compiles or allocates would be no plan's time."""
    from diffdrive.runtime import EngineChoice, EngineOptions, Planner

    choice = EngineChoice.parse(args.engine)
    options = EngineOptions(jumps=jump_table(args), precision=choice.precision, device=str(device_of(args)))
    planner = Planner.from_checkpoint(checkpoint_folder(args), engine=choice.name, options=options, seed=args.seed)
    planner.warm_up()
    return planner


def device_of(args: argparse.Namespace) -> Any:
    """The torch device of ``--device``. Raises ``InputError`` for another word, and for CUDA where there is none."""
    import torch

    from diffdrive.contracts import InputError

    try:
        device = torch.device(args.device)
    except RuntimeError as error:
        raise InputError(f"--device must be cpu, cuda or cuda:N, got '{args.device}'.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {args.device}: torch sees no CUDA device here. Use --device cpu, or a machine with a GPU.")
    return device


def find_token(source: SceneSource, scene: str) -> str:
    """The token that ``scene`` names: a token itself, or an index. Raises ``InputError`` for neither."""
    from diffdrive.contracts import InputError

    tokens = source.tokens
    if scene in tokens:
        return scene
    if scene.isdecimal() and int(scene) < len(tokens):
        return tokens[int(scene)]
    example = f", for example {tokens[0]}" if tokens else ""
    raise InputError(
        f"Source '{source.name}' has no scene '{scene}'. Give an index below {len(tokens)} or a token{example}; "
        "diffdrive scenes --tokens lists them."
    )


def require_sensors(source: SceneSource) -> None:
    """Raise ``InputError`` for a source whose scenes the network cannot see."""
    from diffdrive.contracts import InputError
    from diffdrive.scene import Modality

    missing = [modality.value for modality in (Modality.CAMERAS, Modality.LIDAR) if modality not in source.modalities]
    if missing:
        has = ", ".join(sorted(modality.value for modality in source.modalities)) or "nothing"
        raise InputError(
            f"The network needs cameras and LiDAR; source '{source.name}' has no {' and no '.join(missing)} (it has: {has}). "
            "Use --source drivetown to render them, where the logs have a map."
        )
