"""The format's facts: folders, file names, cities, map layers and their columns, LiDAR fields."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from diffdrive.scene import CameraId

LOGS_FOLDER, BLOBS_FOLDER, MAPS_FOLDER = "navsim_logs", "sensor_blobs", "maps"
"""Below an export: <logs>/<split>/<log>.pkl, <blobs>/<split>/<log>/<sensor>/<token>.<ending>, <maps>/<city>/<version>/."""

MAP_INDEX, MAP_FILE = "nuplan-maps-v1.0.json", "map.gpkg"

FRAME_INTERVAL_S = 0.5

TOKEN_LENGTH = 16
"""Characters of a frame's token; the devkit takes 17 for a synthetic scene."""

CAMERA_NAMES = {camera: f"CAM_{camera.name}" for camera in CameraId}

IMAGE_SIZE = (1920, 1080)
"""Width and height of nuPlan's images. Agents cut fixed margins off them."""

LIDAR_NAME = "MergedPointCloud"
PCD_FIELDS = {"x": ("F", 4), "y": ("F", 4), "z": ("F", 4), "intensity": ("U", 1), "ring": ("U", 1), "lidar_info": ("U", 1)}
"""Type letter and bytes of each field of a .pcd file."""

STOP_SIGN, TRAFFIC_LIGHT = 1, 2
"""Values of ``stop_polygon_type_fid``."""

NO_OBJECT = 0
"""A reference to nothing. Ids begin at 1: a missing value would make a whole column of ids floating point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """One of the devkit's four map locations."""

    version: str
    """Folder of its map."""

    epsg: int
    """Its UTM zone."""

    origin: tuple[float, float]
    """Where exported maps begin, metres east and north."""


CITIES = {
    "us-ma-boston": City(version="9.12.1817", epsg=32619, origin=(331_000.0, 4_690_000.0)),
    "us-pa-pittsburgh-hazelwood": City(version="9.17.1937", epsg=32617, origin=(587_000.0, 4_474_000.0)),
    "us-nv-las-vegas-strip": City(version="9.15.1915", epsg=32611, origin=(664_000.0, 3_997_000.0)),
    "sg-one-north": City(version="9.17.1964", epsg=32648, origin=(364_000.0, 143_000.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a map: the kind of its geometry, and the numpy type of each column."""

    geometry: str
    columns: dict[str, str] = field(default_factory=dict)


_AREA = Layer(geometry="Polygon")
_SIDES = {"left_boundary_fid": "int64", "right_boundary_fid": "int64"}
LAYERS = {
    "lane_groups_polygons": _AREA,
    "lanes_polygons": Layer(
        geometry="Polygon",
        columns={
            "lane_fid": "int64",
            "lane_group_fid": "int64",
            "lane_index": "int64",
            **_SIDES,
            "speed_limit_mps": "float64",
            "source_id": "object",
        },
    ),
    "lane_connectors": Layer(
        geometry="LineString",
        columns={
            "exit_lane_fid": "int64",
            "entry_lane_fid": "int64",
            "lane_group_connector_fid": "int64",
            "intersection_fid": "int64",
            "speed_limit_mps": "float64",
            "traffic_light_stop_line_fids": "object",
            "source_id": "object",
        },
    ),
    "gen_lane_connectors_scaled_width_polygons": Layer(geometry="Polygon", columns={"lane_connector_fid": "int64", **_SIDES}),
    "lane_group_connectors": Layer(
        geometry="Polygon",
        columns={"from_lane_group_fid": "int64", "to_lane_group_fid": "int64", "intersection_fid": "int64"},
    ),
    "baseline_paths": Layer(geometry="LineString", columns={"lane_fid": "float64", "lane_connector_fid": "float64"}),
    "boundaries": Layer(geometry="LineString"),
    "stop_polygons": Layer(geometry="Polygon", columns={"stop_polygon_type_fid": "int64"}),
    "intersections": _AREA,
    "road_segments": _AREA,
    "carpark_areas": _AREA,
    "generic_drivable_areas": _AREA,
    "crosswalks": _AREA,
    "walkways": _AREA,
}
"""Every layer has an integer ``fid`` besides. ``exit_lane_fid`` is the lane that a connector comes from, ``entry_lane_fid`` the
one that it leads to. ``source_id`` is ours: the lane of the exported map that a lane or connector was made of."""

META_LAYER, META_CRS_KEY = "meta", "projectedCoordSystem"


def token_of(text: str) -> str:
    """The format's token for a name of any length: the same for the same name."""
    return hashlib.sha256(text.encode()).hexdigest()[:TOKEN_LENGTH]
