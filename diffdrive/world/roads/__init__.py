"""Roads: a seed becomes a town, a town becomes a SUMO network and a vector map with the same lanes."""

from diffdrive.world.roads.config import TownConfig
from diffdrive.world.roads.layout import TownLayout, lay_out
from diffdrive.world.roads.netconvert import build_network
from diffdrive.world.roads.network import Approach, RoadNetwork, read_network
from diffdrive.world.roads.route import plan_route

__all__ = [
    "Approach",
    "RoadNetwork",
    "TownConfig",
    "TownLayout",
    "build_network",
    "lay_out",
    "plan_route",
    "read_network",
]
