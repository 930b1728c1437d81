"""One real frame: three front cameras, a LiDAR sweep and the boxes of one nuScenes sample, as one scene.

The folder holds ``sample.json`` (one entry of mmdetection3d's nuScenes info file), the images it names and the sweep. What
such an entry means was checked on the numbers themselves: boxes are x, y, z, length, width, height, yaw in the LiDAR frame
with z at the box CENTRE (so read, 61 of 69 boxes hold exactly the annotated number of points), yaw counter-clockwise.
The ego frame of nuScenes has its origin on the ground under the rear axle, as ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffdrive.contracts import Axes, InputError
from diffdrive.geometry import invert_transform, transform_points, wrap_angle
from diffdrive.scene import AgentKind, Agents, CameraFrame, CameraId, EgoState, LidarSweep, Modality, Observation, Scene

CAMERAS: dict[CameraId, str] = {
    CameraId.L0: "CAM_FRONT_LEFT",
    CameraId.F0: "CAM_FRONT",
    CameraId.R0: "CAM_FRONT_RIGHT",
}
"""Which nuScenes camera stands in for which of ours."""

IMAGE_SIZE = (1600, 900)
"""Width, height of a nuScenes image, pixels."""

SCALED_SIZE = (1920, 1080)
"""Width, height that the camera features expect, pixels."""

_KINDS = {
    **dict.fromkeys(("car", "truck", "trailer", "bus", "construction_vehicle"), AgentKind.VEHICLE),
    **dict.fromkeys(("bicycle", "motorcycle"), AgentKind.BICYCLE),
    "pedestrian": AgentKind.PEDESTRIAN,
    "traffic_cone": AgentKind.TRAFFIC_CONE,
    "barrier": AgentKind.BARRIER,
}
_FLOATS_PER_POINT = 5


class NuscenesSampleSource:
    """A ``scene.SceneSource`` with a single scene: no map, no future, no route, so the command is unknown.

    The sample does not state the ego's motion. ``speed_mps`` is the caller's word for it; acceleration is zero.
    ``implied_speed_mps`` tells what the sample's own calibration says.
    """

    def __init__(self, folder: Path, speed_mps: float) -> None:
        """Read ``folder``/sample.json. Raises ``InputError`` when it is missing or incomplete, or for an impossible speed."""
        self.folder = Path(folder)
        if not (np.isfinite(speed_mps) and speed_mps >= 0):
            raise InputError(f"speed_mps must be a speed in m/s, zero or more, got {speed_mps}.")
        self.speed_mps = float(speed_mps)
        self._sample = _read_json(self.folder / "sample.json")
        self._token = str(self._get("token"))

    @property
    def name(self) -> str:
        """A short name for logs and tables."""
        return "nuscenes_sample"

    @property
    def modalities(self) -> frozenset[Modality]:
        """Cameras, LiDAR and boxes."""
        return frozenset({Modality.CAMERAS, Modality.LIDAR, Modality.AGENTS})

    @property
    def tokens(self) -> tuple[str, ...]:
        """The one token."""
        return (self._token,)

    @property
    def implied_speed_mps(self) -> float:
        """Ego speed, m/s, from how far the cameras moved between their exposures and the sweep (median over cameras)."""
        speeds = []
        for name in CAMERAS.values():
            moved = self._ego_from_camera(name)[:3, 3] - self._matrix("images", name, "cam2ego", shape="4 4")[:3, 3]
            elapsed_s = float(self._get("timestamp")) - float(self._get("images", name, "timestamp"))
            if abs(elapsed_s) > 1e-3:
                speeds.append(float(np.hypot(*moved[:2])) / abs(elapsed_s))
        if not speeds:
            raise InputError(f"'{self.folder}': the cameras exposed at the time of the sweep, so no speed can be derived.")
        return float(np.median(speeds))

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        """The scene. Raises ``InputError`` for another token, and for images and sweeps that are missing or truncated."""
        if token != self._token:
            raise InputError(f"'{self.folder}' has no scene '{token}'. Its only scene is '{self._token}'.")
        ego = EgoState(
            timestamp_us=round(float(self._get("timestamp")) * 1e6),
            pose=np.zeros(3),
            velocity=np.array([self.speed_mps, 0.0]),
            acceleration=np.zeros(2),
        )
        world_from_ego = self._matrix("ego2global", shape="4 4")
        heading = np.arctan2(world_from_ego[1, 0], world_from_ego[0, 0])
        return Scene(
            token=token,
            log_name=self.name,
            location="nuscenes",
            world_from_ego=np.array([*world_from_ego[:2, 3], heading]),
            observation=Observation(
                ego_history=(ego,),
                cameras={camera: self._camera(name) for camera, name in CAMERAS.items()} if sensors else {},
                lidar=self._lidar() if sensors else None,
            ),
            agents=self._agents(),
        )

    def _camera(self, name: str) -> CameraFrame:
        image = _read_image(self.folder / str(self._get("images", name, "img_path")))
        scale = np.array(SCALED_SIZE) / IMAGE_SIZE
        intrinsics = self._matrix("images", name, "cam2img", shape="3 3")
        intrinsics[:2] *= scale[:, None]
        # Pixel centres, not pixel corners, are at whole numbers: scaling the image moves them by half of what it adds.
        intrinsics[:2, 2] += (scale - 1) / 2
        return CameraFrame(image=image, intrinsics=intrinsics, ego_from_camera=self._ego_from_camera(name))

    def _ego_from_camera(self, name: str) -> np.ndarray:
        """[4, 4] where the camera was at its exposure, seen from the ego at the sweep, which is t = 0."""
        return self._ego_from_lidar() @ invert_transform(self._matrix("images", name, "lidar2cam", shape="4 4"))

    def _ego_from_lidar(self) -> np.ndarray:
        return self._matrix("lidar_points", "lidar2ego", shape="4 4")

    def _lidar(self) -> LidarSweep:
        path = self.folder / str(self._get("lidar_points", "lidar_path"))
        if not path.is_file():
            raise InputError(f"Sweep '{path}' does not exist. Copy it next to sample.json.")
        size = path.stat().st_size
        if size == 0 or size % (4 * _FLOATS_PER_POINT):
            raise InputError(
                f"Sweep '{path}' has {size} bytes, which is no whole number of points of "
                f"{_FLOATS_PER_POINT} float32 each: it is truncated. Copy it again."
            )
        points = np.fromfile(path, dtype=np.float32).reshape(-1, _FLOATS_PER_POINT)[:, :3]
        return LidarSweep(points=transform_points(self._ego_from_lidar(), points).astype(np.float32))

    def _agents(self) -> Agents:
        found, names = list(self._get("instances")), {v: k for k, v in self._get("metainfo", "categories").items()}
        if not found:
            return Agents.none()
        boxes = np.array([self._field(item, "bbox_3d") for item in found], dtype=np.float64)
        velocities = np.nan_to_num(np.array([self._field(item, "velocity") for item in found], dtype=np.float64), nan=0.0)
        axes = Axes(f"'{self.folder}' instances")
        axes.check("bbox_3d", boxes, "A 7", finite=True)
        axes.check("velocity", velocities, "A 2")
        turn = self._ego_from_lidar()
        centers = transform_points(turn, boxes[:, :3])
        forward = np.column_stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6]), np.zeros(len(boxes))]) @ turn[:3, :3].T
        kinds = (_KINDS.get(names.get(self._field(item, "bbox_label_3d"), ""), AgentKind.GENERIC_OBJECT) for item in found)
        return Agents(
            # The sample is a single instant and names no tracks.
            track_tokens=tuple(f"{self._token}-{i}" for i in range(len(found))),
            kinds=tuple(kinds),
            boxes=np.column_stack([centers[:, :2], wrap_angle(np.arctan2(forward[:, 1], forward[:, 0])), boxes[:, 3:5]]),
            vertical=np.column_stack([centers[:, 2], boxes[:, 5]]),
            velocities=velocities @ turn[:2, :2].T,
        )

    def _get(self, *keys: str) -> Any:
        node: Any = self._sample
        for key in keys:
            node = self._field(node, key)
        return node

    def _field(self, node: Any, key: str) -> Any:
        if not isinstance(node, dict) or key not in node:
            raise InputError(f"'{self.folder / 'sample.json'}' lacks '{key}'. It must be one entry of a nuScenes info file.")
        return node[key]

    def _matrix(self, *keys: str, shape: str) -> np.ndarray:
        values = self._get(*keys)
        try:
            matrix = np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"'{self.folder / 'sample.json'}': {'.'.join(keys)} is not a matrix of numbers.") from error
        Axes(f"'{self.folder}' sample").check(".".join(keys), matrix, shape, finite=True)
        return matrix


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"'{path}' does not exist. Give the folder of one nuScenes sample, with sample.json in it.")
    try:
        sample = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"'{path}' is not valid JSON ({error}): it is truncated or no sample. Copy it again.") from error
    if not isinstance(sample, dict):
        raise InputError(f"'{path}' must hold one JSON object, got {type(sample).__name__}.")
    return sample


def _read_image(path: Path) -> np.ndarray:
    """[1080, 1920, 3] RGB, uint8."""
    if not path.is_file():
        raise InputError(f"Image '{path}' does not exist. Copy it next to sample.json.")
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        raise InputError(f"Image '{path}' cannot be decoded ({error}): it is truncated or no image. Copy it again.") from error
    if image.size != IMAGE_SIZE:
        width, height = image.size
        raise InputError(
            f"Image '{path}' must be {IMAGE_SIZE[0]} x {IMAGE_SIZE[1]} pixels, as nuScenes has it, got {width} x {height}."
        )
    return np.asarray(image.resize(SCALED_SIZE, Image.Resampling.BICUBIC))
