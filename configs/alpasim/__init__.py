"""The planner as a driver of AlpaSim: its wizard finds this package by the entry point ``alpasim.configs``."""
