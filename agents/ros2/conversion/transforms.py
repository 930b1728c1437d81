"""Where sensors sit: static transforms from parameters and from /tf_static, and the quaternions in messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import invert_transform

_LONGEST_CHAIN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """Where a frame sits in its parent frame, as in Autoware's sensor_kit_calibration.yaml."""

    x_m: float = 0.0
    y_m: float = 0.0
    z_m: float = 0.0
    roll_rad: float = 0.0
    pitch_rad: float = 0.0
    yaw_rad: float = 0.0
    """Turned by roll about x first, then by pitch about y, then by yaw about z, all axes those of the parent."""

    @property
    def parent_from_frame(self) -> np.ndarray:
        """[4, 4]."""
        (sr, cr), (sp, cp), (sy, cy) = ((np.sin(a), np.cos(a)) for a in (self.roll_rad, self.pitch_rad, self.yaw_rad))
        matrix = np.eye(4)
        matrix[:3, :3] = (
            np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
            @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
            @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
        )
        matrix[:3, 3] = self.x_m, self.y_m, self.z_m
        return matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticTransforms:
    """A forest of frames that do not move against each other."""

    parents: Mapping[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    """Of every frame its parent and [4, 4] parent_from_frame."""

    def with_message(self, message: Any) -> StaticTransforms:
        """With the transforms of a tf2_msgs/TFMessage added; later ones replace earlier ones.

        Raises ``InputError`` for a transform that is none.
        """
        parents = dict(self.parents)
        for each in message.transforms:
            moved = each.transform.translation
            matrix = np.eye(4)
            matrix[:3, :3] = rotation_of(each.transform.rotation)
            matrix[:3, 3] = moved.x, moved.y, moved.z
            if not np.isfinite(matrix).all():
                raise InputError(f"The static transform of frame '{each.child_frame_id}' is not finite.")
            parents[_plain(each.child_frame_id)] = (_plain(each.header.frame_id), matrix)
        return StaticTransforms(parents=parents)

    def base_from(self, frame: str, base: str) -> np.ndarray:
        """[4, 4] from ``frame`` to ``base``. Raises ``InputError`` where no chain of transforms joins them."""
        frame, base = _plain(frame), _plain(base)
        frame_root, root_from_frame = self._climbed(frame, base)
        if frame_root == base:
            return root_from_frame
        base_root, root_from_base = self._climbed(base, frame)
        if frame_root != base_root:
            known = ", ".join(sorted(self.parents)) or "none"
            raise InputError(
                f"It is not known where frame '{frame}' sits on '{base}' (frames known from /tf_static: {known}). "
                "Publish the transform there, or set the sensor's mounting."
            )
        return invert_transform(root_from_base) @ root_from_frame

    def _climbed(self, frame: str, until: str) -> tuple[str, np.ndarray]:
        """The frame reached by going from parent to parent, and [4, 4] from ``frame`` to it."""
        reached, matrix = frame, np.eye(4)
        for _ in range(_LONGEST_CHAIN):
            if reached == until or reached not in self.parents:
                return reached, matrix
            parent, parent_from_reached = self.parents[reached]
            reached, matrix = parent, parent_from_reached @ matrix
        raise InputError(f"The static transforms above frame '{frame}' go round in a circle.")


def rotation_of(quaternion: Any) -> np.ndarray:
    """[3, 3] of a geometry_msgs/Quaternion. Raises ``InputError`` unless its length is 1 (within 1 %)."""
    x, y, z, w = _unit(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def heading_of(quaternion: Any) -> float:
    """Direction of the turned x axis on the ground, radians. Raises ``InputError`` as ``rotation_of`` does."""
    x, y, z, w = _unit(quaternion)
    return float(np.arctan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z)))


def quaternion_of(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, z, w of a rotation [3, 3]: the eigenvector of Bar-Itzhack's symmetric matrix (J. Guidance 23(6), 2000)."""
    m = np.asarray(rotation, dtype=np.float64)
    matrix = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    x, y, z, w = np.linalg.eigh(matrix)[1][:, -1]
    return float(x), float(y), float(z), float(w)


def _unit(quaternion: Any) -> np.ndarray:
    values = np.array([quaternion.x, quaternion.y, quaternion.z, quaternion.w], dtype=np.float64)
    length = float(np.linalg.norm(values))
    if not abs(length - 1) <= 0.01:  # NaN too
        raise InputError(f"An orientation must be a unit quaternion, got x, y, z, w = {values.tolist()} of length {length:g}.")
    return np.asarray(values / length)


def _plain(frame: str) -> str:
    return str(frame).removeprefix("/")
