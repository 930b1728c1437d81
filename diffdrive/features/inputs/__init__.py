"""What the network sees, built from an ``Observation``: there is no way to reach the future from here."""

from __future__ import annotations

from diffdrive.features.inputs.camera import build_camera
from diffdrive.features.inputs.ego_status import build_status
from diffdrive.features.inputs.lidar_bev import build_lidar
from diffdrive.features.inputs.packing import pack_sensors
from diffdrive.scene import Observation
from diffdrive.tensors import InputLayout, PlannerInputs

__all__ = ["build_camera", "build_inputs", "build_lidar", "build_status", "pack_sensors"]


def build_inputs(observation: Observation, layout: InputLayout) -> PlannerInputs:
    """The inputs of one scene: batch size 1, float32, on the CPU.

    Raises ``InputError`` where the observation lacks a needed sensor or an image has a size that cannot be used.
    """
    return PlannerInputs(
        camera=build_camera(observation.cameras, layout)[None],
        lidar=build_lidar(observation.lidar, layout)[None],
        status=build_status(observation)[None],
    )
