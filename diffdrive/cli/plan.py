"""``diffdrive plan``: plan one scene with the network, print the plan, draw it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.cli.source_options import (
    add_checkpoint_options,
    add_source_options,
    find_token,
    open_source,
    planner_of,
    require_sensors,
)

if TYPE_CHECKING:
    from diffdrive.runtime import Plan
    from diffdrive.scene import Scene


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser("plan", help="plan one scene and draw it", description=__doc__)
    add_source_options(parser)
    add_checkpoint_options(parser)
    parser.add_argument("--scene", default="0", metavar="TOKEN|INDEX", help="which scene (default: the first)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="picture: cameras and view from above (.png, .jpg, .pdf, .svg)"
    )
    parser.add_argument("--json", action="store_true", help="print the plan as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plan. Status 1 when the planner could only answer with its fallback, which is printed and drawn all the same."""
    if args.out is not None:
        _check_picture(args.out)
    source = open_source(args)
    require_sensors(source)
    token = find_token(source, args.scene)
    planner = planner_of(args)
    scene = source.load(token)
    plan = planner.plan(scene.observation)
    if args.out is not None:
        draw(scene, plan, args.out)
    print(json.dumps(as_json(token, plan, args.out)) if args.json else as_text(token, plan, args.out))
    if not plan.status.is_planned:
        print(f"diffdrive: {plan.status.value} {plan.detail}".rstrip(), file=sys.stderr)
        return 1
    return 0


def _check_picture(path: Path) -> None:
    from diffdrive.contracts import InputError

    if path.suffix.lower() not in (".png", ".jpg", ".pdf", ".svg"):
        raise InputError(f"--out must end in .png, .jpg, .pdf or .svg, got '{path}'.")
    if not path.parent.is_dir():
        raise InputError(f"--out: the folder '{path.parent}' does not exist. Create it first.")


def draw(scene: Scene, plan: Plan, path: Path, *, dpi: int = 180) -> None:
    """Write the picture of a plan: cameras above, the view from above below."""
    from diffdrive.viz import PlanOverlay, draw_scene, save_figure

    has_proposals = len(plan.proposals) > 0
    overlay = PlanOverlay(
        chosen=plan.trajectory,
        proposals=plan.proposals if has_proposals else None,
        scores=plan.scores if has_proposals else None,
    )
    save_figure(draw_scene(scene, overlay), path, dpi=dpi)


def as_json(token: str, plan: Plan, picture: Path | None) -> dict[str, Any]:
    """The plan in plain types: metres, radians, seconds."""
    timing = plan.timing
    return {
        "scene": token,
        "status": plan.status.name.lower(),
        "message": f"{plan.status.value} {plan.detail}".rstrip(),
        "poses": [[round(float(number), 4) for number in pose] for pose in plan.trajectory.poses],
        "interval_s": plan.trajectory.interval_s,
        "mode": plan.chosen,
        "score": None if plan.chosen is None else round(float(plan.scores[plan.chosen]), 6),
        "num_proposals": len(plan.proposals),
        "timing_s": {
            "features": round(timing.features_s, 6),
            "network": round(timing.network_s, 6),
            "selection": round(timing.selection_s, 6),
            "total": round(timing.total_s, 6),
        },
        "picture": None if picture is None else str(picture),
    }


def as_text(token: str, plan: Plan, picture: Path | None) -> str:
    """The plan for a reader."""
    chosen = "fallback" if plan.chosen is None else f"proposal {plan.chosen + 1} of {len(plan.proposals)}"
    score = "" if plan.chosen is None else f", score {plan.scores[plan.chosen]:.3f}"
    stages = ((name, 1e3 * getattr(plan.timing, f"{name}_s")) for name in ("features", "network", "selection", "total"))
    lines = [
        f"scene   {token}",
        f"status  {plan.status.value} {plan.detail}".rstrip(),
        f"chosen  {chosen}{score}",
        "time    " + ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in stages),
        "   t, s     x, m     y, m  heading, deg",
    ]
    for time, (x, y, heading) in zip(plan.trajectory.times_s, plan.trajectory.poses, strict=True):
        lines.append(f"{time:7.1f} {x:8.2f} {y:8.2f} {57.29578 * heading:13.1f}")
    if picture is not None:
        lines.append(f"wrote   {picture}")
    return "\n".join(lines)
