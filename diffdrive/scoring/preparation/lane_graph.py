"""Lanes that connect, grouped in blocks: the map as routing and scoring see it.

A block is nuPlan's roadblock (the lanes of one road side by side) or roadblock connector (those through an intersection). All
coordinates are metres in one planar frame of the caller's choice. The order of lanes and blocks settles ties, so it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from diffdrive.contracts import Axes, InputError, frozen_array


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphLane:
    """A lane or a lane connector."""

    lane_id: str
    block_id: str
    baseline: np.ndarray
    """[K, 3] x, y, heading to the next vertex (the last repeats the one before)."""

    polygon: shapely.Polygon
    successor_ids: tuple[str, ...] = ()
    speed_limit_mps: float | None = None
    is_bike_lane: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", frozen_array(self.baseline, np.float64))
        Axes(f"GraphLane '{self.lane_id}'").check("baseline", self.baseline, "K 3")
        if len(self.baseline) < 2:
            raise InputError(f"Lane '{self.lane_id}' needs a baseline of two points or more, got {len(self.baseline)}.")

    @property
    def length(self) -> float:
        """Of the baseline, metres."""
        return float(np.hypot(*np.diff(self.baseline[:, :2], axis=0).T).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lanes side by side: a roadblock, or a connector through an intersection."""

    block_id: str
    is_connector: bool
    polygon: shapely.Polygon
    lane_ids: tuple[str, ...]
    successor_ids: tuple[str, ...] = ()
    predecessor_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneGraph:
    """The map around a scene: every link leads to a lane or block that is there."""

    lanes: Mapping[str, GraphLane]
    blocks: Mapping[str, Block]
    """Roadblocks first, then connectors."""

    intersections: Mapping[str, shapely.Polygon] = field(default_factory=dict)
    carparks: Mapping[str, shapely.Polygon] = field(default_factory=dict)
    """Other ground that may be driven on."""

    def __post_init__(self) -> None:
        kinds = [block.is_connector for block in self.blocks.values()]
        if kinds != sorted(kinds):
            raise InputError("LaneGraph.blocks must list roadblocks before connectors. Sort them by is_connector.")
        for name, known, links in (
            ("lanes", self.lanes, [i for lane in self.lanes.values() for i in lane.successor_ids]),
            ("blocks", self.blocks, [i for b in self.blocks.values() for i in (*b.successor_ids, *b.predecessor_ids)]),
            ("blocks", self.blocks, [lane.block_id for lane in self.lanes.values()]),
            ("lanes", self.lanes, [i for block in self.blocks.values() for i in block.lane_ids]),
        ):
            if missing := sorted(set(links) - set(known)):
                raise InputError(f"LaneGraph has links to {name} that are not there: {missing[:5]}. Cut them with linked().")

    def lanes_of(self, block_ids: Iterable[str]) -> list[GraphLane]:
        """The lanes of blocks, block by block; unknown blocks have none."""
        return [self.lanes[i] for block_id in block_ids if block_id in self.blocks for i in self.blocks[block_id].lane_ids]

    def known(self, block_ids: Sequence[str]) -> list[str]:
        """Those of ``block_ids`` that the map holds, each once, in their order."""
        return [block_id for block_id in dict.fromkeys(block_ids) if block_id in self.blocks]


def with_headings(points: np.ndarray) -> np.ndarray:
    """[K, 3] from a line [K, 2]: the heading at a vertex points to the next one, the last repeats the one before."""
    steps = np.diff(points, axis=0)
    headings = np.arctan2(steps[:, 1], steps[:, 0])
    return np.column_stack([points, np.append(headings, headings[-1])])


def drawn_polygons(outlines: Sequence[np.ndarray]) -> np.ndarray:
    """[P] shapely polygons from outlines [V, 2], as they are drawn: one that crosses itself is not mended."""
    if not outlines:
        return np.empty(0, dtype=object)
    rings = [outline if len(outline) > 2 else np.concatenate([outline, outline[:1], outline[:1]]) for outline in outlines]
    owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    return shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=owner))


def linked(links: Mapping[str, Iterable[str]], known: Iterable[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, list[str]]]:
    """Successors cut to ``known`` ids, and the predecessors that follow from them, both in the order of ``known``."""
    order = list(known)
    there = set(order)
    successors = {i: tuple(j for j in dict.fromkeys(links.get(i, ())) if j in there) for i in order}
    predecessors: dict[str, list[str]] = {i: [] for i in order}
    for i in order:
        for j in successors[i]:
            predecessors[j].append(i)
    return successors, predecessors
