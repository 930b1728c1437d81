"""Our reader of city maps against nuPlan's own map API: every lane, connector, road block and area.

Marked ``navsim``: needs the nuPlan devkit on the import path. ``DIFFDRIVE_NAVSIM_DATA`` names a data root whose maps are
compared instead of the small one made here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made_town import log

from diffdrive.contracts import InputError
from diffdrive.openscene import export_logs
from diffdrive.openscene.format import MAP_INDEX
from diffdrive.openscene.read_map import city_map
from diffdrive.scene import Area, AreaKind, Lane, VectorMap
from diffdrive.scoring.preparation.lane_graph import LaneGraph
from diffdrive.scoring.preparation.vector_map_graph import lane_graph_of

pytestmark = pytest.mark.navsim

EVERYWHERE_M = 1e7
LAYERS = {
    AreaKind.INTERSECTION: "INTERSECTION",
    AreaKind.CROSSWALK: "CROSSWALK",
    AreaKind.WALKWAY: "WALKWAYS",
    AreaKind.CARPARK: "CARPARK_AREA",
    AreaKind.STOP_ZONE: "STOP_LINE",
}
"""Other drivable ground has no objects in nuPlan's API."""


class Comparison:
    """Counts what was compared, value by value, and holds it to the last bit."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def same(self, field: str, ours: Any, theirs: Any) -> None:
        assert np.array_equal(np.asarray(ours), np.asarray(theirs)), f"{field}: {ours} is not {theirs}"
        self.counts[field] += np.asarray(ours).size

    def table(self) -> str:
        rows = [f"  {field:<30} {count:>9,}" for field, count in sorted(self.counts.items())]
        return "\n".join([*rows, f"  {len(rows)} fields, {sum(self.counts.values()):,} values"])


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("nuplan.common.maps", reason="the nuPlan devkit is not installed")
    folder = tmp_path_factory.mktemp("devkit") / "out"
    given = os.environ.get("DIFFDRIVE_NAVSIM_DATA")
    if given:  # the API writes lock files beside the maps
        shutil.copytree(Path(given) / "maps", folder / "maps")
    else:
        export_logs([log()], folder, city="sg-one-north", sensors=False)
    return folder / "maps"


def cities(maps: Path) -> Iterator[tuple[str, VectorMap]]:
    """Those that hold more than a stub."""
    for city in json.loads((maps / MAP_INDEX).read_text()):
        try:
            yield city, city_map(maps, city)
        except InputError as error:
            assert "has no layer" in str(error)


def test_every_object_of_every_map(maps: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nuplan.common.actor_state.state_representation import Point2D
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer
    from nuplan.common.maps.nuplan_map.map_factory import get_maps_api

    compared, found = Comparison(), 0
    for city, ours in cities(maps):
        found += 1
        api = get_maps_api(str(maps), MAP_INDEX.removesuffix(".json"), city)
        layers = [SemanticMapLayer[name] for name in ("LANE", "LANE_CONNECTOR", "ROADBLOCK", "ROADBLOCK_CONNECTOR")]
        layers += [SemanticMapLayer[name] for name in LAYERS.values()]
        theirs = api.get_proximal_map_objects(Point2D(0.0, 0.0), EVERYWHERE_M, layers)
        objects = {layer.name: items for layer, items in theirs.items()}
        compare_lanes(compared, ours, objects)
        compare_blocks(compared, lane_graph_of(ours), objects)
        compare_areas(compared, ours, objects)
    with capsys.disabled():
        print(f"\n  maps of {found} cities in '{maps}'\n{compared.table()}")
    assert found
    assert len(compared.counts) >= 25


def compare_lanes(compared: Comparison, ours: VectorMap, theirs: dict[str, list[Any]]) -> None:
    graph = lane_graph_of(ours)
    for name, is_connector in (("LANE", False), ("LANE_CONNECTOR", True)):
        own = [lane for lane in ours.lanes if (lane.intersection_id is not None) == is_connector]
        compared.same(f"{name}: id", [lane.lane_id for lane in own], [other.id for other in theirs[name]])
        for lane, other in zip(own, theirs[name], strict=True):
            compare_lane(compared, name, lane, graph.lanes[lane.lane_id].baseline, other)
            if not is_connector:
                left, right = other.adjacent_edges
                beside = [None if edge is None else edge.id for edge in (left, right)]
                compared.same(f"{name}: neighbours", [lane.left_lane_id, lane.right_lane_id], beside)


def compare_lane(compared: Comparison, name: str, lane: Lane, baseline: np.ndarray, other: Any) -> None:
    compared.same(f"{name}: polygon", lane.polygon, ring(other.polygon))
    poses = [(state.x, state.y, state.heading) for state in other.baseline_path.discrete_path]
    compared.same(f"{name}: baseline", baseline, poses)
    compared.same(f"{name}: road block", lane.lane_group_id, other.get_roadblock_id())
    compared.same(f"{name}: speed limit", lane.speed_limit_mps, other.speed_limit_mps)
    compared.same(f"{name}: successors", lane.successor_ids, [edge.id for edge in other.outgoing_edges])
    compared.same(f"{name}: predecessors", lane.predecessor_ids, [edge.id for edge in other.incoming_edges])
    for side, line in (("left", lane.left_boundary), ("right", lane.right_boundary)):
        drawn = np.array(getattr(other, f"{side}_boundary").linestring.coords)[:, :2]
        # Ours run with the lane; a boundary that two lanes share may be drawn against it.
        compared.same(f"{name}: {side} boundary", line, drawn if np.array_equal(line[0], drawn[0]) else drawn[::-1])


def compare_blocks(compared: Comparison, graph: LaneGraph, theirs: dict[str, list[Any]]) -> None:
    for name, is_connector in (("ROADBLOCK", False), ("ROADBLOCK_CONNECTOR", True)):
        own = [block for block in graph.blocks.values() if block.is_connector == is_connector]
        compared.same(f"{name}: id", [block.block_id for block in own], [other.id for other in theirs[name]])
        for block, other in zip(own, theirs[name], strict=True):
            compared.same(f"{name}: polygon", np.array(block.polygon.exterior.coords)[:-1], ring(other.polygon))
            compared.same(f"{name}: lanes", block.lane_ids, [edge.id for edge in other.interior_edges])
            compared.same(f"{name}: successors", block.successor_ids, [edge.id for edge in other.outgoing_edges])
            compared.same(f"{name}: predecessors", block.predecessor_ids, [edge.id for edge in other.incoming_edges])


def compare_areas(compared: Comparison, ours: VectorMap, theirs: dict[str, list[Any]]) -> None:
    for kind, name in LAYERS.items():
        own: tuple[Area, ...] = ours.areas_of(kind)
        compared.same(f"{name}: id", [area.area_id for area in own], [other.id for other in theirs[name]])
        for area, other in zip(own, theirs[name], strict=True):
            compared.same(f"{name}: polygon", area.outline, ring(other.polygon))


def ring(polygon: Any) -> np.ndarray:
    """[P, 2] not repeated at the end."""
    return np.array(polygon.exterior.coords)[:-1, :2]
