"""Weights that anyone can rebuild from the names of the public model's parameters, for parity checks without a checkpoint.

Every tensor is drawn from a generator seeded by the CRC of "<salt>:<key>", so order does not matter and nothing is stored.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffdrive.model import PlannerModel, base
from diffdrive.model.reference_format import reference_key


def golden_tensor(key: str, shape: tuple[int, ...], salt: str) -> Tensor:
    """The value of the public model's weight ``key`` (every key but the anchors)."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(f"{salt}:{key}".encode())))
    normal = rng.standard_normal(shape)
    if key.endswith("running_mean"):
        value = 0.1 * normal
    elif key.endswith("running_var"):
        value = 0.75 + 0.5 * rng.random(shape)
    elif len(shape) == 1:
        value = (1.0 if key.endswith("weight") else 0.0) + 0.05 * normal
    elif "_embedding" in key or key.endswith("pos_emb"):
        value = 0.5 * normal
    else:
        value = normal / math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))


def golden_state(shapes: Mapping[str, tuple[int, ...]], anchors: Tensor, salt: str) -> dict[str, Tensor]:
    """The public model's whole state dict, in its own names."""
    return {
        key: anchors.clone() if key.endswith("plan_anchor") else golden_tensor(key, shape, salt)
        for key, shape in shapes.items()
    }


def golden_model(anchors: Tensor, salt: str) -> PlannerModel:
    """Our base model with the golden weights, in evaluation state."""
    model = PlannerModel(base(), anchors)
    shapes = {reference_key(key): tuple(value.shape) for key, value in model.state_dict().items()}
    golden = golden_state(shapes, anchors, salt)
    model.load_state_dict({key: golden[reference_key(key)] for key in model.state_dict()}, strict=True)
    return model.eval()
