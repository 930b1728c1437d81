"""The plan of a town becomes a SUMO network, through SUMO's ``netconvert``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.world.roads.expressway import LaneLink
from diffdrive.world.roads.layout import TownLayout
from diffdrive.world.roads.roundabout import Roundabout
from diffdrive.world.roads.street import Node, Street, StreetKind
from diffdrive.world.roads.surfaces import offset_polyline

SIDEWALK_WIDTH_M = 3.0
BIKE_LANE_WIDTH_M = 1.6
PARKING_WIDTH_M = 2.4
# SUMO lets cars take curves as fast as this sideways acceleration allows; its default gives twice what people drive.
MAX_TURN_ACCELERATION = 2.2

_PRIORITIES = {
    StreetKind.MINOR: 1,
    StreetKind.RAMP: 2,
    StreetKind.ARTERIAL: 3,
    StreetKind.EXPRESSWAY: 4,
    StreetKind.RING: 5,
}


def sumo_binary(name: str) -> Path:
    """Path of a program of the SUMO suite. Raises ``InputError`` where SUMO is not installed."""
    try:
        import sumo
    except ImportError as error:
        raise InputError("Making a town needs SUMO. Install it with: pip install 'diffdrive[world]'") from error
    return Path(sumo.SUMO_HOME) / "bin" / name


def build_network(layout: TownLayout, folder: Path) -> Path:
    """Write ``town.net.xml`` into ``folder`` and return its path. Raises ``InputError`` when netconvert fails."""
    binary = sumo_binary("netconvert")
    files = {
        "node": ("nodes", [_node_xml(layout, node) for node in layout.positions]),
        "edge": ("edges", [_edges_xml(s) for s in layout.streets] + [_roundabout_xml(r) for r in layout.roundabouts]),
        "connection": ("connections", [_link_xml(link) for link in layout.links]),
    }
    network = folder / "town.net.xml"
    command = [str(binary), "--output-file", str(network)]
    for name, (root, lines) in files.items():
        path = folder / f"town.{name}.xml"
        path.write_text("\n".join([f"<{root}>", *lines, f"</{root}>", ""]))
        command += [f"--{name}-files", str(path)]
    command += ["--crossings.guess", "--walkingareas", "--no-turnarounds", "--roundabouts.guess", "false"]
    command += ["--junctions.internal-link-detail", "20", "--junctions.corner-detail", "10", "--rectangular-lane-cut", "false"]
    command += ["--junctions.limit-turn-speed", str(MAX_TURN_ACCELERATION), "--geometry.max-angle.fix", "0"]
    command += ["--tls.default-type", "static", "--tls.left-green.time", "8", "--tls.cycle.time", str(layout.cycle_s)]
    command += ["--precision", "3", "--offset.disable-normalization", "true", "--seed", str(layout.seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"netconvert could not build the town of seed {layout.seed}: {done.stderr.strip()[-500:]}")
    return network


def edge_id(start: Node, end: Node) -> str:
    """SUMO's name of the way from one junction to the next."""
    return f"{start}-{end}"


def _node_xml(layout: TownLayout, node: Node) -> str:
    x, y = layout.positions[node]
    control, radius = layout.controls[node], layout.radii[node]
    return f'<node id="{node}" x="{x:.2f}" y="{y:.2f}" type="{control}" radius="{radius:.1f}"/>'


def _edges_xml(street: Street) -> str:
    line = street.points
    if street.is_centered:
        line = offset_polyline(line, street.lanes * street.lane_width / 2)
    ahead = _edge_xml(street, street.start, street.end, line, street.lanes)
    if not street.is_one_way:
        return ahead + "\n" + _edge_xml(street, street.end, street.start, line[::-1], street.lanes_back)
    return ahead + "\n" + _footway_xml(street, line[::-1]) if street.kind is StreetKind.MINOR else ahead


def _edge_xml(street: Street, start: Node, end: Node, line: np.ndarray, lanes: int) -> str:
    bike = f' bikeLaneWidth="{BIKE_LANE_WIDTH_M}"' if street.has_bike_lanes else ""
    parking = f'<lane index="0" disallow="all" width="{PARKING_WIDTH_M}"/>' if street.has_parking else ""
    walk = f'sidewalkWidth="{SIDEWALK_WIDTH_M}"' if street.has_sidewalks else 'disallow="pedestrian bicycle"'
    return (
        f'<edge id="{edge_id(start, end)}" from="{start}" to="{end}" type="{street.kind.value}" '
        f'numLanes="{lanes + int(street.has_parking)}" speed="{street.speed_limit}" width="{street.lane_width}" {walk}{bike} '
        f'priority="{_PRIORITIES[street.kind]}" shape="{_shape_xml(line)}" spreadType="right">{parking}</edge>'
    )


def _footway_xml(street: Street, line: np.ndarray) -> str:
    """The pavement on the left of a one-way street: SUMO has pavements on the right only, so it is the way back on foot."""
    return (
        f'<edge id="{edge_id(street.end, street.start)}" from="{street.end}" to="{street.start}" type="footway" numLanes="1" '
        f'speed="1.39" width="{SIDEWALK_WIDTH_M}" allow="pedestrian" priority="0" shape="{_shape_xml(line)}" '
        f'spreadType="right"/>'
    )


def _roundabout_xml(ring: Roundabout) -> str:
    following = (*ring.nodes[1:], ring.nodes[0])
    edges = " ".join(edge_id(a, b) for a, b in zip(ring.nodes, following, strict=True))
    return f'<roundabout nodes="{" ".join(ring.nodes)}" edges="{edges}"/>'


def _link_xml(link: LaneLink) -> str:
    a, b, c = link.nodes
    return f'<connection from="{edge_id(a, b)}" to="{edge_id(b, c)}" fromLane="{link.lane}" toLane="{link.next_lane}"/>'


def _shape_xml(points: np.ndarray) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
