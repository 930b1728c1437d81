"""Prepare scenes of any source for scoring: route, centreline, drivable map, tracks, past, red lights, the yardstick."""

from diffdrive.scoring.preparation.prepare import prepare, prepare_all

__all__ = ["prepare", "prepare_all"]
