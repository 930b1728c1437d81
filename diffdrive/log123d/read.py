"""Read one 123D log: py123d's objects in, values of ``diffdrive.scene`` out, in the WORLD frame of the log.

The body frame here is the ego frame of the project: origin on the ground under the rear axle, x forward, y left, z up, tilted
with the car. Sensors are given in the body frame of their own iteration. An iteration is one row of the log's sync table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import invert_transform, transform_points
from diffdrive.geometry.se3 import transform_from_quaternion
from diffdrive.scene import Agents, CameraFrame, CameraId, EgoState, LidarSweep, LightState, TrafficLight, VectorMap
from diffdrive.vehicle import VehicleDimensions

EGO_KEY = "ego_state_se3"
BOXES_KEY = "box_detections_se3"
LIGHTS_KEY = "traffic_light_detections"
ROUTE_KEY = "route_position"
LIDAR_KEY = "lidar.lidar_merged"

# What py123d records as a route's origin when somebody gave it a route, rather than letting it store the driven path.
_PROVIDED_ROUTE = "provided"


def camera_key(camera: CameraId) -> str:
    """The name of a camera's Arrow file and sync column, without the ending."""
    return f"camera.pcam_{camera.value}"


@contextmanager
def _reading(what: str, folder: Path) -> Iterator[None]:
    # A damaged log surfaces in py123d as any of AssertionError, KeyError, ArrowInvalid, OSError, cv2.error ...
    try:
        yield
    except (InputError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"The {what} of log '{folder}' cannot be read ({type(error).__name__}: {error}). Copy or convert the log again."
        ) from error


class LogReader:
    """One log of a 123D data root. Opening reads metadata only; everything else is read when asked for."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Open ``folder``, a log below ``root``/logs. Raises ``InputError`` when it is damaged or has no ego states."""
        self.folder = Path(folder)
        self._maps_root = Path(root) / "maps"
        self._egos: dict[int, EgoState] = {}
        self._agents: dict[int, Agents] = {}
        api = _load_py123d()
        with _reading("metadata", self.folder):
            self._scene = api(self.folder, None, self._maps_root)
            meta = self._scene.get_log_metadata()
            self._metadata = dict(self._scene.get_all_modality_metadatas())
            self._present = _presence(self.folder)
            self.timestamps_us = np.array([t.time_us for t in self._scene.get_all_iteration_timestamps()], dtype=np.int64)
        self.name: str = meta.log_name
        self.dataset: str = meta.dataset
        self.split: str = meta.split
        self.has_map: bool = meta.map_metadata is not None
        self.map_is_per_log: bool = self.has_map and bool(meta.map_metadata.map_is_per_log)
        self.location: str = meta.location or meta.log_name
        self._check()

    def _check(self) -> None:
        files = {path.stem for path in self.folder.glob("*.arrow")} - {"sync", "map"}
        if unread := sorted(files - set(self._metadata)):
            raise InputError(f"Log '{self.folder}': {', '.join(unread)} cannot be read. Copy or convert the log again.")
        if EGO_KEY not in self._metadata or not self.has(EGO_KEY).all():
            raise InputError(
                f"Log '{self.folder}' has no ego state at every iteration; nothing can be planned or scored on it."
            )
        if len(self.timestamps_us) < 2 or (np.diff(self.timestamps_us) <= 0).any():
            raise InputError(f"Log '{self.folder}' needs two or more iterations in increasing time. Convert the log again.")
        if self.map_file is not None and not self.map_file.is_file():
            raise InputError(f"The map of log '{self.folder}' is missing: {self.map_file}. Copy the folder maps/ as well.")

    def __len__(self) -> int:
        return len(self.timestamps_us)

    @property
    def interval_s(self) -> float:
        """Median time between iterations, seconds."""
        return float(np.median(np.diff(self.timestamps_us))) * 1e-6

    def has(self, key: str) -> np.ndarray:
        """Whether each iteration [N] has a row of the modality ``key``."""
        return self._present.get(key, np.zeros(len(self.timestamps_us), dtype=bool))

    @cached_property
    def vehicle(self) -> VehicleDimensions:
        """The ego vehicle of this log."""
        meta = self._metadata[EGO_KEY]
        return VehicleDimensions(
            length=meta.length,
            width=meta.width,
            height=meta.height,
            wheel_base=meta.wheel_base,
            rear_axle_to_center=float(meta.rear_axle_to_center_longitudinal),
        )

    @cached_property
    def _imu_from_body(self) -> np.ndarray:
        meta = self._metadata[EGO_KEY]
        matrix = _matrix(meta.rear_axle_to_imu_se3)
        matrix[2, 3] = meta.center_to_imu_se3.z - meta.height / 2
        return matrix

    def world_from_body(self, iteration: int) -> np.ndarray:
        """[4, 4] body frame of ``iteration`` to world, metres."""
        return _matrix(self._ego_state(iteration).imu_se3) @ self._imu_from_body

    def _ego_state(self, iteration: int) -> Any:
        with _reading("ego states", self.folder):
            return self._scene.get_ego_state_se3_at_iteration(iteration)

    def ego(self, iteration: int) -> EgoState:
        """The rear axle at ``iteration``: pose in the WORLD frame, velocity and acceleration along the vehicle's axes."""
        if iteration not in self._egos:
            self._egos[iteration] = self._read_ego(iteration)
        return self._egos[iteration]

    def _read_ego(self, iteration: int) -> EgoState:
        state = self._ego_state(iteration)
        dynamic = state.dynamic_state_se3
        if dynamic is None:
            raise InputError(f"Log '{self.folder}' has no ego velocities. Convert it with py123d's infer_ego_dynamics=True.")
        # A point away from the IMU moves with it and turns around it. The log does not store angular acceleration, so
        # its share in the acceleration is left out; it is zero where the IMU sits at the rear axle, as in most data sets.
        turn, arm = dynamic.array[6:9], self._imu_from_body[:3, 3] * [1, 1, 0]
        velocity = dynamic.velocity_3d.array + np.cross(turn, arm)
        acceleration = dynamic.acceleration_3d.array + np.cross(turn, np.cross(turn, arm))
        return EgoState(
            timestamp_us=int(self.timestamps_us[iteration]),
            pose=planar_pose(_matrix(state.imu_se3) @ self._imu_from_body),
            velocity=velocity[:2],
            acceleration=acceleration[:2],
            yaw_rate=float(turn[2]),
        )

    def agents(self, iteration: int) -> Agents:
        """Other road users in the WORLD frame: ``vertical`` holds world height, velocities are along world axes.

        The ego itself and traffic-light housings are left out. An unknown velocity reads as zero.
        """
        if iteration not in self._agents:
            with _reading("boxes", self.folder):
                found = self._scene.get_box_detections_se3_at_iteration(iteration)
                self._agents[iteration] = _agents(found) if found is not None else Agents.none()
        return self._agents[iteration]

    def traffic_lights(self, iteration: int) -> tuple[TrafficLight, ...]:
        """State of every signal, by the lane (connector) it governs."""
        if not self.has(LIGHTS_KEY)[iteration]:
            return ()
        with _reading("traffic lights", self.folder):
            found = self._scene.get_traffic_light_detections_at_iteration(iteration)
            return tuple(TrafficLight(lane_id=str(d.lane_id), state=LightState(d.status.name.lower())) for d in found)

    @cached_property
    def provided_route(self) -> np.ndarray | None:
        """[K, 2] the route somebody gave the log when writing it, in the world frame; None where there is none.

        A route that py123d derived from the ego's own path is the driven future: it is never returned.
        """
        with _reading("route", self.folder):
            meta = self._metadata.get(ROUTE_KEY)
            if meta is None or meta.source != _PROVIDED_ROUTE:
                return None
            return np.asarray(meta.polyline_xyz, dtype=np.float64)[:, :2]

    def route_progress(self, iteration: int) -> float | None:
        """Arc length of the ego along the route, metres, as stored; it never jumps where the route crosses itself."""
        with _reading("route", self.folder):
            return self._scene.get_route_progress_at_iteration(iteration)

    def cameras(self, iteration: int) -> dict[CameraId, CameraFrame]:
        """The pinhole cameras that took an image at ``iteration``, undistorted, posed in the body frame of ``iteration``."""
        frames = {}
        for camera in CameraId:
            key = camera_key(camera)
            if self.has(key)[iteration]:
                with _reading(f"image '{key}' at iteration {iteration}", self.folder):
                    frames[camera] = self._camera(iteration, camera)
        return frames

    def _camera(self, iteration: int, camera: CameraId) -> CameraFrame:
        from py123d.datatypes import CameraID

        shot = self._scene.get_camera_at_iteration(iteration, CameraID[f"PCAM_{camera.name}"])
        if shot is None or shot.image is None:
            raise InputError(f"Log '{self.folder}' has no image of camera {camera.value} at iteration {iteration}.")
        meta = shot.metadata
        matrix, image = meta.intrinsics.camera_matrix, shot.image
        distortion = None if meta.distortion is None or meta.is_undistorted else meta.distortion.array
        if distortion is not None and np.any(distortion):
            import cv2

            image = cv2.undistort(image, matrix, distortion)
        # The pose at the time of exposure, seen from the body at this iteration: it holds the ego motion in between.
        ego_from_camera = invert_transform(self.world_from_body(iteration)) @ _matrix(shot.camera_to_global_se3)
        return CameraFrame(image=image, intrinsics=matrix, ego_from_camera=ego_from_camera)

    def lidar(self, iteration: int) -> LidarSweep | None:
        """The merged sweep of ``iteration`` in its body frame, or None where there is none."""
        if not self.has(LIDAR_KEY)[iteration]:
            return None
        with _reading(f"sweep at iteration {iteration}", self.folder):
            from py123d.datatypes import LidarID

            sweep = self._scene.get_lidar_at_iteration(iteration, LidarID.LIDAR_MERGED)
            points = transform_points(invert_transform(self._imu_from_body), np.asarray(sweep.xyz, dtype=np.float64))
            return LidarSweep(points=points.astype(np.float32))

    @property
    def map_file(self) -> Path | None:
        """Where the map of this log is: beside it, or shared by its location; None when the log names no map.

        Only this data root counts: py123d would also look wherever its environment variables point.
        """
        if not self.has_map:
            return None
        own = self.folder / "map.arrow"
        return own if own.is_file() else self._maps_root / self.dataset / f"{self.dataset}_{self.location}.arrow"

    def vector_map(self) -> VectorMap:
        """The whole map in the world frame: every call converts it anew. Raises ``InputError`` without a map."""
        from diffdrive.log123d.map import vector_map_from_api

        if self.map_file is None:
            raise InputError(f"Log '{self.folder}' has no map.")
        with _reading("map", self.folder):
            from py123d.api.map.arrow.arrow_map_api import get_lru_cached_map_api

            return vector_map_from_api(get_lru_cached_map_api(self.map_file))


def planar_pose(world_from_body: np.ndarray) -> np.ndarray:
    """[3] x, y, heading of a spatial pose [4, 4]."""
    return np.array([world_from_body[0, 3], world_from_body[1, 3], np.arctan2(world_from_body[1, 0], world_from_body[0, 0])])


def _load_py123d() -> Any:
    try:
        from py123d.api.scene.arrow.arrow_scene_api import ArrowSceneAPI
    except ImportError as error:
        raise ImportError("Reading 123D logs needs py123d. Install it with: pip install 'diffdrive[data]'") from error
    return ArrowSceneAPI


def _presence(folder: Path) -> dict[str, np.ndarray]:
    from py123d.api.scene.arrow.modalities.sync_utils import get_sync_table

    table = get_sync_table(folder)
    return {key: ~table[key].is_null().to_numpy().astype(bool) for key in table.column_names}


def _matrix(pose: Any) -> np.ndarray:
    values = pose.array
    return transform_from_quaternion(values[3:7], values[:3])


def _agents(found: Any) -> Agents:
    from diffdrive.log123d.labels import kind_from_label

    kept = [(box, kind) for box in found if (kind := kind_from_label(box.attributes.label.to_default())) is not None]
    if not kept:
        return Agents.none()
    array = np.array([box.bounding_box_se3.array for box, _ in kept])
    qw, qx, qy, qz = array[:, 3:7].T
    heading = np.arctan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy * qy + qz * qz))
    velocities = np.array([(0, 0, 0) if box.velocity_3d is None else box.velocity_3d.array for box, _ in kept])[:, :2]
    return Agents(
        track_tokens=tuple(str(box.attributes.track_token) for box, _ in kept),
        kinds=tuple(kind for _, kind in kept),
        boxes=np.column_stack([array[:, :2], heading, array[:, 7:9]]),
        vertical=array[:, [2, 9]],
        velocities=np.nan_to_num(velocities, nan=0.0),
    )
