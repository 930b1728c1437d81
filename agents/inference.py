"""Plan NAVSIM's scenes one by one. A scene that the network did not plan is an error with its name, never a trajectory:

a benchmark must not score the runtime's comfortable stop as if a network had chosen it.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import Any

import torch

from diffdrive.contracts import InputError
from diffdrive.diffusion import JUMP_TABLES, JumpTable
from diffdrive.model import PlannerModel
from diffdrive.runtime import EngineChoice, EngineOptions, Plan, Planner, PlanStatus, make_engine
from diffdrive.runtime.noise import NoiseKind, noise_for, scene_key
from diffdrive.scene import Observation

_LOG = logging.getLogger(__name__)

AUTO = "auto"

_WAYS_OUT = {
    PlanStatus.LIDAR_MISSING: "Data without sweeps can be planned from the cameras alone: agent.use_lidar=false.",
}


class NotPlannedError(RuntimeError):
    """The network did not plan a scene. The message names the scene and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceOptions:
    """How an agent plans. Raises ``InputError`` for unknown names."""

    engine: str = AUTO
    """A name of ``diffdrive.runtime.ENGINES``, with ``:PRECISION`` if wanted; auto is the CUDA graph on a GPU, else eager."""

    device: str = AUTO
    """As torch names it; auto is the first GPU where there is one."""

    noise: str = NoiseKind.SEEDED.value
    """zero, seeded or torch."""

    seed: int = 0
    jumps: str = AUTO
    """A name of ``diffdrive.diffusion.JUMP_TABLES``; auto is the network's own, reference where it starts from anchors."""

    image_size: tuple[int, int] = (1080, 1920)
    """Rows and columns of the camera images, for engines that preprocess on their own device."""

    max_points: int = 262_144
    """LiDAR points that such an engine has room for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", tuple(self.image_size))
        for name, known in (("noise", [kind.value for kind in NoiseKind]), ("jumps", [AUTO, *JUMP_TABLES])):
            if getattr(self, name) not in known:
                raise InputError(f"The agent's {name} must be one of {', '.join(known)}, got '{getattr(self, name)}'.")
        if self.engine != AUTO:
            EngineChoice.parse(self.engine)

    @property
    def noise_kind(self) -> NoiseKind:
        return NoiseKind(self.noise)

    @property
    def jump_table(self) -> JumpTable | None:
        return None if self.jumps == AUTO else JUMP_TABLES[self.jumps]


class ScenePlanner:
    """Plans observations with ``network``, which stays as it is. Making one builds and warms up the engine."""

    def __init__(self, network: PlannerModel, options: InferenceOptions) -> None:
        self.options = options
        self._planner = Planner(_engine(network, options), seed=options.seed)
        self._planner.warm_up()
        self._degraded = ""
        _LOG.info("Planning with %s.", self._planner.engine.description)

    def plan(self, observation: Observation, *, name: str = "", token: str | None = None) -> Plan:
        """The plan of one scene; ``name`` is for messages, ``token`` the key of the noise where it is known.

        Raises ``NotPlannedError`` where the network did not plan.
        """
        key = scene_key(observation) if token is None else token
        engine, options = self._planner.engine, self.options
        noise = noise_for(options.noise_kind, key, options.seed, engine.spec.noise_shape[1:], engine.device)
        plan = self._planner.plan(observation, noise=noise)
        if not plan.status.is_planned:
            # The sentence's second half is about the vehicle's fallback, which is not used here.
            reason = plan.status.value.removesuffix(".").removesuffix(", so the plan is a comfortable stop")
            raise not_planned(name or key, f"{reason}. {plan.detail or _WAYS_OUT.get(plan.status, '')}")
        if plan.status is PlanStatus.PLANNED_DEGRADED and plan.detail != self._degraded:
            self._degraded = plan.detail
            _LOG.warning("The engine does not run as it was asked to: %s", plan.detail)
        return plan


def not_planned(name: str, reason: str) -> NotPlannedError:
    """The error for scene ``name``, to be raised. It is logged here: what a harness does with an exception, it decides."""
    message = f"Scene {name} was not planned: {reason}".strip()
    _LOG.error(message)
    return NotPlannedError(message)


def name_of(agent_input: Any, token: str | None) -> str:
    """What a scene is called in messages: its token where it is known, else the files of its sensors, else how it moves."""
    if token is not None:
        return f"'{token}'"
    files = [getattr(each, "lidar_path", None) for each in agent_input.lidars[-1:]]
    files += [getattr(each.cam_f0, "camera_path", None) for each in agent_input.cameras[-1:]]
    for file in files:
        if file is not None:
            return f"of '{file}'"
    now = agent_input.ego_statuses[-1:]
    moves = ", ".join(f"{float(value):.3f}" for each in now for value in (*each.ego_velocity, *each.ego_acceleration))
    return f"without a name (velocity and acceleration now: {moves})"


def _engine(network: PlannerModel, options: InferenceOptions) -> Any:
    device = options.device
    if device == AUTO:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    choice = EngineChoice.parse(options.engine if options.engine != AUTO else _engine_for(device))
    engine_options = EngineOptions(
        jumps=options.jump_table,
        device=device,
        precision=choice.precision,
        image_size=options.image_size,
        max_points=options.max_points,
    )
    # Engines may take a network over; the agent's own can still be trained or saved.
    return make_engine(choice.name, copy.deepcopy(network), engine_options)


def _engine_for(device: str) -> str:
    return "cuda_graph" if torch.device(device).type == "cuda" else "eager"
