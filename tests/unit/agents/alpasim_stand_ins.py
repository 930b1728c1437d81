"""AlpaSim's model interface as its public repository states it (main, July 2026), and stand-ins made of that statement.

The stand-ins let the driver model run where AlpaSim is not installed. test_alpasim_checkout.py holds the statement against
AlpaSim itself, where there is a checkout.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import enum
import importlib
import sys
import types
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import diffdrive_agents.alpasim as package
import numpy as np
import pytest

BASE = "alpasim_driver.models.base"
MODEL = "diffdrive_agents.alpasim.model"

COMMANDS = {"LEFT": 0, "STRAIGHT": 1, "RIGHT": 2, "UNKNOWN": 3}
FIELDS = {
    "PredictionInput": {
        "camera_images": "CameraImages",
        "command": "DriveCommand",
        "speed": "float",
        "acceleration": "float",
        "ego_pose_history": "list[Any]",
        "inference_seed": "int",
    },
    "ModelPrediction": {"trajectory_xy": "np.ndarray", "headings": "np.ndarray", "reasoning_text": "str | None"},
}
"""Of the two dataclasses, in order. camera_images: name -> [(timestamp_us, image [H, W, 3] uint8 RGB)], oldest first."""

NEWER = ("inference_seed",)
"""Not yet on the branch of the 2026 challenge."""

METHODS = {
    "from_config": ("model_cfg", "device", "camera_ids", "context_length", "output_frequency_hz"),
    "_encode_command": ("self", "command"),
    "predict": ("self", "prediction_input"),
    "predict_batch": ("self", "prediction_inputs"),
}
PROPERTIES = ("camera_ids", "context_length", "output_frequency_hz")
ABSTRACT = frozenset({"from_config", "_encode_command", "predict", *PROPERTIES})

NUPLAN_CAMERAS = ["CAM_L0", "CAM_F0", "CAM_R0"]
PAI_CAMERAS = ["camera_cross_left_120fov", "camera_front_wide_120fov", "camera_cross_right_120fov"]


def base_module() -> types.ModuleType:
    """``alpasim_driver.models.base``, nothing behind its names."""
    made = types.ModuleType(BASE)
    values: dict[str, Any] = {
        "DriveCommand": enum.IntEnum("DriveCommand", COMMANDS),  # type: ignore[misc]
        "ModelInputValidationError": type("ModelInputValidationError", (ValueError,), {}),
        "PredictionInput": dataclasses.make_dataclass("PredictionInput", list(FIELDS["PredictionInput"].items())),
        "ModelPrediction": dataclasses.make_dataclass(
            "ModelPrediction",
            [*list(FIELDS["ModelPrediction"].items())[:2], ("reasoning_text", "str | None", None)],
        ),
        "BaseTrajectoryModel": abc.ABCMeta(
            "BaseTrajectoryModel", (), {name: abc.abstractmethod(lambda self: None) for name in ABSTRACT}
        ),
    }
    for name, value in values.items():
        setattr(made, name, value)
    return made


@contextlib.contextmanager
def beside(base: types.ModuleType) -> Iterator[None]:
    """AlpaSim's package with ``base`` in it can be imported, and so can ``MODEL``; afterwards neither is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("alpasim_driver", "alpasim_driver.models"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, BASE, base)
        patch.delitem(sys.modules, MODEL, raising=False)
        yield
        patch.delitem(sys.modules, MODEL, raising=False)
    if hasattr(package, "model"):
        del package.model


def imported_model(base: types.ModuleType) -> types.ModuleType:
    """``diffdrive_agents.alpasim.model`` beside ``base``."""
    with beside(base):
        return importlib.import_module(MODEL)


def pose_at(timestamp_us: int, x: float, y: float, heading: float) -> SimpleNamespace:
    """A ``PoseAtTime`` message."""
    quat = SimpleNamespace(w=np.cos(heading / 2), x=0.0, y=0.0, z=np.sin(heading / 2))
    return SimpleNamespace(timestamp_us=timestamp_us, pose=SimpleNamespace(vec=SimpleNamespace(x=x, y=y, z=3.0), quat=quat))


def prediction_input(seed: int | None = 0, *, look: int = 0, cameras: list[str] | None = None, **changes: Any) -> Any:
    """At 8 m/s to the north of the local frame, noise for images: ``look`` is of the images and the speed."""
    rng = np.random.default_rng(look)
    values: dict[str, Any] = {
        "camera_images": {
            name: [(1_000_000, rng.integers(0, 256, (270, 480, 3), dtype=np.uint8))] for name in cameras or NUPLAN_CAMERAS
        },
        "command": look % 4,
        "speed": 8.0 + look,
        "acceleration": 0.25,
        "ego_pose_history": [pose_at(100_000 * step, 50.0, 0.8 * step, np.pi / 2) for step in range(11)],
        **({} if seed is None else {"inference_seed": seed}),
    }
    return SimpleNamespace(**{**values, **changes})
