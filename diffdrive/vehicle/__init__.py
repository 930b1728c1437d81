"""The ego vehicle: its body, the columns of its state, how it moves and how it follows a path.

What moves needs torch and is imported from its module (``vehicle.lqr.track``); this package's own names do without.
"""

from diffdrive.vehicle.dimensions import PACIFICA, VehicleDimensions

__all__ = ["PACIFICA", "VehicleDimensions"]
