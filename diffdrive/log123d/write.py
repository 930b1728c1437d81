"""Write 123D logs and maps: values of ``diffdrive.scene`` in the WORLD frame in, Arrow files out.

The ground is flat at z = 0 and the IMU sits at the rear axle. Everything is written aside and renamed when it is complete.
Lane ids must be whole numbers in text: py123d keeps those as they are, and gives any other name a new one that the traffic
lights of a log do not follow.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.log123d.labels import LABEL_FROM_KIND
from diffdrive.log123d.write_sensors import SensorFrame, sensor_modalities
from diffdrive.scene import Agents, TrafficLight
from diffdrive.vehicle import VehicleDimensions

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One drive, ready to be written. T frames, all in the world frame of the map."""

    dataset: str
    """Lower case, without underscores."""

    split: str
    """``train``, ``val`` or ``test``."""

    name: str
    location: str
    """Name of the map."""

    timestamps_us: np.ndarray
    """[T] increasing microseconds."""

    poses: np.ndarray
    """[T, 3] x, y, heading of the rear axle."""

    velocities: np.ndarray
    """[T, 2] of the rear axle along the vehicle's own axes, m/s."""

    accelerations: np.ndarray
    """[T, 2] likewise, m/s^2."""

    yaw_rates: np.ndarray
    """[T] rad/s."""

    vehicle: VehicleDimensions
    agents: tuple[Agents, ...]
    """Everybody else at each frame."""

    traffic_lights: tuple[tuple[TrafficLight, ...], ...]
    route: np.ndarray | None
    """[K, 2] the planned route, or None."""

    sensors: Mapping[int, SensorFrame] = field(default_factory=dict)
    """What the sensors saw, at the frames that have it."""

    def __post_init__(self) -> None:
        axes = Axes(f"LogRecord '{self.name}'")
        object.__setattr__(self, "timestamps_us", frozen_array(self.timestamps_us, np.int64))
        axes.check("timestamps_us", self.timestamps_us, "T")
        for name, contract in (("poses", "T 3"), ("velocities", "T 2"), ("accelerations", "T 2"), ("yaw_rates", "T")):
            array = frozen_array(getattr(self, name), np.float64)
            axes.check(name, array, contract, finite=True)
            object.__setattr__(self, name, array)
        frames = axes.sizes["T"]
        if frames < 2 or (np.diff(self.timestamps_us) <= 0).any():
            raise InputError(f"LogRecord '{self.name}' needs two or more frames in increasing time, got {frames}.")
        if not len(self.agents) == len(self.traffic_lights) == frames:
            raise InputError(
                f"LogRecord '{self.name}' needs agents and lights at each of its {frames} frames, "
                f"got {len(self.agents)} and {len(self.traffic_lights)}."
            )
        if "_" in self.dataset or self.split not in SPLITS:
            raise InputError(
                f"LogRecord '{self.name}': a dataset name has no underscore and a split is one of {', '.join(SPLITS)}, "
                f"got '{self.dataset}' and '{self.split}'. py123d finds logs by these rules only."
            )
        if self.route is not None:
            object.__setattr__(self, "route", frozen_array(self.route, np.float64))
            axes.check("route", self.route, "K 2", finite=True)


def log_folder(root: Path, record: LogRecord) -> Path:
    """Where ``write_log`` puts a log below a data root."""
    return root / "logs" / f"{record.dataset}_{record.split}" / record.name


def write_log(record: LogRecord, root: Path, *, compression_level: int = 3) -> Path:
    """Write one log below the data root and return its folder.

    ``compression_level`` is zstd's, 1 (fast) to 19 (small).
    Raises ``InputError`` where the log exists already, and ``ImportError`` without py123d.
    """
    writer_module = _py123d_writer()
    folder = log_folder(root, record)
    if folder.exists():
        raise InputError(f"Log '{folder}' exists already. Remove it, or write to another folder.")
    with aside(folder.parent, folder.name) as scratch:
        writer = writer_module.ArrowLogWriter(
            _writer_config(),
            logs_root=scratch,
            sensors_root=scratch / "sensors",
            ipc_compression="zstd",
            ipc_compression_level=compression_level,
        )
        writer.reset(_log_metadata(record))
        if record.route is not None:
            writer.set_route(np.column_stack([record.route, np.zeros(len(record.route))]))
        for frame in _frames(record):
            writer.write_sync(frame)
        writer.close()
        (scratch / folder.parent.name / folder.name).replace(folder)
    return folder


@contextmanager
def aside(parent: Path, name: str) -> Iterator[Path]:
    """A scratch folder beside the final place (same file system, so that a rename is one step), gone afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _py123d_writer() -> Any:
    try:
        from py123d.api.scene.arrow import arrow_log_writer
    except ImportError as error:
        raise ImportError("Writing 123D logs needs py123d. Install it with: pip install 'diffdrive[data]'") from error
    return arrow_log_writer


def _writer_config() -> Any:
    from py123d.api.scene.arrow.utils.log_writer_config import LogWriterConfig

    return LogWriterConfig(
        force_log_conversion=True,
        camera_store_option="jpeg_binary",
        lidar_store_option="binary",
        lidar_codec="laz",
        # Without a planned route py123d would store the driven future as one.
        write_route=False,
        route_resolution_m=2.0,
    )


def _log_metadata(record: LogRecord) -> Any:
    from py123d.datatypes import LogMetadata, MapMetadata

    shared = MapMetadata(dataset=record.dataset, location=record.location, map_has_z=True, map_is_per_log=False)
    return LogMetadata(
        dataset=record.dataset,
        split=f"{record.dataset}_{record.split}",
        log_name=record.name,
        location=record.location,
        map_metadata=shared,
    )


def _frames(record: LogRecord) -> Iterator[Any]:
    from py123d.datatypes import Timestamp
    from py123d.parser.base_dataset_parser import ModalitiesSync

    ego_metadata = _ego_metadata(record.vehicle)
    for index, time_us in enumerate(record.timestamps_us.tolist()):
        time = Timestamp.from_us(time_us)
        values = [
            _ego(record, index, ego_metadata, time),
            _boxes(record.agents[index], time),
            _lights(record.traffic_lights[index], time),
        ]
        if index in record.sensors:
            values += sensor_modalities(record.sensors[index], time)
        yield ModalitiesSync(time, values)


def _ego_metadata(vehicle: VehicleDimensions) -> Any:
    from py123d.datatypes.vehicle_state.ego_state_metadata import EgoStateSE3Metadata
    from py123d.geometry import PoseSE3

    return EgoStateSE3Metadata(
        "ego",
        width=vehicle.width,
        length=vehicle.length,
        height=vehicle.height,
        wheel_base=vehicle.wheel_base,
        center_to_imu_se3=PoseSE3(vehicle.rear_axle_to_center, 0.0, vehicle.height / 2, 1.0, 0.0, 0.0, 0.0),
        rear_axle_to_imu_se3=PoseSE3.identity(),
    )


def _ego(record: LogRecord, index: int, metadata: Any, time: Any) -> Any:
    from py123d.datatypes import EgoStateSE3
    from py123d.datatypes.vehicle_state.dynamic_state import DynamicStateSE3
    from py123d.geometry import Vector3D

    velocity, acceleration = record.velocities[index], record.accelerations[index]
    state = DynamicStateSE3(
        velocity=Vector3D(float(velocity[0]), float(velocity[1]), 0.0),
        acceleration=Vector3D(float(acceleration[0]), float(acceleration[1]), 0.0),
        angular_velocity=Vector3D(0.0, 0.0, float(record.yaw_rates[index])),
    )
    pose = _pose(*record.poses[index].tolist())
    return EgoStateSE3.from_imu(imu_se3=pose, metadata=metadata, timestamp=time, dynamic_state_se3=state)


def _pose(x: float, y: float, heading: float, z: float = 0.0) -> Any:
    from py123d.geometry import PoseSE3

    return PoseSE3(x, y, z, float(np.cos(heading / 2)), 0.0, 0.0, float(np.sin(heading / 2)))


def _boxes(agents: Agents, time: Any) -> Any:
    from py123d.datatypes import BoxDetectionAttributes, BoxDetectionSE3, BoxDetectionsSE3
    from py123d.datatypes.detections.box_detection_label import DefaultBoxDetectionLabel
    from py123d.datatypes.detections.box_detections_metadata import BoxDetectionsSE3Metadata
    from py123d.geometry import BoundingBoxSE3, Vector3D

    half, none = agents.boxes[:, 2] / 2, np.zeros(len(agents))
    quaternions = [np.cos(half), none, none, np.sin(half)]
    # py123d's order: centre, quaternion (w first), length, width, height.
    bodies = np.column_stack(
        [agents.boxes[:, :2], agents.vertical[:, 0], *quaternions, agents.boxes[:, 3:], agents.vertical[:, 1]]
    )
    velocities = np.column_stack([agents.velocities, none])
    boxes = [
        BoxDetectionSE3(
            BoxDetectionAttributes(DefaultBoxDetectionLabel[LABEL_FROM_KIND[kind]], token),
            BoundingBoxSE3.from_array(body, copy=False),
            Vector3D.from_array(velocity, copy=False),
        )
        for token, kind, body, velocity in zip(agents.track_tokens, agents.kinds, bodies, velocities, strict=True)
    ]
    return BoxDetectionsSE3(boxes, time, BoxDetectionsSE3Metadata(DefaultBoxDetectionLabel))


def _lights(lights: tuple[TrafficLight, ...], time: Any) -> Any:
    from py123d.datatypes.detections.traffic_light_detections import (
        TrafficLightDetection,
        TrafficLightDetections,
        TrafficLightStatus,
    )

    found = [TrafficLightDetection(lane_id=int(light.lane_id), status=TrafficLightStatus[light.state.name]) for light in lights]
    return TrafficLightDetections(found, time)
