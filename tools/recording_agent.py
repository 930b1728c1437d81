"""Have NAVSIM agents write down what they answer, scene by scene, or answer what was written down: how two are compared.

Both functions change one agent and return it, so that Hydra makes it from any agent's config. The devkit tells an agent which
scene it plans only if the agent asks for the whole scene, so a changed agent does. Nothing here imports the devkit.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


def recorded(agent: Any, out: str, decoder: str = "") -> Any:
    """``agent``, which writes ``<out>/<token>.npz`` for every scene: trajectory, poses of all proposals, their scores.

    Torch's global generator is seeded from the scene's token before each plan, so agents that draw from it draw the same in
    any order of scenes. ``agent`` sees the scene only if it asked for it. ``decoder`` is the path of a submodule that
    returns a list of poses [1, M, T, 3] and one of logits [1, M], one for each of its layers: the last of its last call is
    recorded. Without it, what ``agent.compute_plan`` answers on the way, if it has that.
    """
    folder, sees_scene = Path(out), agent.requires_scene
    initialize, compute_trajectory = agent.initialize, agent.compute_trajectory
    proposals: dict[str, np.ndarray] = {}

    def begin() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        initialize()
        if decoder:
            agent.get_submodule(decoder).register_forward_hook(keep_outputs)
        elif hasattr(agent, "compute_plan"):
            agent.compute_plan = _kept(agent.compute_plan, proposals)

    def plan(agent_input: Any, scene: Any) -> Any:
        token = scene.scene_metadata.initial_token
        torch.manual_seed(zlib.crc32(token.encode()))
        trajectory = compute_trajectory(*((agent_input, scene) if sees_scene else (agent_input,)))
        np.savez(folder / f"{token}.npz", allow_pickle=False, trajectory=np.asarray(trajectory.poses), **proposals)
        return trajectory

    def keep_outputs(module: torch.nn.Module, inputs: Any, outputs: Any) -> None:
        poses, logits = outputs
        scores = logits[-1][0].double().softmax(dim=0)
        proposals.update(poses=poses[-1][0].cpu().numpy().copy(), proposal_scores=scores.cpu().numpy())

    agent.requires_scene, agent.initialize, agent.compute_trajectory = True, begin, plan
    return agent


def replayed(agent: Any, recording: str) -> Any:
    """``agent``, which plans what ``recording`` says: so a devkit scores the trajectories of one that does not run in it.

    Of the agent's own answer only the type and the times stay, so a cheap one that needs no sensors will do.
    """
    with np.load(recording) as archive:
        trajectories = dict(zip(archive["tokens"].tolist(), archive["trajectories"], strict=True))
    compute_trajectory = agent.compute_trajectory

    def plan(agent_input: Any, scene: Any) -> Any:
        poses = trajectories[scene.scene_metadata.initial_token]
        return dataclasses.replace(compute_trajectory(agent_input), poses=poses)

    agent.requires_scene, agent.compute_trajectory = True, plan
    return agent


def _kept(compute_plan: Callable[..., Any], proposals: dict[str, np.ndarray]) -> Callable[..., Any]:
    def plan(*inputs: Any) -> Any:
        answer = compute_plan(*inputs)
        proposals.update(poses=answer.proposals.astype(np.float32), proposal_scores=answer.scores)
        return answer

    return plan
