"""Draw the pictures of the documentation again, from what ships with the package.

    python tools/draw_docs_images.py [plan] [town] [anchors] [ladder]

Without names all are drawn. Everything shown comes from the embedded world.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffdrive.assets import CHECKPOINTS, LOGS
from diffdrive.viz import PlanOverlay, draw_anchors, draw_scene, draw_town, save_figure

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PLAN_SCENE = "town9000-log00-56000000"
TOWN_SCENE = "town9001-log00-97000000"


def draw_plan() -> Path:
    """The shipped planner in a bend, with the road users' boxes left out."""
    from diffdrive.runtime import Planner
    from diffdrive.world.source import WorldSource

    scene = WorldSource(LOGS).load(PLAN_SCENE)
    plan = Planner.from_checkpoint(CHECKPOINTS / "nano").plan(scene.observation)
    overlay = PlanOverlay(chosen=plan.trajectory, proposals=plan.proposals, scores=plan.scores)
    return save_figure(draw_scene(scene, overlay), IMAGES / "plan.png", dpi=150)


def draw_one_town() -> Path:
    """A town that ships with the package, with the drives that were kept of it."""
    from diffdrive.log123d.find import find_logs
    from diffdrive.log123d.read import LogReader, planar_pose
    from diffdrive.sources import Arrow123dSource

    source = Arrow123dSource(LOGS)
    location = source.info(TOWN_SCENE).location
    tracks = {}
    for folder in find_logs(LOGS):
        if folder.name.startswith(location):
            log = LogReader(folder, LOGS)
            tracks[folder.name] = np.stack([planar_pose(log.world_from_body(row)) for row in range(len(log))])
    return save_figure(draw_town(source.world_map(TOWN_SCENE), tracks, title=location), IMAGES / "town.png", dpi=110)


def draw_shipped_anchors() -> Path:
    """The shipped anchors over the drives that ship with the package."""
    from diffdrive.anchors import AnchorSet
    from diffdrive.sources import Arrow123dSource

    anchors = AnchorSet.load(ROOT / "anchors" / "drivetown_20.npy")
    source = Arrow123dSource(LOGS)
    futures = (source.load(token, sensors=False).future for token in source.tokens)
    driven = np.stack([future.ego.poses for future in futures if future is not None])
    figure = draw_anchors(anchors.points, trajectories=driven, title="20 anchors, and drives of towns they were not fitted on")
    return save_figure(figure, IMAGES / "anchors.png", dpi=130)


def draw_envelope_ladder() -> Path:
    """What the safety envelope asks in a cycle, and what it drives."""
    from drawn_ladder import draw_ladder

    from diffdrive.runtime.envelope import EnvelopeConfig

    return save_figure(draw_ladder(EnvelopeConfig()), IMAGES / "ladder.png", dpi=110)


DRAWERS = {"plan": draw_plan, "town": draw_one_town, "anchors": draw_shipped_anchors, "ladder": draw_envelope_ladder}


def main(names: list[str]) -> int:
    """Draw the named pictures. Exit status 2 for an unknown name."""
    if unknown := [name for name in names if name not in DRAWERS]:
        print(f"There is no picture called {', '.join(unknown)}; known: {', '.join(DRAWERS)}.", file=sys.stderr)
        return 2
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in names or DRAWERS:
        path = DRAWERS[name]()
        print(f"wrote {path.relative_to(ROOT)}, {path.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
