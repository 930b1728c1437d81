"""``diffdrive export``: write a planner's network to one file that runs without this package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from diffdrive.cli.source_options import add_jumps_option, checkpoint_folder, jump_table

FORMATS = {"onnx": ".onnx", "aot": ".pt2"}


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export", help="write a network that runs without this package", description=__doc__
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=".onnx for onnxruntime and TensorRT, .pt2 for machine code of this machine (AOTInductor)",
    )
    parser.add_argument("--format", choices=tuple(FORMATS), help="onnx or aot (default: what FILE ends in)")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="folder of a planner (default: the shipped nano)")
    add_jumps_option(parser)
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="of all but the decoder, which is fp32 (default fp32)",
    )
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="scenes per call of the file (default 1)")
    parser.add_argument("--device", default="cpu", help="what a .pt2 is compiled for: cpu or cuda (default cpu)")
    parser.add_argument("--agents", action="store_true", help="also return the agent boxes")
    parser.add_argument("--bev", action="store_true", help="also return the BEV semantics")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, and say what the file takes and returns."""
    kind = args.format or _kind(args.out)
    from diffdrive.model.checkpoint import load_checkpoint
    from diffdrive.runtime import EngineOptions, Precision
    from diffdrive.runtime.export import export_aot, export_onnx

    options = EngineOptions(
        jumps=jump_table(args),
        device=args.device,
        precision=Precision(args.precision),
        batch_size=args.batch_size,
        wants_agents=args.agents,
        wants_bev=args.bev,
    )
    write = export_onnx if kind == "onnx" else export_aot
    exported = write(load_checkpoint(checkpoint_folder(args)), args.out, options)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, {exported.precision.value}, from {exported.made_with}")
    for direction, tensors in (("takes", exported.inputs), ("returns", exported.outputs)):
        for tensor in tensors:
            print(f"{direction:8s} {tensor.name:12s} float32 {list(tensor.shape)}")
    return 0


def _kind(path: Path) -> str:
    from diffdrive.contracts import InputError

    for kind, suffix in FORMATS.items():
        if path.suffix == suffix:
            return kind
    raise InputError(f"--out must end in {' or '.join(FORMATS.values())}, got '{path}'.")
