"""Network inputs as the feature dictionaries of NAVSIM's caches, with the keys, shapes and types of the public builders.

camera_feature  [3, H, W] float32    lidar_feature  [1, P, P] float32    status_feature  [8] float32
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.tensors import InputLayout, PlannerInputs

CAMERA, LIDAR, STATUS = "camera_feature", "lidar_feature", "status_feature"

_VERSION = 1
"""Counts up when a feature or target changes its meaning without a change of its layout."""


def feature_cache_name(layout: InputLayout, *, use_lidar: bool = True) -> str:
    """The name that files of a training cache carry.

    The public layout has the name of the public builders (TransFuser's and DiffusionDrive's), whose caches hold the same
    values. Every other layout has a name of its own: another layout's cache is never taken for this one's.
    """
    name = cache_name("feature", layout, InputLayout())
    return name if use_lidar else f"{name}_without_lidar"


def cache_name(kind: str, layout: Any, public_layout: Any) -> str:
    """As ``feature_cache_name``, for features and targets."""
    if layout == public_layout:
        return f"transfuser_{kind}"
    text = json.dumps([_VERSION, to_mapping(layout)], sort_keys=True)
    return f"diffdrive_{kind}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def features_of(inputs: PlannerInputs) -> dict[str, Tensor]:
    """The dictionary of one scene (batch size 1), without a batch axis."""
    return {CAMERA: inputs.camera[0], LIDAR: inputs.lidar[0], STATUS: inputs.status[0]}


def inputs_of(features: Mapping[str, Tensor]) -> PlannerInputs:
    """The inputs of a batch. Raises ``InputError`` where a feature is missing or has other axes."""
    return PlannerInputs(
        camera=required(features, CAMERA, "features"),
        lidar=required(features, LIDAR, "features"),
        status=required(features, STATUS, "features"),
    )


def required(values: Mapping[str, Tensor], key: str, what: str) -> Tensor:
    """``values[key]``. Raises ``InputError`` where it is not there."""
    if key not in values:
        raise InputError(
            f"The {what} have no '{key}' (they have: {', '.join(sorted(values)) or 'nothing'}). "
            "Cache the data set again with this agent."
        )
    return values[key]
