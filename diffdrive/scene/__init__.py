"""The world as values: frozen, validated, in the ego frame at t = 0. Knows nothing of networks, files or scores."""

from diffdrive.scene.agents import AgentKind, Agents
from diffdrive.scene.command import command_from_route
from diffdrive.scene.ego import EgoState
from diffdrive.scene.observation import CameraFrame, CameraId, DrivingCommand, LidarSweep, Observation
from diffdrive.scene.scene import Future, LightState, Scene, TrafficLight
from diffdrive.scene.source import Modality, SceneSource
from diffdrive.scene.trajectory import Trajectory
from diffdrive.scene.vector_map import Area, AreaKind, Lane, Line, LineKind, MapConvention, VectorMap

__all__ = [
    "AgentKind",
    "Agents",
    "Area",
    "AreaKind",
    "CameraFrame",
    "CameraId",
    "DrivingCommand",
    "EgoState",
    "Future",
    "Lane",
    "LidarSweep",
    "LightState",
    "Line",
    "LineKind",
    "MapConvention",
    "Modality",
    "Observation",
    "Scene",
    "SceneSource",
    "TrafficLight",
    "Trajectory",
    "VectorMap",
    "command_from_route",
]
