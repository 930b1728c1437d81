"""The inference network at the public model's size, with the golden weights: against the recording and the training network."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

from golden_fill import golden_model  # noqa: E402
from parity_model import Recorded, recorded_inputs  # noqa: E402

from diffdrive.diffusion import DDIM, REFERENCE, JumpTable  # noqa: E402
from diffdrive.model import PlannerModel  # noqa: E402
from diffdrive.model.inference import InferenceModel  # noqa: E402
from diffdrive.runtime import EngineOptions, make_engine  # noqa: E402
from diffdrive.tensors import Proposals  # noqa: E402

FILE = Path(__file__).parent / "data" / "reference_a.npz"
TOLERANCE = 1e-4  # metres, radians, and logits


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    with np.load(FILE, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def model(recorded: Recorded) -> PlannerModel:
    return golden_model(torch.from_numpy(recorded["in/anchors"]), "a").requires_grad_(False)


def plan(model: PlannerModel, recorded: Recorded, engine: str, jumps: JumpTable) -> Proposals:
    made = make_engine(engine, model, EngineOptions(jumps=jumps))
    return made.run(recorded_inputs(recorded), torch.from_numpy(recorded["in/noise"]))


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_all_modes_equal_the_public_models(recorded: Recorded, model: PlannerModel, engine: str) -> None:
    if engine == "native" and shutil.which("g++") is None:
        pytest.skip("there is no g++ to compile the native kernels with")
    given = plan(model, recorded, engine, REFERENCE)
    np.testing.assert_allclose(given.poses.numpy(), recorded["eval/step1/layer1/poses"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(given.logits.numpy(), recorded["eval/step1/layer1/logits"], rtol=0, atol=TOLERANCE)


def test_all_modes_equal_the_training_network_with_the_other_jumps(recorded: Recorded, model: PlannerModel) -> None:
    expected, given = (plan(model, recorded, engine, DDIM) for engine in ("plain", "eager"))
    torch.testing.assert_close(given.poses, expected.poses, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(given.logits, expected.logits, rtol=0, atol=TOLERANCE)


@pytest.mark.slow  # this processor may have to emulate half precision
@pytest.mark.parametrize(("dtype", "allowed_m"), [(torch.bfloat16, 0.02), (torch.float16, 0.005)])
def test_half_precision_moves_no_mode_by_more_than_is_stated(
    recorded: Recorded, model: PlannerModel, dtype: torch.dtype, allowed_m: float
) -> None:
    network = InferenceModel(model, REFERENCE, dtype=dtype)
    inputs = recorded_inputs(recorded)
    with torch.inference_mode():
        poses, _ = network(inputs.camera, inputs.lidar, inputs.status, torch.from_numpy(recorded["in/noise"]))
    difference = np.abs(poses.numpy() - recorded["eval/step1/layer1/poses"])[..., :2].max()
    assert 1e-4 < difference <= allowed_m
