"""Every parameter of the bridge, with its unit. The same names make a ROS parameter file (``params.yaml``)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from diffdrive.assets import CHECKPOINTS
from diffdrive.configuration import build, load_yaml
from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import EnvelopeConfig, WarmStartConfig
from diffdrive.scene import CameraId

from .conversion.transforms import Mounting

DEFAULT_PARAMS = Path(__file__).resolve().parent / "params.yaml"


class CommandSource(enum.Enum):
    """What tells where to go."""

    TURN_INDICATORS = "turn_indicators"
    ROUTE = "route"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInput:
    """One camera."""

    image: str
    """Topic: sensor_msgs/CompressedImage, or sensor_msgs/Image where ``is_compressed`` is false."""

    info: str
    """Topic: sensor_msgs/CameraInfo."""

    is_compressed: bool = True
    is_rectified: bool = False
    """Whether the images come from image_proc (CameraInfo's P counts) or from the camera (K counts; no distortion allowed)."""

    mounting: Mounting | None = None
    """Of the camera's optical frame on the base frame; None: /tf_static tells."""


def _camera(name: str) -> CameraInput:
    topic = f"/sensing/camera/{name}"
    return CameraInput(image=f"{topic}/image_raw/compressed", info=f"{topic}/camera_info")


_CAMERAS = {"l0": _camera("camera1"), "f0": _camera("camera0"), "r0": _camera("camera2")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInputs:
    """The three cameras that the planner looks through."""

    l0: CameraInput = _CAMERAS["l0"]
    """To the left of the front."""

    f0: CameraInput = _CAMERAS["f0"]
    """To the front."""

    r0: CameraInput = _CAMERAS["r0"]
    """To the right of the front."""

    def items(self) -> tuple[tuple[CameraId, CameraInput], ...]:
        """Every camera with its name."""
        return tuple((CameraId(field.name), getattr(self, field.name)) for field in fields(self))


_CAMERA_INPUTS = CameraInputs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Topics that the bridge listens to. An empty name is not listened to."""

    cameras: CameraInputs = _CAMERA_INPUTS
    point_cloud: str = "/sensing/lidar/concatenated/pointcloud"
    """sensor_msgs/PointCloud2, motion-compensated, of all LiDARs together."""

    point_cloud_mounting: Mounting | None = None
    """Of the cloud's frame on the base frame; None: /tf_static tells, and nothing is needed where they are one."""

    odometry: str = "/localization/kinematic_state"
    """nav_msgs/Odometry."""

    acceleration: str = "/localization/acceleration"
    """geometry_msgs/AccelWithCovarianceStamped."""

    turn_indicators: str = "/planning/turn_indicators_cmd"
    """autoware_vehicle_msgs/TurnIndicatorsCommand."""

    route: str = "/planning/mission_planning/route"
    """autoware_planning_msgs/LaneletRoute."""

    static_transforms: str = "/tf_static"
    """tf2_msgs/TFMessage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Topics that the bridge publishes on. An empty name is not published on."""

    trajectory: str = "/planning/diffdrive/trajectory"
    """autoware_planning_msgs/Trajectory."""

    candidates: str = "/planning/diffdrive/candidate_trajectories"
    """autoware_internal_planning_msgs/CandidateTrajectories."""

    diagnostics: str = "/diagnostics"
    """diagnostic_msgs/DiagnosticArray."""

    markers: str = "/planning/diffdrive/markers"
    """visualization_msgs/MarkerArray."""


_INPUTS, _OUTPUTS, _ENVELOPE = Inputs(), Outputs(), EnvelopeConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig:
    """How the ego history is made of odometry."""

    duration_s: float = 1.5
    """Seconds of the past that the planner is given; shorter after a start or a gap."""

    interval_s: float = 0.5
    """Seconds between its states."""

    max_gap_s: float = 0.3
    """Seconds between odometry messages, or from a state to the nearest acceleration, over which nothing is interpolated."""

    def __post_init__(self) -> None:
        for name in ("duration_s", "interval_s", "max_gap_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"HistoryConfig.{name} must be positive seconds, got {getattr(self, name)}.")


_HISTORY, _WARM = HistoryConfig(), WarmStartConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """Everything."""

    checkpoint: str = ""
    """A folder; empty: the small one that ships with diffdrive, which is no planner for real roads."""

    engine: str = "eager"
    """See docs/runtime.md."""

    seed: int = 0
    """Of the noise that every plan starts from."""

    warm_start: bool = False
    """Begin a plan at the plans before, not at the anchors alone."""

    warm: WarmStartConfig = _WARM
    """How; without ``warm_start`` it says nothing."""

    period_s: float = 0.1
    """Seconds between cycles."""

    base_frame: str = "base_link"
    """The rear axle, on the ground; x forward, y left."""

    vehicle: str = "ego"
    """Its name in diagnostics."""

    command_source: CommandSource = CommandSource.TURN_INDICATORS
    lanelet_map: str = ""
    """The .osm file of the map, which a command from the route needs."""

    points_per_pose: int = 5
    """Points of the published trajectory for each pose of the plan: 5 make one every 0.1 s."""

    reliable_sensors: bool = False
    """Ask again for sensor data that get lost on the way. Publishers of ROS's sensor data profile do not offer that."""

    inputs: Inputs = _INPUTS
    outputs: Outputs = _OUTPUTS
    history: HistoryConfig = _HISTORY
    envelope: EnvelopeConfig = _ENVELOPE

    def __post_init__(self) -> None:
        if not self.period_s > 0:
            raise InputError(f"BridgeConfig.period_s must be positive seconds, got {self.period_s}.")
        if self.points_per_pose < 1:
            raise InputError(f"BridgeConfig.points_per_pose must be 1 or more, got {self.points_per_pose}.")
        if self.command_source is CommandSource.ROUTE and not self.lanelet_map:
            raise InputError("A command from the route needs the map it was made on: set lanelet_map to its .osm file.")

    @property
    def checkpoint_folder(self) -> Path:
        """Where the network is."""
        return Path(self.checkpoint) if self.checkpoint else CHECKPOINTS / "nano"


def config_from_parameters(parameters: Mapping[str, Any]) -> BridgeConfig:
    """Of ROS parameters by their full names, e.g. ``history.max_gap_s``. Raises ``InputError`` for unknown names and values."""
    tree: dict[str, Any] = {}
    for name, value in parameters.items():
        *parents, leaf = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return build(BridgeConfig, tree)


def config_from_file(path: Path, overrides: tuple[str, ...] = ()) -> BridgeConfig:
    """Of a ROS parameter file with the entry ``/**: ros__parameters:``, with ``a.b=value`` on top.

    Raises ``InputError`` as ``config_from_parameters`` does, and for files of another form.
    """
    content = load_yaml(path)
    try:
        (node,) = content.values()
        (values,) = [node["ros__parameters"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' must hold one entry '/**' with 'ros__parameters' in it, as params.yaml does.") from error
    return build(BridgeConfig, values, overrides)
