"""A map as nuPlan knows it, where lanes and lane connectors always take turns.

Other maps also join lane to lane and connector to connector. Here a lane that leads straight into a lane gives its last metres
to a connector between the two, and a connector that leads into a connector gives its last metres to a short lane (a stub).
There is one connector for each pair of lanes that it joins, so connectors may lie upon each other, as in nuPlan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline
from diffdrive.scene import Lane, VectorMap

TAIL_M = 3.0
_MIN_LENGTH_M = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A lane or a lane connector of the new map, in the coordinates of the old one."""

    key: str
    source: Lane
    block: str
    """Key of its road block or road block connector."""

    centerline: np.ndarray
    """[K, 2]. Those of pieces that follow each other join up."""

    left_boundary: np.ndarray
    """[L, 2]."""

    right_boundary: np.ndarray
    """[R, 2]. Boundaries of a lane that gave its tail away are whole: nothing of the road may get lost."""

    @property
    def outline(self) -> np.ndarray:
        """[L + R, 2], not closed."""
        return np.concatenate([self.left_boundary, self.right_boundary[::-1]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector(Piece):
    """Joins one lane to one other."""

    from_lane: str
    to_lane: str
    intersection_id: str | None
    """None for one that was put between two lanes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lanes side by side (a road block), or the connectors from one road block to another."""

    key: str
    source: str
    """Name of the group of lanes that it was made of."""

    is_stub: bool = False
    """Made of the tails of connectors."""

    is_inserted: bool = False
    """Made of the tails of lanes."""

    from_block: str | None = None
    to_block: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadGraph:
    """Lanes, connectors and their blocks, by key."""

    lanes: Mapping[str, Piece]
    connectors: Mapping[str, Connector]
    blocks: Mapping[str, Block]


def source_block(lane: Lane) -> str:
    """The group that a lane belongs to. Bike lanes are apart: a route over the road leads over no bike lane."""
    group = f"lane {lane.lane_id}" if lane.lane_group_id is None else lane.lane_group_id
    return f"{group} bike" if lane.is_bike_lane else group


def road_graph(vector_map: VectorMap) -> RoadGraph:
    """``vector_map`` with lanes and connectors in turn. Raises ``InputError`` for a map without lanes.

    A connector is a lane of an intersection with a lane before it and one after it. Lanes without any length are left out.
    """
    sound = {lane.lane_id: lane for lane in vector_map.lanes if _length(lane.centerline) > _MIN_LENGTH_M}
    if not sound:
        raise InputError("A map without lanes cannot be exported. Export logs that have a map.")
    ahead = {i: [j for j in dict.fromkeys(lane.successor_ids) if j in sound] for i, lane in sound.items()}
    followed = {j for onward in ahead.values() for j in onward}
    is_connector = {i: lane.intersection_id is not None and bool(ahead[i]) and i in followed for i, lane in sound.items()}
    pieces: dict[str, Piece] = {}
    links: dict[str, list[str]] = {}
    for i, lane in sound.items():
        piece, onward = _whole(lane), ahead[i]
        if is_connector[i] and any(is_connector[j] for j in onward):
            piece, stub = _with_stub(piece)
            pieces[stub.key], links[stub.key] = stub, onward
            onward = [stub.key]
        pieces[i], links[i] = piece, onward
    lanes = {key: piece for key, piece in pieces.items() if not is_connector.get(key, False)}
    # Sorted as the map sorts them; stubs come where their connectors were.
    return _joined(pieces, lanes, links)


def _joined(pieces: Mapping[str, Piece], lanes: dict[str, Piece], links: Mapping[str, list[str]]) -> RoadGraph:
    """Connectors between all lanes that follow each other, and the lanes without the tails that went into connectors."""
    connectors: dict[str, Connector] = {}
    cut: dict[str, Piece] = {}
    for key, lane in lanes.items():
        cut[key], tail = lane, None
        if any(onward in lanes for onward in links[key]):
            cut[key], tail = _without_tail(lane)
        for onward in links[key]:
            if onward in lanes:
                made = [_connector(tail or lane, lane, lanes[onward], tail=None, is_inserted=True)]
            else:
                made = [_connector(pieces[onward], lane, lanes[j], tail=tail, is_inserted=False) for j in links[onward]]
            connectors.update((connector.key, connector) for connector in made)
    blocks = {
        lane.block: Block(key=lane.block, source=source_block(lane.source), is_stub=_is_stub(lane)) for lane in cut.values()
    }
    for connector in connectors.values():
        blocks[connector.block] = Block(
            key=connector.block,
            source=source_block(connector.source),
            is_inserted=connector.intersection_id is None,
            from_block=lanes[connector.from_lane].block,
            to_block=lanes[connector.to_lane].block,
        )
    return RoadGraph(lanes=cut, connectors=connectors, blocks=blocks)


def _connector(piece: Piece, start: Piece, end: Piece, *, tail: Piece | None, is_inserted: bool) -> Connector:
    line = piece.centerline if tail is None else np.concatenate([tail.centerline[:-1], piece.centerline])
    return Connector(
        key=f"{piece.key} from {start.key} to {end.key}",
        source=piece.source,
        block=f"{piece.block} from {start.block} to {end.block}",
        centerline=line,
        left_boundary=piece.left_boundary,
        right_boundary=piece.right_boundary,
        from_lane=start.key,
        to_lane=end.key,
        intersection_id=None if is_inserted else piece.source.intersection_id,
    )


def _whole(lane: Lane) -> Piece:
    return Piece(
        key=lane.lane_id,
        source=lane,
        block=source_block(lane),
        centerline=Polyline(lane.centerline).points,
        left_boundary=lane.left_boundary,
        right_boundary=lane.right_boundary,
    )


def _is_stub(piece: Piece) -> bool:
    return piece.key != piece.source.lane_id


def _with_stub(piece: Piece) -> tuple[Piece, Piece]:
    head, tail = _without_tail(piece)
    return head, replace(tail, key=f"{piece.key} stub", block=f"{piece.block} stub")


def _without_tail(piece: Piece) -> tuple[Piece, Piece]:
    """``piece`` with a shorter centreline but all of its ground, and its last metres, no more than half of it."""
    length = _length(piece.centerline)
    share = 1 - min(TAIL_M, length / 2) / length
    head, tail = _parted(piece.centerline, share)
    left, right = (_parted(side, share)[1] for side in (piece.left_boundary, piece.right_boundary))
    return replace(piece, centerline=head), replace(piece, centerline=tail, left_boundary=left, right_boundary=right)


def _parted(points: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """A line in two, at ``share`` of its length. A line without length is both of its parts."""
    if _length(points) <= _MIN_LENGTH_M:
        return points, points
    line = Polyline(points)
    at = share * line.length
    joint = line.interpolate(at)[None, :2]
    return (
        np.concatenate([line.points[line.arc < at - _MIN_LENGTH_M], joint]),
        np.concatenate([joint, line.points[line.arc > at + _MIN_LENGTH_M]]),
    )


def _length(points: np.ndarray) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())
