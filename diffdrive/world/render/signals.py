"""Traffic signals: posts, heads and lamps at the lane connectors that a scene's lights govern.

Each approach gets a mast on the far side of the crossing with one head per connector, left to right by turn, and a low
post beside the stop line. Lamps shine by the state of the connector's light.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from diffdrive.geometry import wrap_angle
from diffdrive.scene import AreaKind, Lane, LightState, TrafficLight
from diffdrive.world.render.extra import need
from diffdrive.world.render.mesh import Material, Mesh, assembled, coloured, joined
from diffdrive.world.render.shapes import block, cylinder
from diffdrive.world.render.surfaces import lane_entry, off_road
from diffdrive.world.render.town import Town

POST, CASE = (0.23, 0.24, 0.25), (0.03, 0.03, 0.03)
MAST_Z, LOW_Z = 5.0, 2.3
HEAD_SPACING_M = 0.8
# Lamps from the top of a head: which state lights it, its colour when lit.
_LAMPS = (
    (LightState.RED, (1.0, 0.06, 0.04)),
    (LightState.YELLOW, (1.0, 0.72, 0.06)),
    (LightState.GREEN, (0.06, 1.0, 0.42)),
)


def signals_mesh(town: Town, lights: Sequence[TrafficLight]) -> Mesh:
    """Masts, posts and lamps of all lights whose connector is in the town's map, in the town frame."""
    states = {light.lane_id: light.state for light in lights}
    structures, heads, places = [], [], []
    for structure, lamps in _layout(town, tuple(sorted(states))):
        structures.append(structure)
        heads += [_head(states[lane_id]) for lane_id, _, _ in lamps]
        places += [[*pose, z] for _, pose, z in lamps]
    return joined([*structures, assembled(heads, np.array(places).reshape(-1, 4))])


_Heads = tuple[tuple[str, np.ndarray, float], ...]


@lru_cache(maxsize=32)
def _layout(town: Town, lane_ids: tuple[str, ...]) -> tuple[tuple[Mesh, _Heads], ...]:
    """Per approach: the fixed parts, and (connector, pose, height) of every head."""
    wanted = set(lane_ids)
    approaches: dict[tuple[str, int], list[Lane]] = defaultdict(list)
    for lane in town.local_map.lanes:
        if lane.lane_id in wanted and not lane.is_bike_lane:
            _, direction, _ = lane_entry(lane)
            quarter = round(float(np.arctan2(direction[1], direction[0])) / (np.pi / 4)) % 8
            approaches[(lane.intersection_id or lane.lane_id, quarter)].append(lane)
    return tuple(_approach(town, lanes) for lanes in approaches.values())


def _approach(town: Town, lanes: list[Lane]) -> tuple[Mesh, _Heads]:
    entries = [lane_entry(lane) for lane in lanes]
    direction = np.mean([entry[1] for entry in entries], axis=0)
    direction = direction / max(float(np.hypot(*direction)), 1e-6)
    left = np.array([-direction[1], direction[0]])
    origin = np.mean([entry[0] for entry in entries], axis=0)
    far = _far_side(town, lanes, origin, direction)
    slots = _slots(lanes, entries, origin, left)
    facing = float(np.arctan2(direction[1], direction[0]))
    heads: list[tuple[str, np.ndarray, float]] = []
    for lane, offset in slots:
        heads.append((lane.lane_id, np.array([*(origin + direction * far + left * offset), facing]), MAST_Z))
    low, high = min(offset for _, offset in slots), max(offset for _, offset in slots)
    right = low - max(entry[2] for entry in entries) / 2
    mast_y = off_road(town.area.drivable, origin + direction * far, left, right)
    post_y = off_road(town.area.drivable, origin + direction * 0.5, left, right)
    parts = [_mast(origin + direction * (far + 0.25), facing, mast_y, high + 0.4)]
    if post_y is not None:
        spot = origin + direction * 0.5 + left * post_y
        parts.append(
            coloured(cylinder(0.06, LOW_Z + 1.0, sides=5), Material.MATTE, POST).placed(
                np.array([*(spot + direction * 0.2), 0.0])
            )
        )
        straight = min(lanes, key=lambda lane: abs(_turn(lane)))
        heads.append((straight.lane_id, np.array([*spot, facing]), LOW_Z))
    return joined(parts), tuple(heads)


def _slots(
    lanes: list[Lane], entries: list[tuple[np.ndarray, np.ndarray, float]], origin: np.ndarray, left: np.ndarray
) -> list[tuple[Lane, float]]:
    """Where each connector's head hangs along the mast: above its own lane, connectors of one lane side by side."""
    groups: dict[int, list[tuple[Lane, float]]] = defaultdict(list)
    for lane, entry in zip(lanes, entries, strict=True):
        offset = float((entry[0] - origin) @ left)
        groups[round(offset / 1.5)].append((lane, offset))
    slots = []
    for group in groups.values():
        ordered = sorted(group, key=lambda item: -_turn(item[0]))
        middle = float(np.mean([offset for _, offset in group]))
        for k, (lane, _) in enumerate(ordered):
            slots.append((lane, middle + ((len(ordered) - 1) / 2 - k) * HEAD_SPACING_M))
    return slots


def _turn(lane: Lane) -> float:
    """Change of heading over the connector, left positive, radians."""
    step = np.diff(lane.centerline, axis=0)
    headings = np.arctan2(step[[0, -1], 1], step[[0, -1], 0])
    return float(wrap_angle(headings[1] - headings[0]))


def _far_side(town: Town, lanes: list[Lane], origin: np.ndarray, direction: np.ndarray) -> float:
    """How far ahead of the entry the crossing ends: by its polygon, else by its straightest connector; 6 to 40 m."""
    shapely = need("shapely")
    wanted = lanes[0].intersection_id
    outline = next((a.outline for a in town.local_map.areas_of(AreaKind.INTERSECTION) if a.area_id == wanted), None)
    if outline is not None:
        ray = shapely.LineString([origin - direction, origin + direction * 60.0])
        inside = shapely.get_coordinates(shapely.intersection(shapely.make_valid(shapely.Polygon(outline)), ray))
    else:
        inside = np.concatenate([lane.centerline for lane in lanes])
    reach = float(((inside - origin) @ direction).max()) if len(inside) else 12.0
    return float(np.clip(reach + 1.0, 6.0, 40.0))


def _mast(point: np.ndarray, facing: float, foot: float | None, tip: float) -> Mesh:
    """A pole at lateral offset ``foot`` with an arm to ``tip``; without a place for a foot, only the arm."""
    start = foot if foot is not None else -tip
    z = MAST_Z + 0.95
    parts = [coloured(block((0.1, tip - start, 0.1), (0.0, (tip + start) / 2), z), Material.MATTE, POST)]
    if foot is not None:
        parts.append(coloured(cylinder(0.11, z + 0.3, (0.0, foot), sides=6, top=0.75), Material.MATTE, POST))
    return joined(parts).placed(np.array([*point, facing]))


@lru_cache(maxsize=8)
def _head(state: LightState) -> Mesh:
    """A head seen by traffic that drives along +x: lamps on its -x face, bottom at z = 0."""
    parts = [
        coloured(block((0.22, 0.46, 1.3)), Material.MATTE, CASE),
        coloured(block((0.04, 0.72, 1.55), (0.1, 0.0), -0.125), Material.MATTE, CASE),
    ]
    for k, (lit, colour) in enumerate(_LAMPS):
        on = state is lit
        shade = colour if on else tuple(0.10 * c + 0.02 for c in colour)
        lamp = block((0.05, 0.34, 0.34), (-0.13, 0.0), 0.9 - 0.41 * k)
        parts.append(coloured(lamp, Material.LAMP if on else Material.MATTE, shade))
    return joined(parts)
