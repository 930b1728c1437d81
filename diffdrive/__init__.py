"""diffdrive: an autonomous-driving planner. Import what you need from its packages; this module imports nothing."""

__version__ = "0.1.0"
