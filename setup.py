"""Map the top-level folders whose names are too common to import (agents, anchors, configs) to names of their own."""

from setuptools import find_packages, setup

FOLDERS = {"diffdrive_agents": "agents", "diffdrive_anchors": "anchors", "diffdrive_configs": "configs"}

nested = [f"{name}.{sub}" for name, folder in FOLDERS.items() for sub in find_packages(folder)]
setup(
    packages=[*find_packages(include=["diffdrive", "diffdrive.*"]), *FOLDERS, *nested],
    package_dir={"diffdrive": "diffdrive", **FOLDERS},
)
