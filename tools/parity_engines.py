"""Compare engines with the plain one on the golden weights: all modes, both jump tables, base and the shipped nano.

    python tools/parity_engines.py reference_a.npz [--engines eager native compiled eager:bf16 ...]

Half precision is computed even where the processor has to emulate it, by the inference network itself. Exit status 0 when
every float32 engine is within 1e-4 (metres, radians, logits), 1 when one is not.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden_fill import golden_model
from parity_model import recorded_inputs

from diffdrive.assets import CHECKPOINTS
from diffdrive.diffusion import DDIM, REFERENCE, JumpTable
from diffdrive.model import PlannerModel
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.model.inference import InferenceModel
from diffdrive.runtime import EngineChoice, EngineOptions, Precision, make_engine
from diffdrive.tensors import PlannerInputs

TOLERANCE = 1e-4
DEFAULT = ("eager", "native", "eager:fp16", "eager:bf16")
NANO_SCENES = 2

Planned = tuple[Tensor, Tensor]
"""Poses [B, M, T, 3] and logits [B, M]."""


def plan(choice: EngineChoice, model: PlannerModel, jumps: JumpTable, inputs: PlannerInputs, noise: Tensor) -> Planned:
    """What an engine answers, batch by batch of one scene."""
    if choice.precision is not Precision.FLOAT32:
        network = InferenceModel(model, jumps, dtype=choice.precision.dtype)
        with torch.inference_mode():
            poses, logits = network(inputs.camera, inputs.lidar, inputs.status, noise)
        return poses, logits
    engine = make_engine(choice.name, copy.deepcopy(model), EngineOptions(jumps=jumps))
    engine.warm_up()
    if engine.degraded:
        raise SystemExit(f"{choice}: {engine.degraded}")
    answers = [engine.run(one, noise[[index]]) for index, one in enumerate(_scenes(inputs))]
    return torch.cat([each.poses.clone() for each in answers]), torch.cat([each.logits.clone() for each in answers])


def _scenes(inputs: PlannerInputs) -> list[PlannerInputs]:
    return [
        replace(inputs, camera=inputs.camera[[i]], lidar=inputs.lidar[[i]], status=inputs.status[[i]])
        for i in range(inputs.batch_size)
    ]


def _subjects(file: Path) -> dict[str, Callable[[], tuple[PlannerModel, PlannerInputs, Tensor]]]:
    with np.load(file, allow_pickle=False) as archive:
        recorded = {name: archive[name] for name in archive.files}

    def base() -> tuple[PlannerModel, PlannerInputs, Tensor]:
        model = golden_model(torch.from_numpy(recorded["in/anchors"]), "a").requires_grad_(False)
        return model, recorded_inputs(recorded), torch.from_numpy(recorded["in/noise"])

    def nano() -> tuple[PlannerModel, PlannerInputs, Tensor]:
        model = load_checkpoint(CHECKPOINTS / "nano").requires_grad_(False)
        generator, layout = torch.Generator().manual_seed(0), model.config.inputs
        inputs = PlannerInputs(
            camera=torch.rand(NANO_SCENES, 3, layout.camera_height, layout.camera_width, generator=generator),
            lidar=torch.rand(NANO_SCENES, 1, layout.lidar_pixels, layout.lidar_pixels, generator=generator),
            status=torch.rand(NANO_SCENES, 8, generator=generator),
        )
        return model, inputs, torch.randn(NANO_SCENES, *model.config.noise_shape, generator=generator)

    return {"base": base, "nano": nano}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="arrays recorded from the public implementation (.npz)")
    parser.add_argument("--engines", nargs="+", default=list(DEFAULT), metavar="NAME[:PRECISION]")
    arguments = parser.parse_args()
    disagree = 0
    for size, make in _subjects(arguments.file).items():
        model, inputs, noise = make()
        for table, jumps in {"reference": REFERENCE, "ddim": DDIM}.items():
            poses, logits = plan(EngineChoice("plain"), model, jumps, inputs, noise)
            for choice in map(EngineChoice.parse, arguments.engines):
                ours, our_logits = plan(choice, model, jumps, inputs, noise)
                gaps = [float((ours - poses)[..., :2].abs().max()), float((ours - poses)[..., 2].abs().max())]
                gaps.append(float((our_logits - logits).abs().max()))
                exact = choice.precision is Precision.FLOAT32
                agrees = not exact or max(gaps) <= TOLERANCE  # NaN disagrees
                disagree += not agrees
                verdict = ("ok  " if agrees else "FAIL") if exact else "half"
                print(f"{verdict} {size:5s}{table:10s}{choice!s:17s} {gaps[0]:.1e} m  {gaps[1]:.1e} rad  logit {gaps[2]:.1e}")
    return 1 if disagree else 0


if __name__ == "__main__":
    raise SystemExit(main())
