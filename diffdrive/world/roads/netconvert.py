"""The plan of a town becomes a SUMO network, through SUMO's ``netconvert``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.world.roads.layout import Node, Street, TownLayout

SIDEWALK_WIDTH_M = 2.5
BIKE_LANE_WIDTH_M = 1.6
PARKING_WIDTH_M = 2.4
# SUMO lets cars take curves as fast as this sideways acceleration allows; its default gives twice what people drive.
MAX_TURN_ACCELERATION = 2.2


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
    nodes, edges, network = folder / "town.nod.xml", folder / "town.edg.xml", folder / "town.net.xml"
    nodes.write_text("<nodes>\n" + "\n".join(_node_xml(layout, node) for node in layout.positions) + "\n</nodes>\n")
    edges.write_text("<edges>\n" + "\n".join(_edges_xml(street) for street in layout.streets) + "\n</edges>\n")
    command = [str(binary), "--node-files", str(nodes), "--edge-files", str(edges), "--output-file", str(network)]
    command += ["--crossings.guess", "--walkingareas", "--no-turnarounds"]
    command += ["--junctions.internal-link-detail", "20", "--junctions.corner-detail", "10", "--rectangular-lane-cut", "false"]
    command += ["--junctions.limit-turn-speed", str(MAX_TURN_ACCELERATION), "--geometry.max-angle.fix", "0"]
    command += ["--tls.default-type", "static", "--tls.left-green.time", "8", "--tls.cycle.time", str(layout.cycle_s)]
    command += ["--precision", "3", "--offset.disable-normalization", "true", "--seed", str(layout.seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"netconvert could not build the town of seed {layout.seed}: {done.stderr.strip()[-500:]}")
    return network


def _node_xml(layout: TownLayout, node: Node) -> str:
    x, y = layout.positions[node]
    control, radius = layout.controls[node], layout.radii[node]
    return f'<node id="{_node_id(node)}" x="{x:.2f}" y="{y:.2f}" type="{control}" radius="{radius:.1f}"/>'


def _edges_xml(street: Street) -> str:
    ahead = _edge_xml(street, street.start, street.end, street.points)
    return ahead + "\n" + _edge_xml(street, street.end, street.start, street.points[::-1])


def _edge_xml(street: Street, start: Node, end: Node, points: np.ndarray) -> str:
    lanes = street.lanes + int(street.has_parking)
    bike = f' bikeLaneWidth="{BIKE_LANE_WIDTH_M}"' if street.has_bike_lanes else ""
    parking = f'<lane index="0" disallow="all" width="{PARKING_WIDTH_M}"/>' if street.has_parking else ""
    shape = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return (
        f'<edge id="{_node_id(start)}-{_node_id(end)}" from="{_node_id(start)}" to="{_node_id(end)}" numLanes="{lanes}" '
        f'speed="{street.speed_limit}" width="{street.lane_width}" sidewalkWidth="{SIDEWALK_WIDTH_M}"{bike} '
        f'priority="{3 if street.is_arterial else 1}" shape="{shape}" spreadType="right">{parking}</edge>'
    )


def _node_id(node: Node) -> str:
    return f"n{node[0]}_{node[1]}"
