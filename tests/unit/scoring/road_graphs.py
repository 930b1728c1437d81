"""Small lane graphs by hand: straight lanes between points, one block a lane unless told otherwise."""

from collections.abc import Mapping, Sequence

import numpy as np
import shapely

from diffdrive.scoring.preparation.lane_graph import Block, GraphLane, LaneGraph, linked, with_headings

WIDTH_M = 4.0


def lane(
    lane_id: str,
    points: Sequence[tuple[float, float]],
    successors: Sequence[str] = (),
    *,
    block: str | None = None,
    **more: object,
) -> GraphLane:
    """A lane 4 m wide through ``points``, with a vertex every metre. Its block is called like it, in capitals."""
    line = shapely.LineString(points)
    at = np.linspace(0.0, line.length, max(2, round(line.length) + 1))
    vertices = shapely.get_coordinates(shapely.line_interpolate_point(line, at))
    return GraphLane(
        lane_id=lane_id,
        block_id=block or lane_id.upper(),
        baseline=with_headings(vertices),
        polygon=line.buffer(WIDTH_M / 2, cap_style="flat"),
        successor_ids=tuple(successors),
        **more,  # type: ignore[arg-type]
    )


def graph(
    lanes: Sequence[GraphLane],
    *,
    connectors: Sequence[str] = (),
    block_links: Mapping[str, Sequence[str]] | None = None,
    intersections: Mapping[str, shapely.Polygon] | None = None,
    carparks: Mapping[str, shapely.Polygon] | None = None,
) -> LaneGraph:
    """``connectors`` names blocks. Blocks follow each other as their lanes do, unless ``block_links`` says how."""
    by_id = {each.lane_id: each for each in lanes}
    members: dict[str, list[GraphLane]] = {}
    for each in sorted(lanes, key=lambda each: each.block_id in connectors):
        members.setdefault(each.block_id, []).append(each)
    follows = block_links or {
        block: [by_id[i].block_id for each in own for i in each.successor_ids if by_id[i].block_id != block]
        for block, own in members.items()
    }
    successors, predecessors = linked(follows, members)
    return LaneGraph(
        lanes=by_id,
        blocks={
            block: Block(
                block_id=block,
                is_connector=block in connectors,
                polygon=shapely.union_all([each.polygon for each in own]),
                lane_ids=tuple(each.lane_id for each in own),
                successor_ids=successors[block],
                predecessor_ids=tuple(predecessors[block]),
            )
            for block, own in members.items()
        },
        intersections=intersections or {},
        carparks=carparks or {},
    )


def street(names: str, length: float = 20.0, connectors: Sequence[str] = ()) -> LaneGraph:
    """One lane after another along x, from x = 0 on, called as ``names`` says."""
    lanes = [lane(name, [(i * length, 0.0), ((i + 1) * length, 0.0)], names[i + 1 : i + 2]) for i, name in enumerate(names)]
    return graph(lanes, connectors=connectors)
