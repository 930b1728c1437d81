"""Road signs: stop signs where one stops without a light, speed limits where they change. They work from any vector map.

A sign's own frame: traffic drives along +x and looks at its -x face; the post stands on z = 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from diffdrive.scene import AreaKind, Lane, TrafficLight, VectorMap
from diffdrive.world.render.mesh import Material, Mesh, assembled, coloured, joined
from diffdrive.world.render.shapes import cylinder
from diffdrive.world.render.surfaces import Footprint, lane_entry, lane_exit, off_road

STOP_SIGN_REACH_M = 75.0
"""Farther from the ego than this no stop sign is drawn: lights are annotated near the ego only, so a junction far away that
has no lights in a scene may have some all the same."""

MPH = 0.44704
BEHIND_START_M = 9.0
POST, BACK, WHITE, BLACK, RED = (
    (0.30, 0.31, 0.32),
    (0.35, 0.36, 0.37),
    (0.82, 0.82, 0.80),
    (0.02, 0.02, 0.02),
    (0.55, 0.02, 0.03),
)

# Three columns by five rows of pixels, one octal digit a row from the top.
_FONT = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71122",
    "8": "75757", "9": "75717", "S": "74717", "T": "72222", "O": "75557", "P": "75744",
}  # fmt: skip


def speed_signs(local_map: VectorMap, area: Footprint) -> Mesh:
    """A sign in miles per hour beside every street whose limit differs from the limit on the way to it."""
    lanes = {lane.lane_id: lane for lane in local_map.lanes}
    parts = []
    for lane in local_map.lanes:
        right = lanes.get(lane.right_lane_id) if lane.right_lane_id else None
        is_outer = right is None or right.is_bike_lane
        if lane.intersection_id is None and not lane.is_bike_lane and is_outer and _changes(lane, lanes):
            pose = _beside(area, *_along(lane, BEHIND_START_M))
            if pose is not None:
                parts.append(_speed_sign(_mph(lane)).placed(pose))
    return joined(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlace:
    """Beside the street where one approach stops, and the lanes and connectors that stop there."""

    pose: tuple[float, float, float]
    lane_ids: frozenset[str]


def stop_signs(places: Sequence[StopPlace], lights: Sequence[TrafficLight], ego_pose: np.ndarray) -> Mesh:
    """Signs at the places near the ego that no light of the scene governs; ``ego_pose`` [3] is in the places' frame."""
    governed = {light.lane_id for light in lights}
    reach = STOP_SIGN_REACH_M
    near = [place for place in places if np.hypot(place.pose[0] - ego_pose[0], place.pose[1] - ego_pose[1]) < reach]
    poses = [[*place.pose, 0.0] for place in near if not governed & place.lane_ids]
    return assembled([_stop_sign()] * len(poses), np.array(poses).reshape(-1, 4))


def stop_places(local_map: VectorMap, area: Footprint) -> tuple[StopPlace, ...]:
    """One for each approach with a stop zone and room for a sign, whether lights govern it or not."""
    zone_of = {lane_id: zone for zone in local_map.areas_of(AreaKind.STOP_ZONE) for lane_id in zone.lane_ids}
    streets = {lane.lane_id: lane for lane in local_map.lanes if lane.intersection_id is None}
    approaches: dict[str, dict[str, Lane]] = defaultdict(dict)
    named: dict[str, set[str]] = defaultdict(set)
    for lane in local_map.lanes:
        sources = [streets[k] for k in (lane.lane_id, *lane.predecessor_ids) if k in streets]
        for source in sources:
            # A zone names the lanes before it or the connectors behind it.
            zone = zone_of.get(lane.lane_id) or zone_of.get(source.lane_id)
            if zone is not None and not source.is_bike_lane:
                group = source.lane_group_id or zone.area_id
                approaches[group][source.lane_id] = source
                named[group] |= {lane.lane_id, *zone.lane_ids}
    found = []
    for group, lanes in approaches.items():
        pose = _beside(area, *_rightmost([lane_exit(lane) for lane in lanes.values()]))
        if pose is not None:
            x, y, heading = pose.tolist()
            found.append(StopPlace(pose=(x, y, heading), lane_ids=frozenset(named[group])))
    return tuple(found)


def _rightmost(gates: list[tuple[np.ndarray, np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray, float]:
    right = np.array([gates[0][1][1], -gates[0][1][0]])
    return max(gates, key=lambda gate: float(gate[0] @ right))


def _beside(area: Footprint, point: np.ndarray, direction: np.ndarray, width: float) -> np.ndarray | None:
    """Pose [3] off the road to the right of a lane, or None where there is no room."""
    left = np.array([-direction[1], direction[0]])
    offset = off_road(area.drivable, point, left, -width / 2)
    return None if offset is None else np.array([*(point + left * offset), np.arctan2(direction[1], direction[0])])


def _along(lane: Lane, distance: float) -> tuple[np.ndarray, np.ndarray, float]:
    point, direction, width = lane_entry(lane)
    return point + direction * distance, direction, width


def _mph(lane: Lane) -> int:
    """The limit as a sign says it, in steps of five."""
    return 5 * round((lane.speed_limit_mps or 0.0) / MPH / 5)


def _changes(lane: Lane, lanes: dict[str, Lane]) -> bool:
    """Whether a lane on the way here has another limit; limits on connectors follow their curves and do not count."""
    if not 5 <= _mph(lane) <= 95:
        return False
    before = {_mph(street) for street in _streets_before(lane, lanes) if street.speed_limit_mps}
    return bool(before - {_mph(lane)})


def _streets_before(lane: Lane, lanes: dict[str, Lane]) -> Iterator[Lane]:
    for name in lane.predecessor_ids:
        before = lanes.get(name)
        if before is None:
            continue
        if before.intersection_id is None:
            yield before
        else:
            yield from (lanes[k] for k in before.predecessor_ids if k in lanes and lanes[k].intersection_id is None)


@lru_cache(maxsize=1)
def _stop_sign() -> Mesh:
    ring = np.deg2rad(22.5 + 45.0 * np.arange(8))
    shape = np.stack([np.cos(ring), np.sin(ring)], axis=1)
    middle = np.array([0.0, 2.35])
    return joined([
        _post(2.3),
        coloured(_plate(shape * 0.43 + middle, 0.0), Material.MATTE, BACK),
        coloured(_plate(shape * 0.43 + middle, -0.01), Material.SIGN, WHITE),
        coloured(_plate(shape * 0.395 + middle, -0.02), Material.SIGN, RED),
        coloured(_text("STOP", 0.56, middle, -0.03), Material.SIGN, WHITE),
    ])  # fmt: skip


@lru_cache(maxsize=32)
def _speed_sign(mph: int) -> Mesh:
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    parts = [
        _post(2.4),
        coloured(_plate(corners * [0.62, 0.78] + [0, 2.45], 0.0), Material.MATTE, BACK),
        coloured(_plate(corners * [0.62, 0.78] + [0, 2.45], -0.01), Material.SIGN, BLACK),
        coloured(_plate(corners * [0.58, 0.74] + [0, 2.45], -0.02), Material.SIGN, WHITE),
        coloured(_text(str(mph), 0.40, np.array([0.0, 2.33]), -0.03), Material.MATTE, BLACK),
    ]
    # The words above the number are too small to read: two dark lines.
    for z in (2.72, 2.64):
        parts.append(coloured(_plate(corners * [0.36, 0.035] + [0, z], -0.03), Material.MATTE, BLACK))
    return joined(parts)


def _post(height: float) -> Mesh:
    return coloured(cylinder(0.035, height, (0.06, 0.0), sides=4)[:8], Material.MATTE, POST)


def _plate(outline: np.ndarray, x: float) -> np.ndarray:
    """Triangles of a convex outline [P, 2] of (y, z) at depth ``x``."""
    corners = np.column_stack([np.full(len(outline), x), outline])
    fan = np.stack([np.zeros(len(outline) - 2, dtype=int), np.arange(2, len(outline)), np.arange(1, len(outline) - 1)], axis=1)
    return corners[fan]


def _text(text: str, width: float, middle: np.ndarray, x: float) -> np.ndarray:
    """Triangles of letters ``width`` metres across in all, around ``middle`` (y, z), each run of pixels one rectangle."""
    pixel = width / (4 * len(text) - 1)
    faces = []
    for k, letter in enumerate(text):
        for row, code in enumerate(_FONT[letter]):
            bits = f"{int(code):03b}"
            for first, last in ((0, 3), (0, 2), (1, 3), (0, 1), (1, 2), (2, 3)):
                run = bits[first:last]
                if set(run) == {"1"} and "1" not in (bits[first - 1 : first] + bits[last : last + 1]):
                    # To a driver the left is +y.
                    left = middle[0] + width / 2 - (4 * k + first) * pixel
                    right = left - (last - first) * pixel
                    top = middle[1] + (2.5 - row) * pixel * 1.5
                    low = top - pixel * 1.5
                    faces.append(_plate(np.array([[right, low], [left, low], [left, top], [right, top]]), x))
    return np.concatenate(faces)
