"""The sensors on the towns that ship with the package: what is drawn, what is labelled and the map agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from source_conformance import assert_source_conforms

from diffdrive.assets import LOGS
from diffdrive.geometry import box_corners, points_in_box, to_world
from diffdrive.vehicle import PACIFICA
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_LIDAR, EmbreeRenderer, moving_mesh
from diffdrive.world.render.embree import TownRays
from diffdrive.world.render.lidar import scan
from diffdrive.world.source import WorldSource

shapely = pytest.importorskip("shapely")
pytest.importorskip("embreex")
pytest.importorskip("py123d")


@pytest.fixture(scope="module")
def source() -> WorldSource:
    if not (LOGS / "logs").is_dir():
        pytest.skip(f"no logs ship with this checkout: {LOGS}")
    return WorldSource(LOGS, renderer="embree")


def test_the_shipped_logs_conform(tmp_path: Path) -> None:
    small = tuple(replace(camera, width=96, height=54, focal=77.0, centre=(48.0, 28.0)) for camera in NUPLAN_FRONT_RIG)
    lidar = replace(NUPLAN_LIDAR, spinners=NUPLAN_LIDAR.spinners[:1])
    source = WorldSource(LOGS, cache=tmp_path, renderer="embree", rig=small, lidar=lidar)
    assert_source_conforms(source, max_scenes=3)


def test_labels_sensors_and_map_agree(source: WorldSource) -> None:
    rays = TownRays()
    tokens = list(source.tokens)
    on_agents = 0
    for token in tokens[:: max(1, len(tokens) // 4)][:4]:
        what, town = source.load(token, sensors=False), source.town(token)
        ego_pose = town.from_world(what.world_from_ego)
        sweep = scan(rays.stage(town, moving_mesh(town, what)), ego_pose, np.random.default_rng(0))
        for row, box in enumerate(what.agents.boxes):
            points = sweep.sweep.points[sweep.objects == row]
            on_agents += len(points)
            centre_z, height = what.agents.vertical[row]
            assert points_in_box(points[:, :2], box, margin=0.1).all()
            assert (points[:, 2] < centre_z + height / 2 + 0.25).all()
        corners = to_world(box_corners(PACIFICA.boxes(np.zeros(3))), ego_pose)
        assert shapely.intersects_xy(town.area.drivable.buffer(0.3), corners[:, 0], corners[:, 1]).all(), (
            "the ego drives on the road"
        )
    assert on_agents > 500


def test_a_labelled_pixel_lies_in_its_agents_projection(source: WorldSource) -> None:
    what, town = source.load(source.tokens[0], sensors=False), source.town(source.tokens[0])
    moving, ego_pose = moving_mesh(town, what), town.from_world(what.world_from_ego)
    camera = NUPLAN_FRONT_RIG[1]
    ids = EmbreeRenderer().objects(town, moving, ego_pose, camera)
    hits = scan(TownRays().stage(town, moving), ego_pose, np.random.default_rng(0))
    in_camera = (hits.sweep.points - camera.ego_from_camera[:3, 3]) @ camera.ego_from_camera[:3, :3]
    ahead = (in_camera[:, 2] > 2.0) & (hits.objects >= 0)
    pixels = in_camera[ahead] @ camera.intrinsics.T
    pixels = np.floor(pixels[:, :2] / pixels[:, 2:]).astype(int)
    inside = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(axis=1)
    shown = ids[pixels[inside, 1], pixels[inside, 0]]
    # The sensors stand apart, so edges differ; the bulk of the returns lies on pixels of the same agent.
    if inside.sum() >= 50:
        assert (shown == hits.objects[ahead][inside]).mean() > 0.6
