import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, planner_config
from diffdrive.model.checkpoint import import_reference, load_checkpoint, load_metadata, num_parameters, save_checkpoint

CONFIG = planner_config("nano", {"normalizer": {"x_max_m": 60.0}}, ["num_modes=3", "query_layers=1", "fusion_layers=1"])


@pytest.fixture(scope="module")
def model() -> PlannerModel:
    torch.manual_seed(0)
    return PlannerModel(CONFIG, 40 * torch.rand(CONFIG.anchor_shape, generator=torch.Generator().manual_seed(1))).eval()


@pytest.fixture
def folder(tmp_path: Path, model: PlannerModel) -> Path:
    save_checkpoint(tmp_path / "saved", model, {"note": "made for a test", "steps": 3})
    return tmp_path / "saved"


def _rewrite_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_saved_model_comes_back_whole(folder: Path, model: PlannerModel) -> None:
    loaded = load_checkpoint(folder)
    assert loaded.config == CONFIG
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert load_metadata(folder) == {"note": "made for a test", "steps": 3}


def test_half_precision_halves_the_file_and_keeps_anchors(folder: Path, model: PlannerModel) -> None:
    half = folder.parent / "half"
    save_checkpoint(half, model, {}, half=True)
    sizes = [(each / "model.safetensors").stat().st_size for each in (half, folder)]
    assert sizes[0] < 0.55 * sizes[1]
    loaded = load_checkpoint(half)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.anchors, model.anchors)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-3, atol=1e-6)


def test_saving_again_replaces_the_pair_and_leaves_other_files(folder: Path, model: PlannerModel) -> None:
    (folder / "metrics.json").write_text("{}")
    save_checkpoint(folder, model, {"steps": 4})
    assert load_metadata(folder) == {"steps": 4}
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "metrics.json", "model.safetensors"]


def test_a_diverged_model_replaces_nothing(folder: Path) -> None:
    broken = PlannerModel(CONFIG, torch.zeros(CONFIG.anchor_shape))
    with torch.no_grad():
        broken.agent_head.label.bias.fill_(1e6)
        with pytest.raises(InputError, match=r"agent_head\.label\.bias.*not finite in torch\.float16"):
            save_checkpoint(folder, broken, {}, half=True)
    assert load_metadata(folder)["steps"] == 3
    assert len(list(folder.iterdir())) == 2


def test_missing_extra_and_misshapen_weights_are_named(folder: Path) -> None:
    file = folder / "model.safetensors"
    state = load_file(file)
    cases = {
        "1 missing.*anchors": {name: value for name, value in state.items() if name != "anchors"},
        "1 unknown.*extra_weight": {**state, "extra_weight": torch.zeros(1)},
        r"agent_head\.label\.bias \[2\] instead of \[1\]": {**state, "agent_head.label.bias": torch.zeros(2)},
        "not finite.*anchors": {**state, "anchors": state["anchors"] * float("nan")},
    }
    for message, changed in cases.items():
        save_file(changed, file)
        with pytest.raises(InputError, match=message):
            load_checkpoint(folder)


def test_broken_checkpoint_files_say_what_is_wrong(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        load_checkpoint(folder)
    _rewrite_config(folder, format=99)
    with pytest.raises(InputError, match="must have format 1, got 99"):
        load_checkpoint(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_checkpoint(folder)
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(folder.parent)


def test_an_unknown_key_in_a_checkpoint_config_is_an_error(folder: Path) -> None:
    planner = json.loads((folder / "config.json").read_text())["planner"]
    _rewrite_config(folder, planner={**planner, "num_mode": 3})
    with pytest.raises(InputError, match="Did you mean 'num_modes'"):
        load_checkpoint(folder)


def test_files_that_are_not_the_public_checkpoint_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "download"
    with pytest.raises(InputError, match="does not exist"):
        import_reference(file)
    file.write_bytes(b"an error page")
    with pytest.raises(InputError, match="cannot be read"):
        import_reference(file)
    torch.save({"weights": 1}, file)
    with pytest.raises(InputError, match="no 'state_dict'"):
        import_reference(file)
    torch.save({"state_dict": {"model.weight": torch.zeros(1)}}, file)
    with pytest.raises(InputError, match=r"under 'agent\._transfuser_model\.', got model\.weight"):
        import_reference(file)
    torch.save({"state_dict": {"agent._transfuser_model._trajectory_head.plan_anchor": torch.zeros(20, 8, 2)}}, file)
    with pytest.raises(InputError, match="762 missing"):
        import_reference(file)


def test_parameters_include_the_anchors(model: PlannerModel) -> None:
    assert num_parameters(model) == sum(p.numel() for p in model.parameters()) + 3 * 8 * 2
