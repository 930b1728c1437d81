"""YAML overrides of the defaults in code, found through ``importlib.resources.files("diffdrive_configs")``."""
