"""The sensors on real roads: a recorded drive has no town and no light of ours, and yet renders like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffdrive.geometry import points_in_box
from diffdrive.world.render import NUPLAN_FRONT_RIG
from diffdrive.world.render.studio import Studio, motion_of, sweep_errors
from diffdrive.world.source import WorldSource

pytest.importorskip("embreex")
pytest.importorskip("py123d")

SMALL_RIG = tuple(replace(camera, width=96, height=54, focal=77.0, centre=(48.0, 28.0)) for camera in NUPLAN_FRONT_RIG)


def test_a_recorded_drive_renders(av2_root: Path) -> None:
    source = WorldSource(av2_root, renderer="embree", rig=SMALL_RIG, history_s=0, future_s=0)
    token = next(t for t in source.tokens if len(source.load(t, sensors=False).agents) > 20)
    scene, town = source.load(token, sensors=False), source.town(token)
    shot = Studio("embree").shoot(town, scene, sweep_errors(scene), rig=SMALL_RIG)
    points = shot.lidar.points
    assert len(points) > 40_000
    assert motion_of(scene).forward != 0.0
    seen = np.unique(shot.lidar_objects[shot.lidar_objects >= 0])
    assert len(seen) > 5
    for row in seen:
        on_it = points[shot.lidar_objects == row]
        assert points_in_box(on_it[:, :2], scene.agents.boxes[row], margin=0.1).all()
    assert all(frame.image.std() > 10 for frame in shot.cameras.values())
    made = source.rendered(token)
    assert made.lidar.points.shape[0] > 40_000 and set(made.cameras) == set(shot.cameras)
