"""Planners in other people's harnesses. The only place that may import navsim or nuplan; installs as ``diffdrive_agents``."""
