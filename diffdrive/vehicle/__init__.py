"""The ego vehicle's body."""

from diffdrive.vehicle.dimensions import PACIFICA, VehicleDimensions

__all__ = ["PACIFICA", "VehicleDimensions"]
