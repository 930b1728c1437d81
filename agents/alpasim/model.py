"""The planner as AlpaSim's driver asks for it. The one file that imports AlpaSim; the driver imports it by entry point.

driver.model.model_type: diffdrive_empty_sweep
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from alpasim_driver.models.base import (
    BaseTrajectoryModel,
    DriveCommand,
    ModelInputValidationError,
    ModelPrediction,
    PredictionInput,
)

from diffdrive.contracts import InputError
from diffdrive.scene import DrivingCommand

from ..weights import NetworkSource
from .batch import BatchPlanner
from .cameras import cameras_of
from .interpolation import resampled
from .observation import observation_of


class DiffDriveEmptySweepModel(BaseTrajectoryModel):
    """Plans from three cameras and, because AlpaSim renders no LiDAR, an empty sweep.

    A network that was trained with sweeps plans worse so: docs/alpasim.md says how much. Raises ``InputError`` for other
    cameras, a rate that is no whole number of poses a second, and a checkpoint that cannot be read.
    """

    def __init__(self, checkpoint: Path | str, device: torch.device, camera_ids: list[str], output_frequency_hz: int) -> None:
        if output_frequency_hz < 1 or output_frequency_hz != int(output_frequency_hz):
            raise InputError(f"inference.output_frequency_hz must be 1 or more, a whole number, got {output_frequency_hz}.")
        self._cameras = cameras_of(camera_ids)
        self._camera_ids, self._frequency_hz = list(camera_ids), int(output_frequency_hz)
        self._planner = BatchPlanner(NetworkSource(checkpoint=Path(checkpoint)).network(), device)

    @classmethod
    def from_config(
        cls,
        model_cfg: Any,
        device: torch.device,
        camera_ids: list[str],
        context_length: int | None,
        output_frequency_hz: int,
    ) -> DiffDriveEmptySweepModel:
        """Of the driver's configuration. ``model_cfg.checkpoint_path``: see ``diffdrive_agents.weights``."""
        return cls(model_cfg.checkpoint_path, device, camera_ids, output_frequency_hz)

    @property
    def camera_ids(self) -> list[str]:
        """As configured."""
        return self._camera_ids

    @property
    def context_length(self) -> int:
        """Images of the present alone; of a longer context the newest are used."""
        return 1

    @property
    def output_frequency_hz(self) -> int:
        """Of the poses that are returned, as configured."""
        return self._frequency_hz

    def _encode_command(self, command: DriveCommand) -> DrivingCommand:
        """The two agree in names and numbers."""
        return DrivingCommand(int(command))

    def predict(self, prediction_input: PredictionInput) -> ModelPrediction:
        """One of ``predict_batch``."""
        return self.predict_batch([prediction_input])[0]

    def predict_batch(self, prediction_inputs: list[PredictionInput]) -> list[ModelPrediction]:
        """A trajectory for each input, in its rig frame, from the noise of its ``inference_seed``.

        Raises ``ModelInputValidationError`` for inputs that cannot be planned with and ``NotPlannedError`` for an answer of
        the network that is not finite; the driver then gives none of the batch a trajectory.
        """
        if not prediction_inputs:
            return []
        try:
            observations = [observation_of(each, self._cameras) for each in prediction_inputs]
            # Drivers before the seed came (the 2026 challenge's branch) give none.
            plans = self._planner.plan(observations, [getattr(each, "inference_seed", None) for each in prediction_inputs])
        except InputError as error:
            raise ModelInputValidationError(str(error)) from error
        fine = [resampled(plan, self._frequency_hz).poses for plan in plans]
        return [ModelPrediction(trajectory_xy=poses[:, :2].copy(), headings=poses[:, 2].copy()) for poses in fine]


class DiffDriveModel(DiffDriveEmptySweepModel):
    """Stands under the plain name to say what has to be said before a network without its LiDAR drives."""

    @classmethod
    def from_config(
        cls,
        model_cfg: Any,
        device: torch.device,
        camera_ids: list[str],
        context_length: int | None,
        output_frequency_hz: int,
    ) -> DiffDriveModel:
        """Raises ``InputError``, always."""
        raise InputError(
            "The planner needs a LiDAR sweep, and AlpaSim renders cameras alone. To plan with an empty sweep, worse "
            "(docs/alpasim.md says how much), set model.model_type to diffdrive_empty_sweep."
        )
