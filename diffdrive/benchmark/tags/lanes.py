"""Which lanes a drive uses: followed from lane to lane, so that a drive round an obstacle stays in its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from diffdrive.benchmark.tags.drive import project
from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.scene import Lane, VectorMap

RING_M = 170.0
"""Lanes on a circle no longer than this are a roundabout: the way round a block is longer."""

_BESIDE_M = 3.0
_SAME_WAY = np.deg2rad(60.0)
_MERGE_ANGLE = np.deg2rad(30.0)


@dataclass(frozen=True, slots=True)
class LaneStep:
    """Where in which lane the ego is at one frame."""

    lane: Lane
    offset: float
    """Of the rear axle from the centreline, left positive, metres."""

    changed_from: Lane | None = None
    """The neighbour that it was in at the frame before."""


class LaneNet:
    """The lanes of a map by name, with what is asked of them again and again."""

    def __init__(self, vector_map: VectorMap) -> None:
        self.lanes = {lane.lane_id: lane for lane in vector_map.lanes if not lane.is_bike_lane}
        self._lines: dict[str, Polyline] = {}

    def line(self, lane: Lane) -> Polyline:
        """Centreline."""
        if lane.lane_id not in self._lines:
            self._lines[lane.lane_id] = Polyline(lane.centerline)
        return self._lines[lane.lane_id]

    def successors(self, lane: Lane) -> list[Lane]:
        """Those that the map holds."""
        return [self.lanes[name] for name in lane.successor_ids if name in self.lanes]

    def beside(self, lane: Lane) -> list[Lane]:
        """Neighbours in the same direction."""
        names = (lane.left_lane_id, lane.right_lane_id)
        return [self.lanes[name] for name in names if name is not None and name in self.lanes]

    @cached_property
    def _boxes(self) -> tuple[list[Lane], np.ndarray]:
        lanes = list(self.lanes.values())
        bounds = [[*lane.centerline.min(axis=0), *lane.centerline.max(axis=0)] for lane in lanes]
        return lanes, np.array(bounds).reshape(len(lanes), 4)

    def at(self, pose: np.ndarray) -> Lane | None:
        """The lane whose centreline is nearest to ``pose`` [3] and leads the same way; None where there is none near."""
        lanes, bounds = self._boxes
        near = (bounds[:, :2] <= pose[:2] + _BESIDE_M).all(axis=1) & (bounds[:, 2:] >= pose[:2] - _BESIDE_M).all(axis=1)
        found: list[tuple[float, str]] = []
        for i in np.flatnonzero(near):
            line = self.line(lanes[i])
            arc, offset = line.project(pose[:2])
            turned = wrap_angle(line.interpolate(arc)[2] - pose[2])
            if abs(offset) < _BESIDE_M and abs(turned) < _SAME_WAY:
                found.append((abs(offset), lanes[i].lane_id))
        return self.lanes[min(found)[1]] if found else None

    def is_ring(self, lane: Lane) -> bool:
        """Whether one comes back to ``lane`` within ``RING_M``."""
        waiting = [(successor, self.line(lane).length) for successor in self.successors(lane)]
        nearest: dict[str, float] = {}
        while waiting:
            here, driven = waiting.pop()
            if here.lane_id == lane.lane_id:
                return True
            driven += self.line(here).length
            if driven < min(RING_M, nearest.get(here.lane_id, np.inf)):
                nearest[here.lane_id] = driven
                waiting += [(successor, driven) for successor in self.successors(here)]
        return False

    def is_joined(self, lane: Lane) -> bool:
        """Whether two lanes run into ``lane``, both nearly straight: there somebody merges."""
        sources: set[str] = set()
        heading = self.line(lane).interpolate(0.0)[2]
        for name in lane.predecessor_ids:
            before = self.lanes.get(name)
            if before is not None and abs(wrap_angle(self.line(before).interpolate(0.0)[2] - heading)) < _MERGE_ANGLE:
                sources.update(before.predecessor_ids if before.intersection_id is not None else (name,))
        return len(sources) > 1


def follow_lanes(net: LaneNet, poses: np.ndarray) -> tuple[LaneStep, ...]:
    """The lane at each pose [F, 3] from the first on; empty where the first is in none.

    A drive leaves its lane at the end, for the successor that it stays nearest to, or sideways for a neighbour in the same
    direction once it is nearer to that one's centre. It never changes into a lane of the opposite direction.
    """
    lane = net.at(poses[0])
    if lane is None:
        return ()
    steps: list[LaneStep] = []
    for k, pose in enumerate(poses):
        lane = _moved_on(net, lane, poses[k:])
        offset = net.line(lane).project(pose[:2])[1]
        rivals = [(abs(net.line(other).project(pose[:2])[1]), other.lane_id) for other in net.beside(lane)]
        if rivals and min(rivals)[0] < abs(offset):
            before, lane = lane, net.lanes[min(rivals)[1]]
            steps.append(LaneStep(lane, net.line(lane).project(pose[:2])[1], changed_from=before if k else None))
        else:
            steps.append(LaneStep(lane, offset))
    return tuple(steps)


def _moved_on(net: LaneNet, lane: Lane, ahead: np.ndarray) -> Lane:
    """The lane that follows once the first pose of ``ahead`` [N, 3] is beyond the end of ``lane``."""
    for _ in range(8):
        arc, _ = net.line(lane).project(ahead[0, :2])
        after = net.successors(lane)
        if arc < net.line(lane).length - 1e-3 or not after:
            break
        # Lanes that part begin at one place: which one it is shows a little later.
        tails = [(_distance(net, one, ahead[:5]), one.lane_id) for one in after]
        lane = net.lanes[min(tails)[1]]
    return lane


def _distance(net: LaneNet, lane: Lane, poses: np.ndarray) -> float:
    """How far ``poses`` are from a lane and from what follows it, on average."""
    lines = [net.line(lane), *(net.line(one) for one in net.successors(lane))]
    offsets = np.abs([project(line, poses[:, :2])[1] for line in lines])
    return float(offsets.min(axis=0).mean())
