"""Draw docs/images/augmentation.png: one scene of a shipped town as training may see it.

    python tools/draw_augmentation.py

A row for each change, made at probability one and stronger than the recipe makes it, so that it shows.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from diffdrive.assets import LOGS
from diffdrive.configuration import build
from diffdrive.features.targets import BevClass
from diffdrive.geometry import box_corners
from diffdrive.tensors import BEV_IGNORED, InputLayout, TargetLayout
from diffdrive.training.augmentation import augment
from diffdrive.training.cache import PackedBatch, pack
from diffdrive.training.config import AugmentationConfig
from diffdrive.viz import palette, save_figure
from diffdrive.viz.figure import new_figure, plain_axes
from diffdrive.world.source import WorldSource

IMAGE = Path(__file__).resolve().parents[1] / "docs" / "images" / "augmentation.png"
LOG, ROW = "town9000-log05", 9

CLASS_COLOURS = {
    BevClass.NOTHING: palette.PAPER,
    BevClass.ROAD: palette.ROAD,
    BevClass.WALKWAY: "#e9e2d3",
    BevClass.CENTERLINE: palette.CENTERLINE,
    BevClass.STATIC_OBJECT: "#ff7a1a",
    BevClass.VEHICLE: "#56b4e9",
    BevClass.PEDESTRIAN: "#cc79a7",
}
UNKNOWN = "#3f4650"

HEIGHT_IN, GAP_IN, TITLE_IN = 0.98, 0.06, 0.17


@dataclass(frozen=True, slots=True, kw_only=True)
class Layouts:
    """The base planner's, but for LiDAR cells that are large enough to be seen in print."""

    inputs: InputLayout = field(default_factory=lambda: InputLayout(lidar_pixels=128))
    targets: TargetLayout = field(default_factory=TargetLayout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is done, and with which random numbers."""

    title: str
    changes: dict[str, Any] = field(default_factory=dict)
    seed: int = 0


ROWS = (
    Row(title="as recorded"),
    Row(title="mirrored", changes={"mirror_probability": 1.0}),
    Row(
        title="ego frame turned by up to 6 degrees and moved by up to 0.5 m",
        changes={"ego_jitter": {"probability": 1.0, "max_yaw_deg": 6.0, "max_forward_m": 0.5, "max_left_m": 0.5}},
        seed=23,
    ),
    Row(title="LiDAR thinned", changes={"lidar_drop_out": {"thinning_probability": 1.0, "max_thinning": 1.0}}, seed=12),
    Row(title="LiDAR cells emptied", changes={"lidar_drop_out": {"cells_probability": 1.0, "max_cells": 0.8}}, seed=10),
    Row(
        title="LiDAR blocked in a sector",
        changes={"lidar_drop_out": {"sector_probability": 1.0, "max_sector_deg": 90.0}},
        seed=27,
    ),
    Row(
        title="colours", changes={"colour": {"probability": 1.0, "brightness": 0.3, "saturation": 0.5, "hue_deg": 20.0}}, seed=1
    ),
    Row(title="cut-outs", changes={"cut_out": {"probability": 1.0, "max_rectangles": 4}}, seed=1),
)


def main() -> int:
    """Draw it."""
    layouts = Layouts()
    source = WorldSource(LOGS, logs=[LOG])
    before = pack(source.load(source.tokens[ROW]), layouts.inputs, layouts.targets)
    figure = new_figure(7 * HEIGHT_IN + 4 * GAP_IN, len(ROWS) * (HEIGHT_IN + TITLE_IN) + GAP_IN)
    for number, row in enumerate(ROWS):
        config, generator = build(AugmentationConfig, row.changes), torch.Generator().manual_seed(row.seed)
        draw_row(figure, number, row.title, augment(before, config, layouts, generator), layouts)
    save_figure(figure, IMAGE, dpi=130)
    print(f"wrote {IMAGE.name}, {IMAGE.stat().st_size / 1024:.0f} KiB")
    return 0


def draw_row(figure: Figure, number: int, title: str, sample: PackedBatch, layouts: Layouts) -> None:
    """Picture, LiDAR and map of a batch of one, side by side."""
    width, height = figure.get_size_inches()
    bottom, left = height - (number + 1) * (HEIGHT_IN + TITLE_IN), GAP_IN
    panels = []
    for columns, name in ((4, title), (1, "LiDAR"), (2, "map, vehicles, driven trajectory")):
        place = (left / width, bottom / height, columns * HEIGHT_IN / width, HEIGHT_IN / height)
        panels.append(figure.add_axes(place))
        plain_axes(panels[-1])
        if columns == 4 or number == 0:
            above = (left / width, (bottom + HEIGHT_IN + 0.03) / height)
            figure.text(*above, name, fontsize=palette.TEXT_PT, color=palette.INK, va="bottom")
        left += columns * HEIGHT_IN + GAP_IN
    picture, lidar, bev = panels
    picture.imshow(sample.camera[0].numpy(), aspect="auto", interpolation="antialiased")
    # Both grids run from behind to ahead and from right to left; shown, ahead is up and left is left.
    reach = layouts.inputs.lidar_range_m
    counts = sample.lidar[0, 0].numpy()[::-1, ::-1] / layouts.inputs.lidar_max_count
    lidar.imshow(1 - np.sqrt(counts), cmap="gray", vmin=0, vmax=1, extent=(reach, -reach, -reach, reach))
    lidar.plot([0], [0], marker=(3, 0, 0), color=palette.CHOSEN, markersize=3)
    paint_map(bev, sample, layouts)


def paint_map(axes: Any, sample: PackedBatch, layouts: Layouts) -> None:
    """Classes, boxes of real agent slots and the driven trajectory; y to the left, x up."""
    targets = layouts.targets
    ahead, aside = targets.bev_rows * targets.bev_pixel_m, targets.bev_columns / 2 * targets.bev_pixel_m
    colours = np.zeros((256, 3))
    for bev_class, colour in (*CLASS_COLOURS.items(), (BEV_IGNORED, UNKNOWN)):
        colours[int(bev_class)] = to_rgb(colour)
    classes = sample.bev_semantic[0].numpy()[::-1, ::-1]
    axes.imshow(colours[classes], extent=(aside, -aside, 0, ahead), interpolation="nearest", aspect="auto")
    boxes = sample.agent_states[0][sample.agent_labels[0]].double().numpy()
    for corners in box_corners(boxes):
        outline = np.concatenate([corners, corners[:1]])
        axes.plot(outline[:, 1], outline[:, 0], color="#0072b2", linewidth=0.8)
    driven = sample.trajectory[0].numpy()
    axes.plot(driven[:, 1], driven[:, 0], color=palette.HUMAN, linewidth=1.2, marker="o", markersize=1.8)
    axes.set_xlim(aside, -aside)
    axes.set_ylim(0, ahead)


if __name__ == "__main__":
    sys.exit(main())
