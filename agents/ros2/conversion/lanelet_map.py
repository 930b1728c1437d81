"""The centre lines of a Lanelet2 map, from the OSM file that Autoware loads.

Autoware publishes its map as an opaque archive of the C++ library, but its file is plain XML: nodes with their place in the map
frame (tags ``local_x`` and ``local_y``, metres), ways of nodes, and relations of type ``lanelet`` with a left and a right way.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline

_SPACING_M = 2.0


def read_lanelet_map(path: Path) -> dict[int, np.ndarray]:
    """Points [K, 2] (metres, map frame) along the middle of every lanelet, by id, in its driving direction.

    Raises ``InputError`` for a file that is missing or is no such map, and for nodes without ``local_x`` and ``local_y``.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"'{path}' cannot be read as a Lanelet2 map (.osm): {error}") from error
    places = {node.get("id", ""): _tags(node) for node in root.iter("node")}
    ways = {way.get("id", ""): [nd.get("ref", "") for nd in way.iter("nd")] for way in root.iter("way")}
    lines = {}
    for relation in root.iter("relation"):
        if _tags(relation).get("type") != "lanelet":
            continue
        name = relation.get("id", "")
        sides = {member.get("role", ""): member.get("ref", "") for member in relation.iter("member")}
        left, right = (_side(name, sides.get(role), ways, places) for role in ("left", "right"))
        lines[int(name)] = _middle(left, right)
    if not lines:
        raise InputError(f"'{path}' holds no lanelet.")
    return lines


def _tags(element: ElementTree.Element) -> dict[str, str]:
    return {tag.get("k", ""): tag.get("v", "") for tag in element.iter("tag")}


def _side(lanelet: str, way: str | None, ways: dict[str, list[str]], places: dict[str, dict[str, str]]) -> np.ndarray:
    try:
        nodes = [places[node] for node in ways[way or ""]]
        points = np.array([[float(tags["local_x"]), float(tags["local_y"])] for tags in nodes])
    except (KeyError, ValueError) as error:
        raise InputError(
            f"Lanelet {lanelet} of the map has a side without nodes or without numbers: {error}. "
            "Save the map with local_x and local_y of every node (Vector Map Builder does)."
        ) from error
    if len(points) < 2:
        raise InputError(f"Lanelet {lanelet} of the map has a side of {len(points)} nodes; it needs two or more.")
    return points


def _middle(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    # A way may be stored against the driving direction of the lanelet: sides that run apart are turned to run along.
    if np.linalg.norm(left[0] - right[0]) + np.linalg.norm(left[-1] - right[-1]) > np.linalg.norm(
        left[0] - right[-1]
    ) + np.linalg.norm(left[-1] - right[0]):
        right = right[::-1]
    ring = np.concatenate([right, left[::-1]])
    x, y = ring.T
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:  # what is called left must lie to the left
        left, right = left[::-1], right[::-1]
    sides = [Polyline(left), Polyline(right)]
    count = max(2, 1 + round(max(side.length for side in sides) / _SPACING_M))
    shares = np.linspace(0.0, 1.0, count)
    return np.asarray(np.mean([side.interpolate(shares * side.length)[:, :2] for side in sides], axis=0))
