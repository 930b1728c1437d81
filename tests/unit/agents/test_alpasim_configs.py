"""The configuration for AlpaSim's wizard: cameras that the model takes, where the embedded world has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from diffdrive_agents.alpasim.cameras import cameras_of

from diffdrive.geometry.se3 import transform_from_quaternion
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, rig_at

FOLDER = Path(__file__).resolve().parents[3] / "configs/alpasim/driver"


@pytest.fixture(scope="module")
def driver() -> Any:
    return yaml.safe_load((FOLDER / "diffdrive.yaml").read_text())


@pytest.fixture(scope="module")
def rendered() -> Any:
    return yaml.safe_load((FOLDER / "diffdrive_configs.yaml").read_text())["runtime"]


def test_the_same_three_cameras_everywhere(driver: Any, rendered: Any) -> None:
    names = driver["inference"]["use_cameras"]
    cameras_of(names)
    assert names == list(driver["rectification"])
    assert names == [each["logical_id"] for each in rendered["simulation_config"]["cameras"]]
    assert names == [each["logical_id"] for each in rendered["extra_cameras"]]


def test_cameras_look_as_those_of_the_embedded_world(driver: Any, rendered: Any) -> None:
    rig = {each.camera_id: each for each in rig_at(1, NUPLAN_FRONT_RIG)}
    known = cameras_of(driver["inference"]["use_cameras"])
    for name, target in driver["rectification"].items():
        camera = rig[known[name]]
        assert target["focal_length"] == [camera.focal] * 2 and target["principal_point"] == list(camera.centre)
        assert target["resolution_hw"] == [camera.height, camera.width]
    for extra in rendered["extra_cameras"]:
        pose = extra["rig_to_camera"]
        x, y, z, w = pose["rotation_xyzw"]
        matrix = transform_from_quaternion(np.array([w, x, y, z]), np.array(pose["translation_m"]))
        np.testing.assert_allclose(matrix, rig[known[extra["logical_id"]]].ego_from_camera, atol=1e-5)
