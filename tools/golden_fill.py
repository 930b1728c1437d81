"""Weights that anyone can rebuild from the names of the public model's parameters, for parity checks without a checkpoint.

    python tools/golden_fill.py FILE [--anchors tests/parity/data/reference_a.npz] [--salt a]

writes them as the public checkpoint is written. Every tensor is drawn from a generator seeded by the CRC of "<salt>:<key>",
so order does not matter and nothing is stored.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffdrive.files import written_aside
from diffdrive.model import PlannerModel, base
from diffdrive.model.reference_format import PREFIX, reference_key

RECORDING = Path(__file__).resolve().parents[1] / "tests" / "parity" / "data" / "reference_a.npz"


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


def write_public_checkpoint(path: Path, anchors: Tensor, salt: str) -> None:
    """A Lightning file with the golden weights under the public names, as the released checkpoint has them."""
    # Shapes alone are wanted, and drawing 60 million first weights takes seconds.
    with torch.device("meta"):
        model = PlannerModel(base(), anchors)
    shapes = {reference_key(key): tuple(value.shape) for key, value in model.state_dict().items()}
    state = golden_state(shapes, anchors, salt)
    with written_aside(path) as aside:
        torch.save({"epoch": 99, "state_dict": {PREFIX + key: value for key, value in state.items()}}, aside)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="to write, 243 MB")
    parser.add_argument(
        "--anchors", type=Path, default=RECORDING, help="recording whose anchors are taken (default: reference_a)"
    )
    parser.add_argument("--salt", default="a", help="of the weights (default: a)")
    args = parser.parse_args()
    with np.load(args.anchors, allow_pickle=False) as recorded:
        anchors = torch.from_numpy(recorded["in/anchors"])
    write_public_checkpoint(args.file, anchors, args.salt)
    return 0


if __name__ == "__main__":
    sys.exit(main())
