"""Geometry in plain numpy: angles, planar and spatial poses, boxes, polylines.

Frames. World: any flat metric frame, x east, y north. Ego: origin at the rear axle on the ground at t = 0, x forward, y left,
z up. Headings are counter-clockwise from x, in (-pi, pi]. Metres and radians throughout.
"""

from diffdrive.geometry.angles import wrap_angle
from diffdrive.geometry.boxes import box_corners, points_in_box
from diffdrive.geometry.polylines import Polyline
from diffdrive.geometry.se2 import to_local, to_world
from diffdrive.geometry.se3 import invert_transform, project_points, transform_from_pose, transform_points

__all__ = [
    "Polyline",
    "box_corners",
    "invert_transform",
    "points_in_box",
    "project_points",
    "to_local",
    "to_world",
    "transform_from_pose",
    "transform_points",
    "wrap_angle",
]
