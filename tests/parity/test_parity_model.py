"""The network against arrays recorded from the public implementation, through the same code as tools/parity_model.py."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import parity_model  # noqa: E402
from golden_fill import golden_model, golden_state  # noqa: E402
from parity_model import Recorded, compare  # noqa: E402

from diffdrive.contracts import InputError  # noqa: E402
from diffdrive.model import PlannerModel  # noqa: E402
from diffdrive.model.checkpoint import import_reference, load_checkpoint, num_parameters, save_checkpoint  # noqa: E402
from diffdrive.model.reference_format import PREFIX, reference_key  # noqa: E402
from diffdrive.tensors import PlannerInputs  # noqa: E402

FILE = Path(__file__).parent / "data" / "reference_a.npz"


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    with np.load(FILE, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def model(recorded: Recorded) -> PlannerModel:
    return golden_model(torch.from_numpy(recorded["in/anchors"]), "a")


@pytest.mark.slow
def test_every_recorded_array_agrees(recorded: Recorded) -> None:
    rows = list(compare(recorded, "a"))
    compared = {row.name for row in rows}
    assert {name for name in recorded if name.startswith("eval/")} <= compared
    assert {f"train/{name}" for name in recorded["train/loss_names"]} <= compared
    assert [str(row) for row in rows if not row.agrees] == []


def test_the_public_model_has_its_known_size(model: PlannerModel) -> None:
    assert num_parameters(model) == 60_715_727
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert parts["backbone"] == 52_057_920
    assert parts["agent_head"] == 268_550
    assert parts["bev_head"] == 37_383
    assert parts["decoder"] == 4_950_658 - 320
    assert len(model.state_dict()) == 763


@pytest.mark.parametrize("change", [np.nan, 2e-4])
def test_one_wrong_value_is_enough_to_disagree(change: float) -> None:
    theirs = np.zeros((2, 3), np.float32)
    ours = torch.zeros(2, 3)
    assert parity_model._array("eval/x", ours, theirs).agrees
    ours[1, 2] = change
    assert not parity_model._array("eval/x", ours, theirs).agrees
    assert not parity_model._array("eval/x", torch.zeros(3, 2), theirs).agrees
    assert not parity_model._array("eval/x", None, theirs).agrees


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Removed at once: pytest would keep half a gigabyte of weights per run."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_public_checkpoint_imports_to_equal_outputs(recorded: Recorded, model: PlannerModel, scratch: Path) -> None:
    anchors = torch.from_numpy(recorded["in/anchors"])
    shapes = {reference_key(name): tuple(value.shape) for name, value in model.state_dict().items()}
    state = golden_state(shapes, anchors, "a")
    download = scratch / "public_checkpoint_without_extension"
    torch.save({"epoch": 99, "state_dict": {PREFIX + key: value for key, value in state.items()}}, download)

    imported = import_reference(download)
    save_checkpoint(scratch / "imported", imported, {"source": download.name})
    loaded = load_checkpoint(scratch / "imported")

    inputs = PlannerInputs(
        camera=torch.from_numpy(recorded["in/camera_uint8_hwc"][:1]).permute(0, 3, 1, 2) / 255.0,
        lidar=torch.from_numpy(recorded["in/lidar_count"][:1]) / 5.0,
        status=torch.from_numpy(recorded["in/status"][:1]),
    )
    with torch.no_grad():
        proposals = loaded(inputs, torch.from_numpy(recorded["in/noise"][:1]))
    for step, layers in enumerate(proposals.passes):
        for index, layer in enumerate(layers):
            for name in ("poses", "logits"):
                expected = torch.from_numpy(recorded[f"eval/step{step}/layer{index}/{name}"][:1])
                torch.testing.assert_close(getattr(layer, name), expected, rtol=0, atol=1e-4)

    del state["_trajectory_head.plan_anchor"]
    torch.save({"state_dict": {PREFIX + key: value for key, value in state.items()}}, download)
    with pytest.raises(InputError, match=r"1 missing \(_trajectory_head\.plan_anchor\)"):
        import_reference(download)
