"""The gate before the network: an observation of inputs that are young, alive and of one moment, or the reasons against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diffdrive.contracts import InputError
from diffdrive.features.inputs.stitching import STITCH_ORDER
from diffdrive.runtime.envelope.freshness import Held, InputLimits, InputReport, receive
from diffdrive.runtime.envelope.inputs import EgoMotion, VehicleInputs
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, LidarSweep, Observation

_SENSORS = InputLimits(max_age_s=0.3, max_frozen_s=0.5)
_MOTION = InputLimits(max_age_s=0.1, max_frozen_s=0.3)
_COMMAND = InputLimits(max_age_s=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPolicy:
    """How old, how long identical and how far apart inputs may be."""

    camera: InputLimits = _SENSORS
    lidar: InputLimits = _SENSORS
    motion: InputLimits = _MOTION
    """Odometry, speed and acceleration."""

    command: InputLimits = _COMMAND
    """Where the route goes. Too old a command counts as unknown, with which the network plans too."""

    max_spread_s: float = 0.15
    """Between the oldest and the youngest of cameras and LiDAR."""

    cameras: tuple[CameraId, ...] = STITCH_ORDER
    """Without one of them there is no plan."""

    def __post_init__(self) -> None:
        if not self.max_spread_s > 0:
            raise InputError(f"InputPolicy.max_spread_s must be positive, got {self.max_spread_s}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInputs:
    """The last usable message of every input."""

    cameras: Mapping[CameraId, Held[CameraFrame]] = field(default_factory=dict)
    lidar: Held[LidarSweep] | None = None
    motion: Held[EgoMotion] | None = None
    command: Held[DrivingCommand] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What may be planned with in this cycle."""

    observation: Observation | None
    """None where something forbids to plan."""

    motion: EgoMotion | None
    """The vehicle's motion, where it may be used, whether or not the sensors may."""

    reports: tuple[InputReport, ...]
    """Of every input, cameras first."""

    spread_s: float
    """Between the oldest and the youngest of cameras and LiDAR."""

    refusals: tuple[str, ...]
    """Why there is no observation, a sentence each."""


def admit(inputs: VehicleInputs, held: HeldInputs, now_us: int, policy: InputPolicy) -> tuple[Admission, HeldInputs]:
    """Take ``inputs`` in at ``now_us`` (microseconds, the vehicle's clock). Returns what may be used and what is held."""
    cameras: dict[CameraId, Held[CameraFrame]] = {}
    reports: list[InputReport] = []
    for camera in policy.cameras:
        kept, report = receive(
            f"camera {camera.value}", held.cameras.get(camera), inputs.cameras.get(camera), now_us, policy.camera
        )
        reports.append(report)
        if kept is not None:
            cameras[camera] = kept
    lidar, report = receive("lidar", held.lidar, inputs.lidar, now_us, policy.lidar)
    reports.append(report)
    motion, motion_report = receive("motion", held.motion, inputs.motion, now_us, policy.motion)
    command, command_report = receive("command", held.command, inputs.command, now_us, policy.command)
    kept_inputs = HeldInputs(cameras=cameras, lidar=lidar, motion=motion, command=command)

    refusals = [_refusal(each) for each in (*reports, motion_report) if not each.is_usable]
    stamps = [each.stamp_us for each in cameras.values()] + ([lidar.stamp_us] if lidar is not None else [])
    spread_s = (max(stamps) - min(stamps)) / 1e6 if stamps else 0.0
    if not refusals and spread_s > policy.max_spread_s:
        refusals.append(f"Cameras and LiDAR are {spread_s:.3f} s apart, more than {policy.max_spread_s:g} s.")
    observation = None
    if not refusals and lidar is not None and motion is not None:
        observation = Observation(
            ego_history=motion.value.history,
            command=command.value if command is not None and command_report.is_usable else DrivingCommand.UNKNOWN,
            cameras={camera: kept.value for camera, kept in cameras.items()},
            lidar=lidar.value,
        )
    admission = Admission(
        observation=observation,
        motion=motion.value if motion is not None and motion_report.is_usable else None,
        reports=(*reports, motion_report, command_report),
        spread_s=spread_s,
        refusals=tuple(refusals),
    )
    return admission, kept_inputs


def _refusal(report: InputReport) -> str:
    age = "" if report.age_s is None else f" It is {report.age_s:.2f} s old."
    return f"{report.name}: {report.condition.value}{age}{f' {report.detail}' if report.detail else ''}"
