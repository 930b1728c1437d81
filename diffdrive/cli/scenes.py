"""``diffdrive scenes``: list the scenes of a 123D data root, or of NAVSIM data."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.scene import Modality

if TYPE_CHECKING:
    from diffdrive.sources import Arrow123dSource, LogSummary, OpenSceneLogSource


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser("scenes", help="list the scenes of a data root")
    parser.add_argument(
        "--source", choices=("logs", "openscene"), default="logs", help="123D logs, or NAVSIM data (default logs)"
    )
    parser.add_argument(
        "--logs", "--data", type=Path, required=True, metavar="DIR", help="folder that holds logs/ (NAVSIM's: navsim_logs/)"
    )
    parser.add_argument("--splits", "--split", nargs="+", metavar="NAME", help="only these splits (NAVSIM: one)")
    parser.add_argument("--datasets", nargs="+", metavar="NAME", help="only these data sets (123D)")
    parser.add_argument("--stride", type=float, default=0.5, metavar="S", help="seconds between scenes (default 0.5)")
    parser.add_argument(
        "--require",
        nargs="+",
        default=[],
        choices=[modality.value for modality in Modality],
        metavar="MODALITY",
        help="fail when a log lacks one of: " + ", ".join(modality.value for modality in Modality),
    )
    parser.add_argument("--tokens", action="store_true", help="print the token of every scene as well")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the scenes. Raises ``InputError`` for a folder that is no data root, a damaged log, a missing modality."""
    source = _open(args)
    source.require(*(Modality(name) for name in args.require))
    if args.json:
        print(json.dumps(_as_json(source, args.tokens)))
    else:
        print("\n".join(_as_text(source, args.tokens)))
    return 0


def _open(args: argparse.Namespace) -> Arrow123dSource | OpenSceneLogSource:
    from diffdrive.contracts import InputError
    from diffdrive.sources import Arrow123dSource, OpenSceneLogSource

    if args.source == "logs":
        return Arrow123dSource(args.logs, datasets=args.datasets, splits=args.splits, stride_s=args.stride)
    if args.datasets or len(args.splits or ()) > 1:
        raise InputError("--source openscene reads one split of one data set: give one --split and no --datasets.")
    return OpenSceneLogSource(args.logs, split=args.splits[0] if args.splits else None, stride_s=args.stride)


def _as_json(source: Arrow123dSource | OpenSceneLogSource, tokens: bool) -> dict[str, Any]:
    return {
        "count": len(source.tokens),
        "modalities": _names(source.modalities),
        "logs": [
            {
                "log": log.log_name,
                "dataset": log.dataset,
                "split": log.split,
                "location": log.location,
                "duration_s": round(log.duration_s, 3),
                "count": len(log.scenes),
                "modalities": _names(log.modalities),
            }
            for log in source.logs
        ],
        **({"tokens": list(source.tokens)} if tokens else {}),
    }


def _as_text(source: Arrow123dSource | OpenSceneLogSource, tokens: bool) -> list[str]:
    rows: list[tuple[str, ...]] = [("data set", "split", "log", "location", "seconds", "scenes", "modalities")]
    rows += [_row(log) for log in source.logs]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    every = ", ".join(_names(source.modalities)) or "none"
    lines.append(f"{len(source.tokens)} scenes in {len(source.logs)} logs; every scene has: {every}")
    return lines + (list(source.tokens) if tokens else [])


def _row(log: LogSummary) -> tuple[str, ...]:
    shown = ", ".join(_names(log.modalities)) if log.scenes else "shorter than one scene"
    return log.dataset, log.split, log.log_name, log.location, f"{log.duration_s:.1f}", str(len(log.scenes)), shown


def _names(modalities: frozenset[Modality]) -> list[str]:
    """In the order in which ``Modality`` lists them."""
    return [modality.value for modality in Modality if modality in modalities]
