"""Prepare scenes of any source for scoring: route, centreline, drivable map, tracks, past, red lights, the yardstick."""

try:
    import shapely  # noqa: F401
except ImportError as error:
    raise ImportError("Preparing scenes for scoring needs shapely: pip install 'diffdrive[data]'") from error

from diffdrive.scoring.preparation.prepare import prepare, prepare_all

__all__ = ["prepare", "prepare_all"]
