"""PDM-Closed: fifteen proposals along the route, of which the one that scores best in its own forecast is driven."""

try:
    import shapely  # noqa: F401
except ImportError as error:
    raise ImportError("PDM-Closed needs shapely: pip install 'diffdrive[data]'") from error

from diffdrive.scoring.reference_planner.planner import Plan, Situation, drive

__all__ = ["Plan", "Situation", "drive"]
