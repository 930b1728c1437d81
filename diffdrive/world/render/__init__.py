"""The world's sensors: a vector map becomes a town, a scene becomes images and a LiDAR sweep. Needs the extra ``render``."""

from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, NUPLAN_RIG, Camera, rig_at
from diffdrive.world.render.embree import EmbreeRenderer
from diffdrive.world.render.gl import GlRenderer
from diffdrive.world.render.lidar_rig import NUPLAN_LIDAR, LidarRig, Motion, Spinner
from diffdrive.world.render.renderer import Renderer, open_renderer
from diffdrive.world.render.shading import SPEC_VERSION
from diffdrive.world.render.studio import Shot, Studio, moving_mesh
from diffdrive.world.render.town import Town, build_town, town_seed

__all__ = [
    "NUPLAN_FRONT_RIG",
    "NUPLAN_LIDAR",
    "NUPLAN_RIG",
    "SPEC_VERSION",
    "Camera",
    "EmbreeRenderer",
    "GlRenderer",
    "LidarRig",
    "Motion",
    "Renderer",
    "Shot",
    "Spinner",
    "Studio",
    "Town",
    "build_town",
    "moving_mesh",
    "open_renderer",
    "rig_at",
    "town_seed",
]
