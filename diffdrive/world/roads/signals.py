"""Whether traffic lights are safe: no two ways through a junction that cross may have right of way at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffdrive.world.roads.network import open_network

_PROTECTED, _GREEN = "G", "Gg"


def conflicting_greens(network_file: Path) -> list[str]:
    """Every pair of crossing links that a program lets go at once without either giving way, in words; none in a sound town.

    ``network_file`` is a ``netconvert`` result. Vehicles and people on foot are both looked at. A left turn may share its
    green with oncoming traffic where it gives way (SUMO's small ``g``).
    Raises ``InputError`` where sumolib or the file is missing.
    """
    net = open_network(network_file)
    found = []
    for light in sorted(net.getTrafficLights(), key=lambda light: str(light.getID())):
        links = _links_of(light)
        for program in light.getPrograms().values():
            for number, phase in enumerate(program.getPhases()):
                found += [f"{light.getID()}, phase {number}: {pair}" for pair in _conflicts(links, phase.state)]
    return found


Link = tuple[Any, int, int]
"""Junction, index among its links, index in the state of its light."""


def _links_of(light: Any) -> list[Link]:
    links = []
    for source, target, index in light.getConnections():
        for connection in source.getOutgoing():
            if connection.getToLane() is target and connection.getTLLinkIndex() == index:
                links.append((connection.getJunction(), int(connection.getJunctionIndex()), int(index)))
    return links


def _conflicts(links: list[Link], state: str) -> list[str]:
    going = [link for link in links if state[link[2]] in _GREEN]
    pairs = [(one, other) for k, one in enumerate(going) for other in going[k + 1 :] if one[0] is other[0]]
    return [
        f"links {one[2]} and {other[2]} of '{one[0].getID()}'"
        for one, other in pairs
        if _cross(one, other) and not _gives_way(one, other, state) and not _gives_way(other, one, state)
    ]


def _cross(one: Link, other: Link) -> bool:
    # Where a bicycle turns right beside a car that turns left into the next lane, SUMO names the one a foe of the other but not
    # the other of the one: they share a street and no place in it.
    return all(a[0].areFoes(a[1], b[1]) for a, b in ((one, other), (other, one)))


def _gives_way(link: Link, other: Link, state: str) -> bool:
    """Whether ``link`` has the lesser green and its junction makes it wait for ``other``."""
    waits = link[0]._prohibits[link[1]]
    return state[link[2]] != _PROTECTED and bool(waits[-(other[1] + 1)] == "1")
