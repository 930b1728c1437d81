"""``diffdrive checkpoint``: read the public checkpoint, and show what a checkpoint folder holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Register the verb and its two actions."""
    parser = subparsers.add_parser("checkpoint", help="import and inspect network weights", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    importer = actions.add_parser("import", help="turn the public DiffusionDrive checkpoint into a checkpoint folder")
    importer.add_argument("file", type=Path, metavar="FILE", help="the downloaded file; it needs no extension")
    importer.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    importer.add_argument("--half", action="store_true", help="store weights in half precision")
    importer.set_defaults(run=run_import)

    show = actions.add_parser("show", help="print what a checkpoint folder holds")
    show.add_argument("folder", type=Path, metavar="DIR")
    show.add_argument("--json", action="store_true", help="print config.json alone")
    show.set_defaults(run=run_show)


def run_import(args: argparse.Namespace) -> int:
    """Read strictly, then write."""
    from diffdrive.contracts import InputError
    from diffdrive.model.checkpoint import import_reference, num_parameters, save_checkpoint

    if args.out.exists() and not args.out.is_dir():
        raise InputError(f"--out must be a folder, but '{args.out}' is a file.")
    model = import_reference(args.file)
    save_checkpoint(args.out, model, {"source": "public DiffusionDrive checkpoint", "file": args.file.name}, half=args.half)
    print(f"{args.out}: {num_parameters(model):,} parameters from {args.file.name}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Load the weights, so that what is shown is known to work."""
    from diffdrive.configuration import to_mapping
    from diffdrive.model.checkpoint import CONFIG_FILE, load_checkpoint, load_metadata, num_parameters

    model = load_checkpoint(args.folder)
    if args.json:
        print(json.dumps(json.loads((args.folder / CONFIG_FILE).read_text())))
        return 0
    config = model.config
    print(f"{args.folder}: {num_parameters(model):,} parameters")
    print(f"encoders   {config.image_encoder.name} (camera), {config.lidar_encoder.name} (LiDAR)")
    print(f"camera     {config.inputs.camera_width} x {config.inputs.camera_height}")
    print(f"LiDAR      {config.inputs.lidar_pixels} x {config.inputs.lidar_pixels}, +-{config.inputs.lidar_range_m:g} m")
    print(f"proposals  {config.num_modes} x {config.targets.num_poses} poses, every {config.targets.interval_s:g} s")
    print(f"box        {json.dumps(to_mapping(config.normalizer))}")
    for key, value in load_metadata(args.folder).items():
        print(f"{key:10s} {value if isinstance(value, str) else json.dumps(value)}")
    return 0
