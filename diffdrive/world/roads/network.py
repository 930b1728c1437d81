"""A SUMO network becomes a vector map with the same lanes, and the two keep pointing at each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline
from diffdrive.scene import Lane, VectorMap
from diffdrive.world.roads.street import StreetKind
from diffdrive.world.roads.surfaces import areas_of_town, lines_of_town, offset_polyline, simplified, surfaces_of_town


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """One direction of a street: its driving lanes from the right to the left, by map id."""

    edge_id: str
    """SUMO's name of it."""

    lane_ids: tuple[str, ...]
    bike_lane_ids: tuple[str, ...]
    next_edge_ids: tuple[str, ...]
    """Where one can drive from its end."""

    walk_edge_ids: tuple[str, ...]
    """Streets that share a junction with it, itself included."""

    length: float
    """Metres."""

    from_junction: str
    to_junction: str
    opposite_edge_id: str | None
    """The other direction of the same street; None where traffic goes one way only."""

    speed_limit: float
    """Metres per second."""

    is_ring: bool = False
    """A piece of a roundabout: nobody starts, ends, parks or waits here."""

    is_ramp: bool = False
    """Leads onto an expressway or off it: no trip ends, no parking, nobody on foot."""

    is_expressway: bool = False
    """A carriageway of an expressway: cars only, no parking, nobody on foot or on a bicycle."""

    parking_strip: np.ndarray | None
    """[K, 2] centre line of the parking strip, or None."""

    @property
    def num_lanes(self) -> int:
        """Driving lanes."""
        return len(self.lane_ids)

    @property
    def is_trip_end(self) -> bool:
        """Whether a trip may begin or end here: on a street of the town, not in a roundabout and not on an expressway."""
        return not (self.is_ring or self.is_ramp or self.is_expressway)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadNetwork:
    """The map of a town and how SUMO's names translate into it."""

    vector_map: VectorMap
    approaches: Mapping[str, Approach]
    """By SUMO edge id."""

    lane_of: Mapping[str, str]
    """SUMO lane id (also of the pieces inside junctions) to map lane id."""

    signals: Mapping[str, tuple[str, int]]
    """Lane connector to the traffic light's name and the position in its state string."""


def read_network(path: Path) -> RoadNetwork:
    """Read a ``netconvert`` result. Raises ``InputError`` where sumolib or the file is missing."""
    return _Reader(open_network(path)).network()


def open_network(path: Path) -> Any:
    """The file as sumolib has it, with what lies inside of junctions. Raises ``InputError`` as ``read_network`` does."""
    try:
        import sumolib
    except ImportError as error:
        raise InputError("Reading a town needs sumolib. Install it with: pip install 'diffdrive[world]'") from error
    if not path.is_file():
        raise InputError(f"Network '{path}' does not exist.")
    return sumolib.net.readNet(str(path), withInternal=True, withPedestrianConnections=True, withPrograms=True)


@dataclass(slots=True)
class _Connector:
    """A way through a junction, from lane to lane."""

    source: Any
    target: Any
    pieces: list[Any]
    signal: tuple[str, int] | None


class _Reader:
    """Numbers the lanes, follows the connections, and gathers what the map needs."""

    def __init__(self, net: Any) -> None:
        self.net = net
        streets = (e for e in net.getEdges() if not e.getFunction() and any(_is_driven(lane) for lane in e.getLanes()))
        self.edges = sorted(streets, key=lambda edge: edge.getID())
        self.lane_of: dict[str, str] = {}
        for lane in self._driven_lanes():
            self.lane_of[lane.getID()] = str(len(self.lane_of) + 1)
        self.groups = {edge.getID(): str(i + 1) for i, edge in enumerate(self.edges)}
        self.junctions = {node.getID(): str(i + 1) for i, node in enumerate(sorted(net.getNodes(), key=lambda n: n.getID()))}
        self.connectors = self._find_connectors()

    def network(self) -> RoadNetwork:
        connector_ids = [str(len(self.lane_of) + 1 + i) for i in range(len(self.connectors))]
        incoming: dict[str, list[str]] = {}
        outgoing: dict[str, list[str]] = {}
        for connector, lane_id in zip(self.connectors, connector_ids, strict=True):
            outgoing.setdefault(connector.source.getID(), []).append(lane_id)
            incoming.setdefault(connector.target.getID(), []).append(lane_id)
        lanes = [self._lane(lane, incoming, outgoing) for lane in self._driven_lanes()]
        lanes += [self._connector(c, lane_id) for c, lane_id in zip(self.connectors, connector_ids, strict=True)]
        names = dict(self.lane_of)
        signals = {}
        for connector, lane_id in zip(self.connectors, connector_ids, strict=True):
            names.update({piece.getID(): lane_id for piece in connector.pieces})
            if connector.signal is not None:
                signals[lane_id] = connector.signal
        stops = self._governed(outgoing)
        surfaces = surfaces_of_town(self.net, tuple(lanes), self.lane_of, self.junctions)
        vector_map = VectorMap(
            lanes=tuple(lanes),
            areas=areas_of_town(surfaces, tuple(lanes), stops),
            lines=lines_of_town(self.net, surfaces, tuple(lanes), self.lane_of),
        )
        return RoadNetwork(
            vector_map=vector_map,
            approaches={edge.getID(): self._approach(edge) for edge in self.edges},
            lane_of=names,
            signals=signals,
        )

    def _driven_lanes(self) -> list[Any]:
        return [lane for edge in self.edges for lane in edge.getLanes() if _is_driven(lane)]

    def _find_connectors(self) -> list[_Connector]:
        found = []
        for lane in self._driven_lanes():
            for connection in lane.getOutgoing():
                target = connection.getToLane()
                if not _is_driven(target) or not connection.getViaLaneID():
                    continue
                signal = (connection.getTLSID(), int(connection.getTLLinkIndex())) if connection.getTLSID() else None
                pieces = self._pieces(connection.getViaLaneID())
                found.append(_Connector(source=lane, target=target, pieces=pieces, signal=signal))
        return sorted(found, key=lambda c: (self.lane_of[c.source.getID()], self.lane_of[c.target.getID()]))

    def _pieces(self, via: str) -> list[Any]:
        """Internal lanes of one connection: a left turn that may wait inside the junction has two or more."""
        pieces = [self.net.getLane(via)]
        while True:
            onward = [c for c in pieces[-1].getOutgoing() if c.getViaLaneID()]
            if not onward:
                return pieces
            pieces.append(self.net.getLane(onward[0].getViaLaneID()))

    def _lane(self, lane: Any, incoming: dict[str, list[str]], outgoing: dict[str, list[str]]) -> Lane:
        edge, center, name = lane.getEdge(), simplified(_shape(lane)), lane.getID()
        is_bike = not lane.allows("passenger")
        group = self.groups[edge.getID()]
        return Lane(
            lane_id=self.lane_of[name],
            centerline=center,
            left_boundary=offset_polyline(center, lane.getWidth() / 2),
            right_boundary=offset_polyline(center, -lane.getWidth() / 2),
            predecessor_ids=tuple(incoming.get(name, ())),
            successor_ids=tuple(outgoing.get(name, ())),
            left_lane_id=self._neighbour(lane, +1),
            right_lane_id=self._neighbour(lane, -1),
            # Bike lanes form groups of their own: a lane group is what a car may choose from.
            lane_group_id=str(int(group) + len(self.edges)) if is_bike else group,
            speed_limit_mps=float(lane.getSpeed()),
            is_bike_lane=is_bike,
        )

    def _neighbour(self, lane: Any, step: int) -> str | None:
        lanes = lane.getEdge().getLanes()
        index = lane.getIndex() + step
        if not 0 <= index < len(lanes) or lanes[index].allows("passenger") != lane.allows("passenger"):
            return None
        return self.lane_of.get(lanes[index].getID())

    def _connector(self, connector: _Connector, lane_id: str) -> Lane:
        source, target = connector.source, connector.target
        points = _without_short_steps(np.concatenate([_shape(piece) for piece in connector.pieces]))
        center = simplified(_between(points, _shape(source)[-1], _shape(target)[0]))
        share = Polyline(center).arc / Polyline(center).length
        half = ((1 - share) * source.getWidth() + share * target.getWidth()) / 2
        first, last = self.groups[source.getEdge().getID()], self.groups[target.getEdge().getID()]
        is_bike = not (source.allows("passenger") and target.allows("passenger"))
        # Above every group of a street, and distinct for every pair of streets and kind.
        group = 2 * len(self.edges) + 1 + (int(first) * (len(self.edges) + 1) + int(last)) * 2 + int(is_bike)
        return Lane(
            lane_id=lane_id,
            centerline=center,
            left_boundary=offset_polyline(center, half),
            right_boundary=offset_polyline(center, -half),
            predecessor_ids=(self.lane_of[source.getID()],),
            successor_ids=(self.lane_of[target.getID()],),
            lane_group_id=str(group),
            intersection_id=self.junctions[source.getEdge().getToNode().getID()],
            speed_limit_mps=float(min(piece.getSpeed() for piece in connector.pieces)),
            is_bike_lane=is_bike,
        )

    def _governed(self, outgoing: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
        """Street lanes at whose end cars stop for a light or a stop sign, with the connectors that this governs."""
        kinds = ("traffic_light", "allway_stop")
        ends = [lane for lane in self._driven_lanes() if lane.getEdge().getToNode().getType() in kinds]
        return {
            self.lane_of[lane.getID()]: tuple(outgoing[lane.getID()])
            for lane in ends
            if lane.allows("passenger") and lane.getID() in outgoing
        }

    def _approach(self, edge: Any) -> Approach:
        lanes = edge.getLanes()
        nodes = (edge.getFromNode(), edge.getToNode())
        near = {e.getID() for node in nodes for e in (*node.getIncoming(), *node.getOutgoing()) if _is_walked(e)}
        onward = {c.getTo().getID() for lane in lanes for c in lane.getOutgoing() if lane.allows("passenger")}
        parked = [lane for lane in lanes if not lane.getPermissions()]
        return Approach(
            edge_id=edge.getID(),
            lane_ids=tuple(self.lane_of[lane.getID()] for lane in lanes if lane.allows("passenger")),
            bike_lane_ids=tuple(
                self.lane_of[lane.getID()] for lane in lanes if lane.getID() in self.lane_of and not lane.allows("passenger")
            ),
            next_edge_ids=tuple(sorted(onward & self.groups.keys())),
            walk_edge_ids=tuple(sorted(near)),
            length=float(edge.getLength()),
            from_junction=nodes[0].getID(),
            to_junction=nodes[1].getID(),
            opposite_edge_id=self._opposite(edge),
            speed_limit=float(edge.getSpeed()),
            is_ring=edge.getType() == StreetKind.RING.value,
            is_ramp=edge.getType() == StreetKind.RAMP.value,
            is_expressway=edge.getType() == StreetKind.EXPRESSWAY.value,
            parking_strip=_shape(parked[0]) if parked else None,
        )

    def _opposite(self, edge: Any) -> str | None:
        back = f"{edge.getToNode().getID()}-{edge.getFromNode().getID()}"
        return back if back in self.groups else None


def _is_driven(lane: Any) -> bool:
    """Cars or bicycles drive here: not a pavement, not a parking strip."""
    return lane.allows("passenger") or (lane.allows("bicycle") and not lane.allows("pedestrian"))


def _is_walked(edge: Any) -> bool:
    return not edge.getFunction() and any(lane.allows("pedestrian") for lane in edge.getLanes())


def _shape(lane: Any) -> np.ndarray:
    """Centre line [K, 2] without repeated points."""
    return Polyline(np.array([point[:2] for point in lane.getShape()], dtype=np.float64)).points


def _between(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The line [K, 2], eased over to join ``start`` and ``end``: SUMO lets bicycles keep to the side of a wide lane."""
    line = Polyline(points)
    share = (line.arc / line.length)[:, None]
    return line.points + (1 - share) * (start - points[0]) + share * (end - points[-1])


def _without_short_steps(points: np.ndarray, shortest_m: float = 0.05) -> np.ndarray:
    """Drop points that follow the last kept one too closely: pieces repeat their ends, not quite, in wild directions."""
    kept = [points[0]]
    for point in points[1:-1]:
        if np.hypot(*(point - kept[-1])) > shortest_m and np.hypot(*(point - points[-1])) > shortest_m:
            kept.append(point)
    return np.array([*kept, points[-1]])
