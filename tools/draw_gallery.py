"""Draw the gallery: docs/gallery.md and its pictures, from towns that are made for it.

    python tools/draw_gallery.py [--towns 9100 9101 9102] [--root out/gallery] [--only towns lights events roads lidar]

Towns that are not below the root yet are made first, about a minute each, which needs SUMO. Everything shown is chosen by rule.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from gallery_choice import Towns, choose_lights, choose_roads, choose_strips, in_words
from gallery_pictures import draw_film, draw_roads, draw_strips, draw_sweep, draw_towns

from diffdrive.scene import Scene
from diffdrive.viz import save_figure
from diffdrive.world.events import EventKind
from diffdrive.world.generate import WorldConfig, generate_world
from diffdrive.world.source import WorldSource

REPOSITORY = Path(__file__).resolve().parents[1]
DPI = 130
STORIES = {
    EventKind.JAYWALKER: "Somebody walks across the street where there is no crossing.",
    EventKind.DOUBLE_PARKED: "A vehicle stands in the lane; traffic goes round it.",
    EventKind.WORK_ZONE: "Cones, a sign and barriers close a lane.",
    EventKind.HARD_BRAKE: "The car ahead brakes hard for no reason that can be seen.",
    EventKind.CUT_IN: "A car changes into the lane, close in front.",
    EventKind.STOP_AND_GO: "Traffic ahead creeps, stops and starts again.",
}


class Gallery:
    """The page while it is made: text and pictures, in order."""

    def __init__(self, towns: Towns, docs: Path) -> None:
        self.towns, self.docs = towns, docs
        self.source = WorldSource(towns.root, logs=list(towns.tokens_of), history_s=0.0, future_s=0.0)
        self.lines: list[str] = []

    def look(self, token: str) -> Scene:
        """One frame with its sensors, rendered."""
        return self.source.load(token)

    def words(self, token: str) -> str:
        """The tags of a scene, and its token."""
        tags = in_words(self.towns.tags(token))
        return f"{tags}  ·  {token}" if tags else token

    def add(self, title: str, text: str, name: str, figure: object) -> None:
        """A section with one picture."""
        path = save_figure(figure, self.docs / "images" / "gallery" / f"{name}.jpg", dpi=DPI)  # type: ignore[arg-type]
        print(f"wrote {path.relative_to(self.docs)}, {path.stat().st_size / 1024:.0f} KiB")
        self.lines += [f"{'#' * (3 if name.startswith('event') else 2)} {title}", "", text, ""]
        self.lines += [f"![{title}](images/gallery/{name}.jpg)", ""]


def add_towns(gallery: Gallery) -> None:
    """The towns from above."""
    towns = gallery.towns
    shown = []
    for manifest in towns.manifests.values():
        paths = [np.array([towns.load(token).world_from_ego for token in towns.tokens_of[log]]) for log in manifest["logs"]]
        world_map = towns.frames.world_map(towns.tokens_of[manifest["logs"][0]][0])
        shown.append((manifest["location"], world_map, paths))
    text = (
        f"Every seed is a town of its own. In these, {len(towns.tokens_of)} drives were kept (orange), "
        f"with {towns.mean_boxes:.0f} boxes a frame on average."
    )
    gallery.add("Towns", text, "towns", draw_towns(shown))


def add_lights(gallery: Gallery) -> None:
    """One row a light, one column a town."""
    chosen = choose_lights(gallery.towns, 2)
    rows = [(light.value, [(gallery.look(t), gallery.words(t)) for t in tokens]) for light, tokens in chosen.items() if tokens]
    text = (
        "Three front cameras, stitched as NAVSIM's planners see them. The light of a drive follows from the name of its log: "
        "clear, overcast, dusk or rain, with a sun of its own. Below each picture the tags that the benchmark gives the scene."
    )
    gallery.add("Light", text, "lights", draw_strips(rows))


def add_events(gallery: Gallery) -> None:
    """One film strip for each kind of event."""
    strips = choose_strips(gallery.towns)
    text = "What happens by script, 1.5 s from picture to picture. Nobody tells the car."
    if missing := [kind.value.replace("_", " ") for kind in EventKind if kind not in strips]:
        text += f" No drive of these towns shows: {', '.join(missing)}."
    gallery.lines += ["## Events", "", text, ""]
    for kind, strip in strips.items():
        title = kind.value.replace("_", " ").capitalize()
        scenes = [gallery.look(token) for token in strip.tokens]
        tagged = next((token for token in reversed(strip.tokens) if gallery.towns.tags(token)), strip.tokens[0])
        figure = draw_film(title, scenes, strip.actors, gallery.words(tagged))
        gallery.add(title, STORIES[kind], f"event_{kind.value}", figure)


def add_roads(gallery: Gallery) -> None:
    """One picture with a view from above for each kind of road."""
    chosen = choose_roads(gallery.towns)
    scenes = [(name, gallery.towns.load(token)) for name, token in sorted(chosen.items())]
    text = "Seen from above: the map that planners are scored on, and everybody who is annotated."
    gallery.add("Roads", text, "roads", draw_roads(scenes))


def add_lidar(gallery: Gallery) -> None:
    """One sweep, at the liveliest frame of the gallery."""
    token = next(tokens[0] for tokens in choose_lights(gallery.towns, 1).values() if tokens)
    text = "One sweep of the five scanners together, with the boxes that are annotated."
    gallery.add("LiDAR", text, "lidar", draw_sweep(gallery.look(token), gallery.words(token)))


SECTIONS: dict[str, Callable[[Gallery], None]] = {
    "towns": add_towns,
    "lights": add_lights,
    "events": add_events,
    "roads": add_roads,
    "lidar": add_lidar,
}


def page(gallery: Gallery, seeds: list[int]) -> str:
    """The Markdown of the whole gallery."""
    head = [
        "# Gallery",
        "",
        "The embedded world, DriveTown ([world.md](world.md)), as it comes out of its generator: nothing is retouched, and",
        "what is shown was chosen by rule. To draw it again:",
        "",
        "```sh",
        f"python tools/draw_gallery.py --towns {' '.join(map(str, seeds))}",
        "```",
        "",
    ]
    return "\n".join([*head, *gallery.lines]).rstrip() + "\n"


def main(words: list[str]) -> int:
    """Make what towns are missing, draw, write the page."""
    parser = argparse.ArgumentParser(description="Draw docs/gallery.md.")
    parser.add_argument("--towns", type=int, nargs="+", default=[9100, 9101, 9102], metavar="SEED")
    parser.add_argument("--root", type=Path, default=REPOSITORY / "out" / "gallery", metavar="DIR", help="where the towns lie")
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs", metavar="DIR", help="where the page is written")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help="pictures alone, without the page")
    args = parser.parse_args(words)
    for report in generate_world(args.towns, WorldConfig(), args.root, split="test"):
        if report.manifest is None:
            print(f"town {report.seed} could not be made: {report.error}", file=sys.stderr)
            return 1
    (args.docs / "images" / "gallery").mkdir(parents=True, exist_ok=True)
    gallery = Gallery(Towns(args.root, args.towns), args.docs)
    for name in args.only or SECTIONS:
        SECTIONS[name](gallery)
    if not args.only:
        (args.docs / "gallery.md").write_text(page(gallery, args.towns))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
