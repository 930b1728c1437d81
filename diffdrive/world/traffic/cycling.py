"""Where bicycles can ride: SUMO leaves a rider whose trip breaks off standing in the way for good."""

from __future__ import annotations

from collections.abc import Mapping

from diffdrive.world.roads import RoadNetwork


def cycling_streets(network: RoadNetwork) -> tuple[str, ...]:
    """The largest set of streets between which bicycles can ride to and fro, in the network's order.

    Where there is a bicycle lane, bicycles use nothing else; ramps and expressways are closed to them.
    """
    ahead = _next_streets(network)
    behind: dict[str, set[str]] = {name: set() for name in ahead}
    for name, following in ahead.items():
        for onward in following:
            behind[onward].add(name)
    best: set[str] = set()
    rest = list(ahead)
    while rest and len(rest) > len(best):
        found = _reached(rest[0], ahead) & _reached(rest[0], behind)
        best = max(best, found, key=len)
        rest = [name for name in rest if name not in found]
    return tuple(name for name in ahead if name in best)


def _next_streets(network: RoadNetwork) -> dict[str, set[str]]:
    lanes = {lane.lane_id: lane for lane in network.vector_map.lanes}
    ridden = {
        name: street.bike_lane_ids or street.lane_ids
        for name, street in network.approaches.items()
        if not (street.is_ramp or street.is_expressway)
    }
    street_of = {lane: name for name, lane_ids in ridden.items() for lane in lane_ids}
    return {
        name: {
            street_of[onward]
            for lane in lane_ids
            for connector in lanes[lane].successor_ids
            for onward in lanes[connector].successor_ids
            if onward in street_of
        }
        for name, lane_ids in ridden.items()
    }


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        for name in graph[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found
