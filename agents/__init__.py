"""Planners in other people's harnesses: nothing else may import navsim, nuplan or alpasim. Installs as ``diffdrive_agents``."""
