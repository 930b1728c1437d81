"""The camera rig: pinhole cameras in the ego frame, and the rays and matrices that both renderers use.

Frames. Camera: x right, y down, z forward (OpenCV). Pixel (0, 0) covers [0, 1) x [0, 1), so its centre is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import transform_from_pose
from diffdrive.scene import CameraId

# Camera axes (right, down, forward) in a body frame that looks along x.
_BODY_FROM_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One pinhole camera, level, fixed to the ego vehicle."""

    camera_id: CameraId
    width: int
    height: int
    focal: float
    """Pixels, the same in both directions."""

    centre: tuple[float, float]
    """Principal point, pixels (column, row)."""

    position: tuple[float, float, float]
    """In the ego frame, metres."""

    yaw: float
    """Viewing direction, counter-clockwise from straight ahead, radians."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not self.focal > 0:
            raise InputError(
                f"Camera {self.camera_id.value} needs a positive size and focal length, "
                f"got {self.width} x {self.height} pixels and {self.focal}."
            )

    @property
    def intrinsics(self) -> np.ndarray:
        """[3, 3] pinhole matrix."""
        return np.array([[self.focal, 0, self.centre[0]], [0, self.focal, self.centre[1]], [0, 0, 1]], dtype=np.float64)

    @property
    def ego_from_camera(self) -> np.ndarray:
        """[4, 4] camera to ego frame."""
        matrix = transform_from_pose(np.array([self.position[0], self.position[1], self.yaw]), self.position[2])
        matrix[:3, :3] = matrix[:3, :3] @ _BODY_FROM_CAMERA
        return matrix

    def outer_from_camera(self, ego_pose: np.ndarray) -> np.ndarray:
        """[4, 4] camera to the frame in which the ego's pose [3] is given."""
        return transform_from_pose(ego_pose) @ self.ego_from_camera

    def pixel_rays(self) -> np.ndarray:
        """[H W, 3] unit directions of the pixel centres in the camera frame, row by row."""
        column, row = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        rays = np.stack(
            [(column - self.centre[0]) / self.focal, (row - self.centre[1]) / self.focal, np.ones_like(row)], axis=-1
        )
        return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3)

    def clip_from_camera(self, near: float, far: float) -> np.ndarray:
        """[4, 4] OpenGL projection of the camera frame; the image's first row comes out on top."""
        w, h, f = self.width, self.height, self.focal
        return np.array(
            [
                [2 * f / w, 0, 2 * self.centre[0] / w - 1, 0],
                [0, -2 * f / h, 1 - 2 * self.centre[1] / h, 0],
                [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
                [0, 0, 1, 0],
            ]
        )


def _nuplan(camera_id: CameraId, position: tuple[float, float, float], yaw_deg: float) -> Camera:
    # nuPlan's pinhole (1920 x 1080, focal length 1545, principal point 960, 560) at a quarter of its resolution.
    return Camera(
        camera_id=camera_id,
        width=480,
        height=270,
        focal=1545 / 4,
        centre=(240.0, 140.0),
        position=position,
        yaw=np.deg2rad(yaw_deg),
    )


NUPLAN_RIG: tuple[Camera, ...] = (
    _nuplan(CameraId.F0, (1.7, 0.0, 1.55), 0.0),
    _nuplan(CameraId.L0, (1.55, 0.5, 1.55), 55.0),
    _nuplan(CameraId.R0, (1.55, -0.5, 1.55), -55.0),
    _nuplan(CameraId.L1, (1.15, 0.55, 1.55), 110.0),
    _nuplan(CameraId.R1, (1.15, -0.55, 1.55), -110.0),
    _nuplan(CameraId.L2, (0.8, 0.5, 1.55), 145.0),
    _nuplan(CameraId.R2, (0.8, -0.5, 1.55), -145.0),
    _nuplan(CameraId.B0, (-0.45, 0.0, 1.55), 180.0),
)
"""All eight cameras, placed much as nuPlan's: on the roof, looking all around."""

NUPLAN_FRONT_RIG: tuple[Camera, ...] = (NUPLAN_RIG[1], NUPLAN_RIG[0], NUPLAN_RIG[2])
"""The three front cameras that NAVSIM's agents stitch together, from left to right."""

RIG_SCALE = 1 / 4
"""Resolution of the rigs above as a share of nuPlan's 1920 x 1080."""


def rig_at(scale: float, rig: Sequence[Camera] = NUPLAN_RIG) -> tuple[Camera, ...]:
    """``rig`` at ``scale`` times nuPlan's resolution: 1 is 1920 x 1080, 1/4 the resolution that agents see.

    Raises ``InputError`` where that is no whole number of pixels.
    """
    factor = scale / RIG_SCALE
    for camera in rig:
        for pixels in (camera.width * factor, camera.height * factor):
            if scale <= 0 or abs(pixels - round(pixels)) > 1e-6:
                raise InputError(f"A rig's scale must give whole pixels, got {scale:g}. Take 1/8, 1/4, 1/2 or 1.")
    return tuple(
        replace(
            camera,
            width=round(camera.width * factor),
            height=round(camera.height * factor),
            focal=camera.focal * factor,
            centre=(camera.centre[0] * factor, camera.centre[1] * factor),
        )
        for camera in rig
    )
