"""The ament_python package: an entry point, a launch file, nothing else. For colcon, not for pip."""

from setuptools import setup

NAME = "diffdrive_ros2"

setup(
    name=NAME,
    version="0.1.0",
    packages=[],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/diffdrive.launch.py"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    entry_points={"console_scripts": ["planner = diffdrive_agents.ros2.node:main"]},
)
