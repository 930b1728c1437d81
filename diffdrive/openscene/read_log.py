"""Read one log pickle: values of ``diffdrive.scene`` frame by frame.

Poses are in the city's UTM frame; boxes, velocities and sensors are in the ego frame of their own frame, which the format calls
the LiDAR frame. An instance of ``LogReader`` holds the whole log in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import wrap_angle
from diffdrive.openscene.format import CAMERA_NAMES, CITIES
from diffdrive.openscene.unpickling import NUMPY_NAMES, PLAIN_NAMES, load_restricted
from diffdrive.scene import AgentKind, Agents, CameraId, DrivingCommand, EgoState, LightState, TrafficLight

_NAMES = {**NUMPY_NAMES, **PLAIN_NAMES}
_EGO = "ego"
"""A class that the format allows and that is no other road user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecord:
    """What a frame says of one camera: where its image lies and how it was taken."""

    image_path: str
    """Relative to the folder of sensor blobs."""

    ego_from_camera: np.ndarray
    """[4, 4] metres."""

    intrinsics: np.ndarray
    """[3, 3] pixels. The lens distortion that the format also holds is left out, as NAVSIM's agents do."""


class LogReader:
    """One log. Everything that is wrong with it raises ``InputError`` that names the file, the frame and what is wrong."""

    def __init__(self, path: Path) -> None:
        """Read the pickle at ``path``. What its frames hold is looked at when asked for."""
        self.path = Path(path)
        found = load_restricted(self.path, _NAMES)
        if not isinstance(found, list) or not found or not all(isinstance(frame, dict) for frame in found):
            raise InputError(
                f"'{self.path}' is no NAVSIM log: a log is a list of frames, each a dict. Only logs may lie in its folder."
            )
        self._frames: list[dict[str, Any]] = found
        # Scenes of one log share most of their frames.
        self._egos: dict[int, EgoState] = {}
        self._agents: dict[int, Agents] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def token(self, index: int) -> str:
        """The frame's name."""
        with self._reading(index) as frame:
            return str(frame["token"])

    def timestamp_us(self, index: int) -> int:
        """Microseconds."""
        with self._reading(index) as frame:
            return int(frame["timestamp"])

    def log_name(self, index: int) -> str:
        """The name that the frame gives its log."""
        with self._reading(index) as frame:
            return str(frame["log_name"])

    def city(self, index: int) -> str:
        """The frame's map."""
        with self._reading(index) as frame:
            city = str(frame["map_location"])
            if city not in CITIES:
                raise InputError(f"its map_location is '{city}', and maps are known of {', '.join(CITIES)} only.")
            return city

    def route(self, index: int) -> tuple[str, ...]:
        """Road blocks of the planned route, in order: fids of the city's map, as text."""
        with self._reading(index) as frame:
            return tuple(str(fid) for fid in frame["roadblock_ids"])

    def ego(self, index: int) -> EgoState:
        """The rear axle: pose in UTM metres, velocity and acceleration along the vehicle's axes."""
        if index not in self._egos:
            with self._reading(index) as frame:
                self._egos[index] = _ego(frame)
        return self._egos[index]

    def height_m(self, index: int) -> float:
        """Of the ego above the map's zero."""
        with self._reading(index) as frame:
            return float(_translation(frame)[2])

    def command(self, index: int) -> DrivingCommand:
        """The one command that is set; unknown where none is. Several raise."""
        with self._reading(index) as frame:
            return DrivingCommand.from_one_hot(np.asarray(frame["driving_command"]).reshape(-1))

    def agents(self, index: int) -> Agents:
        """Other road users in the ego frame of this frame. An unknown velocity reads as zero."""
        if index not in self._agents:
            with self._reading(index) as frame:
                self._agents[index] = _agents(frame["anns"])
        return self._agents[index]

    def traffic_lights(self, index: int) -> tuple[TrafficLight, ...]:
        """By lane connector. The format tells red from not red, so what is not red is unknown: green, yellow or off."""
        with self._reading(index) as frame:
            return tuple(
                TrafficLight(lane_id=str(fid), state=LightState.RED if is_red else LightState.UNKNOWN)
                for fid, is_red in frame["traffic_lights"]
            )

    def camera(self, index: int, camera: CameraId) -> CameraRecord | None:
        """What the frame says of ``camera``; None where it has none, or one whose calibration is not known (NaN)."""
        with self._reading(index) as frame:
            cameras = frame["cams"]
            if CAMERA_NAMES[camera] not in cameras:
                return None
            record = cameras[CAMERA_NAMES[camera]]
            pose = np.eye(4)
            pose[:3, :3] = record["sensor2lidar_rotation"]
            pose[:3, 3] = record["sensor2lidar_translation"]
            intrinsics = np.asarray(record["cam_intrinsic"], dtype=np.float64)
            if np.isnan(pose).any() or np.isnan(intrinsics).any():
                return None
            return CameraRecord(image_path=str(record["data_path"]), ego_from_camera=pose, intrinsics=intrinsics)

    def lidar_path(self, index: int) -> str | None:
        """Of the frame's sweep, relative to the folder of sensor blobs; None where it has none."""
        with self._reading(index) as frame:
            path = frame["lidar_path"]
            return None if path is None else str(path)

    @contextmanager
    def _reading(self, index: int) -> Iterator[Mapping[str, Any]]:
        frame = self._frames[index]
        where = f"Frame {index} of log '{self.path}' (token '{frame.get('token', 'missing')}')"
        try:
            yield frame
        except InputError as error:
            raise InputError(f"{where} cannot be used: {error}") from error
        except KeyError as error:
            raise InputError(f"{where} has no {error}. Copy the log again, or make it anew with what NAVSIM needs.") from error
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise InputError(f"{where} is damaged ({type(error).__name__}: {error}). Copy the log again.") from error


def yaw_of(quaternion: Any) -> float:
    """Heading, radians, of a rotation w, x, y, z: the yaw of its decomposition into roll, then pitch, then yaw.

    This is the heading that NAVSIM gives the ego. On a tilted road it is not quite the direction in which the car points on
    the map: with 3 degrees of roll and of pitch the two are up to 0.16 degrees apart.
    """
    values = np.asarray(quaternion, dtype=np.float64)
    if values.shape != (4,) or not np.linalg.norm(values) > 0:
        raise InputError(f"a rotation must be a quaternion w, x, y, z, got {values.tolist()}.")
    w, x, y, z = values / np.linalg.norm(values)
    return float(np.arctan2(2 * (w * z - x * y), 1 - 2 * (y * y + z * z)))


def _ego(frame: Mapping[str, Any]) -> EgoState:
    motion = np.asarray(frame["ego_dynamic_state"], dtype=np.float64)
    if motion.shape != (4,):
        raise InputError(f"its ego_dynamic_state must be vx, vy, ax, ay, got shape {list(motion.shape)}.")
    return EgoState(
        timestamp_us=int(frame["timestamp"]),
        pose=np.array([*_translation(frame)[:2], yaw_of(frame["ego2global_rotation"])]),
        velocity=motion[:2],
        acceleration=motion[2:],
    )


def _translation(frame: Mapping[str, Any]) -> np.ndarray:
    place = np.asarray(frame["ego2global_translation"], dtype=np.float64)
    if place.shape != (3,):
        raise InputError(f"its ego2global_translation must be three metres, got shape {list(place.shape)}.")
    return place


def _agents(anns: Mapping[str, Any]) -> Agents:
    names = [str(name) for name in anns["gt_names"]]
    kept = [row for row, name in enumerate(names) if name != _EGO]
    boxes = np.asarray(anns["gt_boxes"], dtype=np.float64).reshape(-1, 7)
    velocities = np.asarray(anns["gt_velocity_3d"], dtype=np.float64).reshape(-1, 3)
    tracks = [str(token) for token in anns["track_tokens"]]
    if not len(names) == len(boxes) == len(velocities) == len(tracks):
        raise InputError(
            f"its anns disagree on how many boxes there are: {len(boxes)} gt_boxes, {len(names)} gt_names, "
            f"{len(velocities)} gt_velocity_3d, {len(tracks)} track_tokens."
        )
    boxes, headings = boxes[kept], boxes[kept, 6]
    # Annotated headings are differences of two angles; those within half a turn are kept to the last bit.
    headings = np.where(np.abs(headings) > np.pi, wrap_angle(headings), headings)
    return Agents(
        track_tokens=tuple(tracks[row] for row in kept),
        kinds=tuple(_kind(names[row]) for row in kept),
        boxes=np.column_stack([boxes[:, :2], headings, boxes[:, 3:5]]),
        vertical=boxes[:, [2, 5]],
        velocities=np.nan_to_num(velocities[kept, :2], nan=0.0),
    )


def _kind(name: str) -> AgentKind:
    try:
        return AgentKind(name)
    except ValueError:
        known = ", ".join(kind.value for kind in AgentKind)
        raise InputError(f"one of its gt_names is '{name}', which is none of NAVSIM's classes: {known}.") from None
