"""Who drives: networks, inside the envelope or not, and what to compare them with."""

from diffdrive.simulation.drivers.lineup import DRIVERS, DriverName, Lineup
from diffdrive.simulation.drivers.protocol import Drive, Driver

__all__ = ["DRIVERS", "Drive", "Driver", "DriverName", "Lineup"]
