"""NAVSIM agents that keep what another agent answered, scene by scene, and play it back: how two agents are compared.

The devkit tells an agent which scene it plans only if the agent asks for the whole scene. These do. Needs the devkit.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from navsim.agents.abstract_agent import AbstractAgent
from navsim.common.dataclasses import AgentInput, Scene, SensorConfig, Trajectory
from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling


class _SceneAgent(AbstractAgent):
    """What both have in common: an agent that is told the scene, in every version of the devkit."""

    def __init__(self, sampling: TrajectorySampling) -> None:
        # The devkit's own constructor takes other arguments in each version, and keeps these two.
        torch.nn.Module.__init__(self)
        self.requires_scene = True
        self._trajectory_sampling = sampling

    def name(self) -> str:
        return type(self).__name__


class RecordingAgent(_SceneAgent):
    """Writes ``<out>/<token>.npz`` for every scene that ``agent`` plans: trajectory, poses of all proposals, their scores.

    Torch's global generator is seeded from the scene's token before each plan, so agents that draw from it draw the same in
    any order of scenes. ``agent`` sees the scene only if it asks for it. ``decoder`` is the path of a submodule that
    returns a list of poses [1, M, T, 3] and one of logits [1, M], one for each of its layers: the last of its last call is
    recorded. Without it, what ``agent.compute_plan`` answers on the way, if it has that.
    """

    def __init__(self, agent: AbstractAgent, out: str, decoder: str = "") -> None:
        super().__init__(getattr(agent, "_trajectory_sampling", TrajectorySampling(time_horizon=4, interval_length=0.5)))
        self.agent = agent
        self._out = Path(out)
        self._decoder = decoder
        self._proposals: dict[str, np.ndarray] = {}

    def get_sensor_config(self) -> SensorConfig:
        return self.agent.get_sensor_config()

    def initialize(self) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        self.agent.initialize()
        if self._decoder:
            self.agent.get_submodule(self._decoder).register_forward_hook(self._keep_outputs)
        elif hasattr(self.agent, "compute_plan"):
            self.agent.compute_plan = partial(self._keep_plan, self.agent.compute_plan)

    def compute_trajectory(self, agent_input: AgentInput, scene: Scene) -> Trajectory:
        token = scene.scene_metadata.initial_token
        torch.manual_seed(zlib.crc32(token.encode()))
        inputs = (agent_input, scene) if self.agent.requires_scene else (agent_input,)
        trajectory = self.agent.compute_trajectory(*inputs)
        arrays = {"trajectory": np.asarray(trajectory.poses), **self._proposals}
        np.savez(self._out / f"{token}.npz", allow_pickle=False, **arrays)
        return trajectory

    def _keep_plan(self, compute_plan: Callable[..., Any], *inputs: Any) -> Any:
        plan = compute_plan(*inputs)
        self._proposals = {"poses": plan.proposals.astype(np.float32), "proposal_scores": plan.scores}
        return plan

    def _keep_outputs(self, module: torch.nn.Module, inputs: Any, outputs: Any) -> None:
        poses, logits = outputs
        scores = logits[-1][0].double().softmax(dim=0)
        self._proposals = {"poses": poses[-1][0].cpu().numpy().copy(), "proposal_scores": scores.cpu().numpy()}


class ReplayingAgent(_SceneAgent):
    """Plans what a recording says, so that a devkit scores the trajectories of an agent that does not run in it."""

    def __init__(self, recording: str) -> None:
        super().__init__(TrajectorySampling(time_horizon=4, interval_length=0.5))
        self._recording = Path(recording)
        self._trajectories: dict[str, np.ndarray] = {}

    def get_sensor_config(self) -> SensorConfig:
        return SensorConfig.build_no_sensors()

    def initialize(self) -> None:
        with np.load(self._recording) as recorded:
            tokens = recorded["tokens"].tolist()
            self._trajectories = dict(zip(tokens, recorded["trajectories"], strict=True))

    def compute_trajectory(self, agent_input: AgentInput, scene: Scene) -> Trajectory:
        poses = self._trajectories[scene.scene_metadata.initial_token]
        return Trajectory(poses, self._trajectory_sampling)
