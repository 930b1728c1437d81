"""A route over the lanes of the old map as a route over the road blocks of the new one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from diffdrive.openscene.road_graph import RoadGraph, source_block


def blocks_along(graph: RoadGraph, lane_ids: Sequence[str]) -> list[str]:
    """Keys of the blocks that a route runs through, connectors and stubs included.

    ``lane_ids``: a lane of each group of lanes that the old map's route leads through. Where the route jumps, blocks do too.
    Lanes that the map does not hold are left out.
    """
    groups = {lane.source.lane_id: source_block(lane.source) for lane in (*graph.lanes.values(), *graph.connectors.values())}
    wanted = list(dict.fromkeys(groups[i] for i in lane_ids if i in groups))
    onward = _onward(graph)
    route: list[str] = []
    while wanted:
        # A route begins on a road block where it can, and else on a connector; a stub comes after its connector.
        own = [(key, block) for key, block in graph.blocks.items() if block.source == wanted[0] and not block.is_stub]
        starts = [[key for key, block in own if (block.from_block is None) == is_road] for is_road in (True, False)]
        chain, reached = max((_chain(graph, onward, wanted, given) for given in starts if given), key=lambda found: found[1])
        route += [key for key in chain if key not in route]
        wanted = wanted[reached + 1 :]
    return route


def _onward(graph: RoadGraph) -> dict[str, list[str]]:
    links: dict[str, list[str]] = {key: [] for key in graph.blocks}
    for key, block in graph.blocks.items():
        if block.from_block is not None and block.to_block is not None:
            links[block.from_block].append(key)
            links[key].append(block.to_block)
    return links


def _chain(
    graph: RoadGraph, onward: dict[str, list[str]], wanted: Sequence[str], starts: Sequence[str]
) -> tuple[list[str], int]:
    """The shortest chain of blocks made of the groups ``wanted`` in turn that gets farthest, and how far that is.

    A block that joins two groups may be made of the first one (a tail), so a chain may stay within a group for some blocks.
    """
    first = [(key, 0) for key in starts]
    before: dict[tuple[str, int], tuple[str, int] | None] = dict.fromkeys(first)
    queue, best = deque(first), first[0]
    while queue:
        state = queue.popleft()
        if state[1] > best[1]:
            best = state
        if best[1] == len(wanted) - 1:
            break
        for key in onward[state[0]]:
            source = graph.blocks[key].source
            for step in (state[1], state[1] + 1):
                if step < len(wanted) and wanted[step] == source and (key, step) not in before:
                    before[key, step] = state
                    queue.append((key, step))
    chain: list[str] = []
    at: tuple[str, int] | None = best
    while at is not None:
        chain.append(at[0])
        at = before[at]
    return chain[::-1], best[1]
