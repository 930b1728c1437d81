"""Roundabouts: a junction of minor streets gives way to a ring of one-way streets, counter-clockwise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffdrive.world.roads.street import Node, Street, StreetKind

RADIUS_M = (19.0, 22.0)
"""Of the middle of the ring lane: a bus needs about 12 m."""

RING_SPEED = 8.33
POINT_EVERY_M = 2.0
MIN_ARM_M = 65.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roundabout:
    """The ring of one junction."""

    center: np.ndarray
    """[2] metres."""

    nodes: tuple[Node, ...]
    """Where streets join, counter-clockwise."""

    def turned(self, rotation: np.ndarray) -> Roundabout:
        """The ring, turned about the origin by a matrix [2, 2]."""
        return replace(self, center=rotation @ self.center)


def with_roundabouts(
    positions: dict[Node, np.ndarray], streets: tuple[Street, ...], rng: np.random.Generator, share: float
) -> tuple[dict[Node, np.ndarray], tuple[Street, ...], tuple[Roundabout, ...]]:
    """Replace ``share`` of the junctions of three or more minor streets that are long enough: junctions, streets, rings."""
    arms: dict[Node, list[Street]] = {}
    for street in streets:
        for node in (street.start, street.end):
            arms.setdefault(node, []).append(street)
    able = [node for node, here in arms.items() if len(here) >= 3 and all(map(_has_room, here))]
    count = min(len(able), max(1, round(share * len(able)))) if share > 0 else 0
    rings = []
    for node in rng.permutation(able)[:count].tolist() if count else ():
        positions, streets, ring = _replaced(positions, streets, node, float(rng.uniform(*RADIUS_M)))
        rings.append(ring)
    return positions, streets, tuple(rings)


def _has_room(street: Street) -> bool:
    return street.kind is StreetKind.MINOR and float(np.hypot(*(street.points[-1] - street.points[0]))) > MIN_ARM_M


def _replaced(
    positions: dict[Node, np.ndarray], streets: tuple[Street, ...], node: Node, radius: float
) -> tuple[dict[Node, np.ndarray], tuple[Street, ...], Roundabout]:
    center = positions[node]
    others = tuple(street for street in streets if node not in (street.start, street.end))
    arms = [_shortened(street, node, center, radius) for street in streets if node in (street.start, street.end)]
    ends = [points[0] if is_start else points[-1] for points, is_start in ((a.points, a.start == node) for a in arms)]
    angles = [float(np.arctan2(*(end - center)[::-1])) for end in ends]
    order = np.argsort(angles)
    names = {int(k): f"{node}r{number}" for number, k in enumerate(order)}
    joined = tuple(
        replace(arm, start=names[k]) if arm.start == node else replace(arm, end=names[k]) for k, arm in enumerate(arms)
    )
    ring = []
    for number, k in enumerate(order):
        following = int(order[(number + 1) % len(order)])
        sweep = (angles[following] - angles[k]) % (2 * np.pi)
        bearing = angles[k] + np.linspace(0.0, sweep, max(4, round(sweep * radius / POINT_EVERY_M)))
        points = center + radius * np.column_stack([np.cos(bearing), np.sin(bearing)])
        ring.append(
            Street(
                start=names[int(k)],
                end=names[following],
                points=points,
                kind=StreetKind.RING,
                lanes=1,
                lanes_back=0,
                speed_limit=RING_SPEED,
                is_centered=True,
            )
        )
    kept = {name: place for name, place in positions.items() if name != node}
    kept |= {names[k]: end for k, end in enumerate(ends)}
    nodes = tuple(names[int(k)] for k in order)
    return kept, (*others, *joined, *ring), Roundabout(center=center, nodes=nodes)


def _shortened(street: Street, node: Node, center: np.ndarray, radius: float) -> Street:
    """A street that ends at the ring instead of at its middle, with one lane a direction."""
    points = street.points if street.start == node else street.points[::-1]
    distance = np.hypot(*(points - center).T)
    outside = int(np.argmax(distance > radius))
    share = (radius - distance[outside - 1]) / (distance[outside] - distance[outside - 1])
    cut = points[outside - 1] + share * (points[outside] - points[outside - 1])
    cut = center + radius * (cut - center) / np.hypot(*(cut - center))
    # A point too close to the cut would make a kink of any rounding.
    points = np.concatenate([cut[None], points[distance > radius + POINT_EVERY_M]])
    return replace(
        street,
        points=points if street.start == node else points[::-1],
        lanes=1,
        lanes_back=min(street.lanes_back, 1),
    )
