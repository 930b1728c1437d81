"""The ego vehicle: its body, the columns of its state, how it moves and how it follows a path."""

from diffdrive.vehicle.dimensions import PACIFICA, VehicleDimensions

__all__ = ["PACIFICA", "VehicleDimensions"]
