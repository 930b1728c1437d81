"""``diffdrive anchors``: cluster driven trajectories into anchors, and show what an anchor file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from diffdrive.anchors import AnchorSet
    from diffdrive.scene import SceneSource
    from diffdrive.tensors import TargetLayout


def add_parser(subparsers: Any) -> None:
    """Register the verb and its two actions."""
    parser = subparsers.add_parser("anchors", help="cluster driven trajectories into anchors", description=__doc__)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    fit = actions.add_parser("fit", help="cluster the driven trajectories of 123D logs")
    fit.add_argument("--logs", type=Path, metavar="DIR", help="123D data root, holds logs/ and maps/ (default: shipped)")
    fit.add_argument("--dataset", action="append", metavar="NAME", help="use this data set only (may be repeated)")
    fit.add_argument("--split", action="append", metavar="NAME", help="use this split only (may be repeated)")
    fit.add_argument("--stride", type=float, default=0.5, metavar="S", help="seconds between scenes (default: %(default)s)")
    fit.add_argument("--num-poses", type=int, default=8, metavar="T", help="poses per anchor (default: %(default)s)")
    fit.add_argument("--interval", type=float, default=0.5, metavar="S", help="seconds between poses (default: %(default)s)")
    fit.add_argument("--k", type=int, default=20, help="number of anchors (default: %(default)s)")
    fit.add_argument("--seed", type=int, default=0, help="of the clustering (default: %(default)s)")
    fit.add_argument("--out", type=Path, required=True, metavar="FILE.npy", help="written with a .json beside it")
    fit.set_defaults(run=run_fit)

    show = actions.add_parser("show", help="print what an anchor file holds")
    show.add_argument("file", type=Path, metavar="FILE.npy")
    show.set_defaults(run=run_show)


def run_fit(args: argparse.Namespace) -> int:
    """Load every selected scene without sensors, cluster, write."""
    from diffdrive.anchors import fit_anchors
    from diffdrive.assets import LOGS
    from diffdrive.contracts import InputError
    from diffdrive.sources import Arrow123dSource
    from diffdrive.tensors import TargetLayout

    if args.out.suffix != ".npy":
        raise InputError(f"--out must end in .npy (its description in .json is written beside it), got '{args.out}'.")
    layout = TargetLayout(num_poses=args.num_poses, interval_s=args.interval)
    source = Arrow123dSource(
        args.logs or LOGS,
        datasets=args.dataset,
        splits=args.split,
        interval_s=layout.interval_s,
        future_s=layout.horizon_s,
        stride_s=args.stride,
    )
    splits = ", ".join(sorted({log.split for log in source.logs}))
    text = f"{source.name} ({splits}): {len(source.tokens)} scenes of {len(source.logs)} logs, {args.stride:g} s apart"
    anchors = fit_anchors(driven(source, layout), args.k, args.seed, text, layout.interval_s)
    anchors.save(args.out)
    print(f"wrote {args.out} and {args.out.with_suffix('.json').name}")
    print("\n".join(summary(anchors)))
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Verify the file and print it."""
    from diffdrive.anchors import AnchorSet

    print("\n".join(summary(AnchorSet.load(args.file))))
    return 0


def driven(source: SceneSource, layout: TargetLayout) -> np.ndarray:
    """The driven trajectories [N, T, 3] of every scene. Raises ``InputError`` where the source has no scene at all."""
    import numpy as np

    from diffdrive.contracts import InputError
    from diffdrive.features.targets import driven_trajectory

    if not source.tokens:
        raise InputError(
            f"No scene of {source.name} has {layout.horizon_s:g} s of future. Choose other logs, or a shorter --num-poses."
        )
    scenes = (source.load(token, sensors=False) for token in source.tokens)
    return np.stack([driven_trajectory(scene, layout).numpy() for scene in scenes])


def summary(anchors: AnchorSet) -> list[str]:
    """Lines for the terminal: where the anchors came from, then one line each."""
    import numpy as np

    bounds = anchors.bounds
    rms = float(np.sqrt(anchors.inertia / (anchors.count * anchors.num_poses)))
    lines = [
        f"anchors    {anchors.num_modes}, each {anchors.num_poses} poses every {anchors.interval_s:g} s",
        f"source     {anchors.source}",
        f"clustered  {anchors.count} trajectories, seed {anchors.seed}, rms distance of a pose to its anchor's {rms:.2f} m",
        f"normalizer x {bounds.x_min_m:.2f} .. {bounds.x_max_m:.2f} m, y {bounds.y_min_m:.2f} .. {bounds.y_max_m:.2f} m",
        f"sha256     {anchors.sha256}",
        "mode   end x   end y   length  (m)",
    ]
    steps = np.diff(np.concatenate([np.zeros_like(anchors.points[:, :1]), anchors.points], axis=1), axis=1)
    lengths = np.hypot(steps[..., 0], steps[..., 1]).sum(axis=1)
    for mode, (points, length) in enumerate(zip(anchors.points, lengths, strict=True)):
        lines.append(f"{mode:4d} {points[-1, 0]:7.2f} {points[-1, 1]:7.2f} {length:8.2f}")
    return lines
