"""A scene: everything that is known about a few seconds of driving, including what happened next."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.scene.agents import Agents
from diffdrive.scene.observation import Observation
from diffdrive.scene.trajectory import Trajectory
from diffdrive.scene.vector_map import VectorMap


class LightState(enum.Enum):
    """State of a signal."""

    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficLight:
    """The signal that governs one lane connector."""

    lane_id: str
    state: LightState


@dataclass(frozen=True, slots=True, kw_only=True)
class Future:
    """What happened after t = 0, at the times of ``ego``. For training and scoring only."""

    ego: Trajectory
    """The human's (or simulated driver's) trajectory."""

    agents: tuple[Agents, ...]
    """One entry per pose of ``ego``, in the ego frame at t = 0."""

    traffic_lights: tuple[tuple[TrafficLight, ...], ...] = ()
    """One entry per pose of ``ego``, or none at all."""

    def __post_init__(self) -> None:
        if len(self.agents) != self.ego.num_poses or len(self.traffic_lights) not in (0, self.ego.num_poses):
            raise InputError(
                f"Future needs agents (and lights, if any) for each of its {self.ego.num_poses} poses, "
                f"got {len(self.agents)} and {len(self.traffic_lights)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Facts about one moment. Everything is in the ego frame at t = 0, except ``world_from_ego``.

    ``observation`` is the part a planner may see: handing a planner ``scene.observation`` cuts the rest away.
    """

    token: str
    """Unique within its source."""

    log_name: str
    location: str
    """Name of the map: scenes of one location share roads, so split data by it."""

    world_from_ego: np.ndarray
    """[3] x, y, heading of the rear axle at t = 0 in the log's world frame."""

    observation: Observation
    agents: Agents
    vector_map: VectorMap = field(default_factory=VectorMap)
    traffic_lights: tuple[TrafficLight, ...] = ()
    route: np.ndarray | None = None
    """[K, 2] the planned route from here on (navigation, never the driven future), or None where none was planned."""

    route_group_ids: tuple[str, ...] = ()
    """The planned route as lane groups of the map, in order (nuPlan's road blocks), where the data name them; else empty.
    They may reach farther than ``vector_map``."""

    past_agents: tuple[Agents, ...] = ()
    """Agents at the earlier instants of ``observation.ego_history`` (oldest first, the present excluded), or empty."""

    future: Future | None = None

    def __post_init__(self) -> None:
        axes = Axes(f"Scene '{self.token}'")
        object.__setattr__(self, "world_from_ego", frozen_array(self.world_from_ego, np.float64))
        axes.check("world_from_ego", self.world_from_ego, "3", finite=True)
        if self.route is not None:
            object.__setattr__(self, "route", frozen_array(self.route, np.float64))
            axes.check("route", self.route, "K 2", finite=True)
        if self.past_agents and len(self.past_agents) != len(self.observation.ego_history) - 1:
            raise InputError(
                f"Scene '{self.token}' needs past agents for each earlier instant: "
                f"{len(self.observation.ego_history) - 1}, got {len(self.past_agents)}."
            )
