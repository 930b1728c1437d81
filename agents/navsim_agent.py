"""DiffusionDrive as a NAVSIM agent, for the devkits v1.1 and v2.2. The one file that imports navsim and nuplan.

Point Hydra at ``diffdrive_configs.navsim`` and name the agent:

    run_pdm_score.py agent=diffusiondrive_nano \\
        "hydra.searchpath=[pkg://navsim.planning.script.config.common,pkg://diffdrive_configs.navsim]" ...
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from navsim.agents.abstract_agent import AbstractAgent
from navsim.common.dataclasses import AgentInput, SensorConfig, Trajectory
from navsim.common.dataclasses import Scene as NavsimScene
from navsim.planning.training.abstract_feature_target_builder import AbstractFeatureBuilder, AbstractTargetBuilder
from nuplan.common.maps.maps_datatypes import SemanticMapLayer
from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling
from torch import Tensor

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.model import PlannerModel
from diffdrive.runtime import Plan
from diffdrive.tensors import InputLayout, TargetLayout

from .features import feature_cache_name, features_of
from .inference import InferenceOptions, ScenePlanner, name_of, not_planned
from .observation import observation_of
from .signatures import base_arguments, check_sampling
from .targets import MapLayers, target_cache_name, targets_of
from .training import (
    Recipe,
    callbacks_of,
    losses_of,
    optimizers_of,
    planning_pass,
    predictions_of,
    training_pass,
)
from .weights import NetworkSource

NOW = 3
"""Index of the present among NAVSIM's four frames of history."""


class DiffusionDriveAgent(AbstractAgent):
    """Plans with a checkpoint, or is trained by the devkit's ``run_training``.

    Making an agent reads no weights: ``initialize`` does for planning, ``get_training_callbacks`` for training (the devkit
    asks for callbacks before Lightning moves the agent to its device). Every argument has a plain type, as Hydra gives it.
    Raises ``InputError`` for arguments that do not fit each other or the installed devkit.
    """

    network: PlannerModel | None

    def __init__(
        self,
        checkpoint_path: str | None = None,
        preset: str | None = None,
        planner: Mapping[str, Any] | None = None,
        anchors: str | None = None,
        trajectory_sampling: TrajectorySampling | None = None,
        requires_scene: bool = False,
        use_lidar: bool = True,
        engine: str = "auto",
        device: str = "auto",
        noise: str = "seeded",
        seed: int = 0,
        jumps: str = "auto",
        image_size: tuple[int, int] = (1080, 1920),
        epochs: int = 100,
        optimizer: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, Any] | None = None,
        loss_as_dict: bool = False,
    ) -> None:
        """Arguments.

        ``checkpoint_path``: a folder of diffdrive, the name of a checkpoint that ships with it, the public DiffusionDrive
        file, or a Lightning file of this agent. Without it, ``preset``, ``planner`` (overrides) and ``anchors`` describe a
        new network. ``engine``, ``device``, ``noise``, ``seed``, ``jumps`` and ``image_size``: see ``InferenceOptions``.
        ``requires_scene``: be handed the annotated scene, of which only the token is used, as the key of the noise.
        ``use_lidar``: without it the agent asks for no LiDAR and the network sees an empty histogram, in planning and in
        training. NAVSIM v2.2's synthetic and private scenes hold no sweeps, and the devkit cannot load them otherwise; a
        network that was trained with sweeps plans worse so.
        ``epochs``, ``optimizer`` and ``loss_weights``: see ``Recipe``. ``loss_as_dict``: ``compute_loss`` returns the terms
        and their sum as ``loss``, which DiffusionDrive's fork of the devkit logs, not the sum alone.
        """
        source = NetworkSource(
            checkpoint=None if checkpoint_path is None else Path(checkpoint_path),
            preset=preset,
            planner=dict(planner or {}),
            anchors=None if anchors is None else Path(anchors),
            seed=seed,
        )
        layout = source.config.targets
        sampling = trajectory_sampling or TrajectorySampling(num_poses=layout.num_poses, interval_length=layout.interval_s)
        check_sampling(sampling, layout)
        super().__init__(**base_arguments(AbstractAgent, sampling, requires_scene))
        self.sampling = sampling
        self.use_lidar = use_lidar
        self.source = source
        self.options = InferenceOptions(
            engine=engine, device=device, noise=noise, seed=seed, jumps=jumps, image_size=image_size
        )
        self.recipe = Recipe.of(epochs, optimizer, loss_weights)
        self.loss_as_dict = loss_as_dict
        self.register_module("network", None)
        self._scene_planner: ScenePlanner | None = None

    def name(self) -> str:
        """The class's name, as the devkit's own agents answer."""
        return self.__class__.__name__

    def get_sensor_config(self) -> SensorConfig:
        """The three front cameras and, if it is used, the LiDAR, of the present alone."""
        config = SensorConfig.build_no_sensors()
        for sensor in ("cam_f0", "cam_l0", "cam_r0", *(["lidar_pc"] if self.use_lidar else [])):
            setattr(config, sensor, [NOW])
        return config

    def initialize(self) -> None:
        """Load the weights and build the engine. Raises ``InputError`` where one of them cannot be had."""
        self._load()
        self.eval()
        self._scene_planner = ScenePlanner(self._ready(), self.options)

    # Planning

    def compute_trajectory(self, agent_input: AgentInput, scene: NavsimScene | None = None) -> Trajectory:
        """The chosen trajectory, float32. Raises ``NotPlannedError`` naming the scene where the network did not plan."""
        poses = self.compute_plan(agent_input, scene).trajectory.poses
        return Trajectory(poses.astype(np.float32), self.sampling)

    def compute_plan(self, agent_input: AgentInput, scene: NavsimScene | None = None) -> Plan:
        """The trajectory with every proposal [M, T, 3] and its score [M], and how long each stage took."""
        if self._scene_planner is None:
            raise InputError("The agent has no weights yet. Call initialize() before the first scene.")
        token = None if scene is None else str(scene.scene_metadata.initial_token)
        name = name_of(agent_input, token)
        try:
            observation = observation_of(agent_input, use_lidar=self.use_lidar)
        except InputError as error:
            raise not_planned(name, str(error)) from error
        return self._scene_planner.plan(observation, name=name, token=token)

    # Training

    def get_feature_builders(self) -> list[AbstractFeatureBuilder]:
        """One builder, of the network's inputs."""
        return [FeatureBuilder(self.source.config.inputs, use_lidar=self.use_lidar)]

    def get_target_builders(self) -> list[AbstractTargetBuilder]:
        """One builder, of everything that the losses compare with."""
        return [TargetBuilder(self.source.config.targets)]

    def forward(self, features: dict[str, Tensor], targets: dict[str, Tensor] | None = None) -> dict[str, Any]:
        """Predictions of a batch (see ``predictions_of``): one pass in training, the whole sampling in evaluation.

        ``targets`` are not looked at: DiffusionDrive's fork of the devkit hands them over.
        """
        network = self._ready()
        if self.training:
            return predictions_of(training_pass(network, features))
        options = self.options
        return predictions_of(planning_pass(network, features, options.jump_table, options.noise_kind, options.seed))

    def compute_loss(
        self, features: dict[str, Tensor], targets: dict[str, Tensor], predictions: dict[str, Any]
    ) -> Tensor | dict[str, Tensor]:
        """The sum of all terms, or the terms with their sum as ``loss`` (see ``loss_as_dict``)."""
        losses = losses_of(self._ready(), targets, predictions, self.recipe.weights)
        return {"loss": losses.total, **losses.terms} if self.loss_as_dict else losses.total

    def get_optimizers(self) -> dict[str, Any]:
        """AdamW and its learning rate, as Lightning takes them."""
        return optimizers_of(self._ready(), self.recipe)

    def get_training_callbacks(self) -> list[Any]:
        """The callbacks of the training, which is about to begin: the weights are there from here on."""
        self._load()
        # Lightning leaves modules in the state it finds them in, and checkpoints are loaded for evaluation.
        self.train()
        return callbacks_of(self.recipe)

    # State

    def get_extra_state(self) -> dict[str, Any]:
        """What makes a Lightning file of this agent readable without its arguments."""
        return {"planner": to_mapping(self.source.config)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Raises ``InputError`` for the state of another network."""
        if state != self.get_extra_state():
            raise InputError("The agent's state is of another network. Set agent.checkpoint_path to the file itself.")

    def __getstate__(self) -> dict[str, Any]:
        """Without the engine, which lives in one process alone: a copy is initialised anew."""
        return {**self.__dict__, "_scene_planner": None}

    def _load(self) -> None:
        if self.network is None:
            self.network = self.source.network()

    def _ready(self) -> PlannerModel:
        if self.network is None:
            raise InputError("The agent has no weights yet. Call initialize(), or get_training_callbacks() to train, first.")
        return self.network


class FeatureBuilder(AbstractFeatureBuilder):
    """The network's inputs of one scene."""

    def __init__(self, layout: InputLayout, *, use_lidar: bool = True) -> None:
        self._layout = layout
        self._use_lidar = use_lidar

    def get_unique_name(self) -> str:
        """Of the files in a training cache: see ``feature_cache_name``."""
        return feature_cache_name(self._layout, use_lidar=self._use_lidar)

    def compute_features(self, agent_input: AgentInput) -> dict[str, Tensor]:
        """See ``diffdrive_agents.features``. Raises ``InputError`` naming the scene where a sensor is missing."""
        try:
            return features_of(build_inputs(observation_of(agent_input, use_lidar=self._use_lidar), self._layout))
        except InputError as error:
            raise InputError(f"Scene {name_of(agent_input, None)}: {error}") from error


class TargetBuilder(AbstractTargetBuilder):
    """What training compares with."""

    def __init__(self, layout: TargetLayout) -> None:
        self._layout = layout

    def get_unique_name(self) -> str:
        """Of the files in a training cache: see ``target_cache_name``."""
        return target_cache_name(self._layout)

    def compute_targets(self, scene: NavsimScene) -> dict[str, Tensor]:
        """See ``diffdrive_agents.targets``."""
        layers = MapLayers(
            lane=SemanticMapLayer.LANE,
            lane_connector=SemanticMapLayer.LANE_CONNECTOR,
            intersection=SemanticMapLayer.INTERSECTION,
            walkways=SemanticMapLayer.WALKWAYS,
        )
        return targets_of(scene, self._layout, layers)
