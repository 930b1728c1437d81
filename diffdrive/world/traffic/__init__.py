"""Traffic: who wants to go where, a SUMO run of it in a process of its own, and tracks that obey the kinematics of cars."""

from diffdrive.world.traffic.demand import TrafficConfig, demand_xml
from diffdrive.world.traffic.lift import lift_vehicle, lift_walker
from diffdrive.world.traffic.recording import Recording, Track, record

__all__ = ["Recording", "Track", "TrafficConfig", "demand_xml", "lift_vehicle", "lift_walker", "record"]
