"""What a network begins with: a timm file, an exported planner, its perception, or random weights of the seed."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_planner import TINY_ENCODER, TINY_PLANNER

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, planner_config
from diffdrive.model.checkpoint import save_checkpoint
from diffdrive.model.perception.encoders import StagedEncoder
from diffdrive.torchvision_ops import declare_missing_ops
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import InitialConfig, TrainingConfig
from diffdrive.training.fit import planner_and_anchors
from diffdrive.training.initial import load_image_encoder, load_initial, new_network
from diffdrive.training.lightning_module import PlannerLightningModule

declare_missing_ops()

import timm  # noqa: E402

ENCODER = "backbone.image_encoder."


@pytest.fixture
def classifier() -> dict[str, torch.Tensor]:
    """As timm publishes them: the encoder's weights and a last layer for classes."""
    network = timm.create_model(TINY_ENCODER["name"], channels=TINY_ENCODER["channels"], stem_width=TINY_ENCODER["stem_width"])
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(tensor.shape, generator=generator) if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }


def network(seed: int = 0, **changes: Any) -> PlannerModel:
    config = planner_config("nano", {**TINY_PLANNER, **changes})
    torch.manual_seed(seed)
    return PlannerModel(config, torch.randn(config.anchor_shape))


def moved(model: PlannerModel, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def copied(model: PlannerModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin", "wrapped.pth", "uncounted.pth"])
def test_a_timm_file_fills_the_image_encoder_and_nothing_else(
    tmp_path: Path, classifier: dict[str, torch.Tensor], kind: str
) -> None:
    file = tmp_path / kind
    given = classifier
    if kind == "uncounted.pth":
        given = {name: tensor for name, tensor in classifier.items() if "num_batches" not in name}
    if kind.endswith("safetensors"):
        save_file(given, file)
    else:
        torch.save({"state_dict": given} if kind == "wrapped.pth" else given, file)
    model = network()
    before = copied(model)
    load_initial(model, InitialConfig(image_encoder=file))
    changed = moved(model, before)
    learnt = {name for name in before if name.startswith(ENCODER) and "num_batches" not in name}
    assert changed == learnt
    assert torch.equal(model.state_dict()[f"{ENCODER}stages.0.conv1.0.weight"], classifier["conv1.0.weight"])
    assert torch.equal(
        model.state_dict()[f"{ENCODER}stages.3.layer4.0.bn2.running_var"], classifier["layer4.0.bn2.running_var"]
    )


def test_the_base_model_takes_the_file_of_the_public_one() -> None:
    encoder = StagedEncoder(planner_config("base").image_encoder, in_channels=3)
    published = timm.create_model("resnet34", pretrained=False).state_dict()
    own = {name.split(".", 2)[2] for name in encoder.state_dict()}
    assert own == {name for name in published if not name.startswith("fc.")}


def test_files_that_do_not_fit_are_refused(tmp_path: Path, classifier: dict[str, torch.Tensor]) -> None:
    encoder = network().backbone.image_encoder
    with pytest.raises(InputError, match=r"does not exist.*huggingface\.co/timm/resnet34\.a1_in1k"):
        load_image_encoder(encoder, tmp_path / "absent.pth")
    broken: dict[str, Any] = {
        "layer4.0.bn2.weight is missing": {n: t for n, t in classifier.items() if n != "layer4.0.bn2.weight"},
        "layer5.weight is unknown": {**classifier, "layer5.weight": torch.zeros(1)},
        r"bn1.weight is \[3\] instead of": {**classifier, "bn1.weight": torch.zeros(3)},
        "bn1.weight is not finite": {**classifier, "bn1.weight": classifier["bn1.weight"] * torch.nan},
        "not a mapping of names to tensors": {"epoch": 3},
    }
    for message, state in broken.items():
        torch.save(state, tmp_path / "broken.pth")
        with pytest.raises(InputError, match=message):
            load_image_encoder(encoder, tmp_path / "broken.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"abc")
    with pytest.raises(InputError, match="cannot be read as weights"):
        load_image_encoder(encoder, tmp_path / "cut.safetensors")


def test_an_exported_planner_or_its_perception(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = network(seed=1, fusion_dropout=0.0)
    save_checkpoint(tmp_path, source)
    whole, perception = network(seed=2), network(seed=2)
    before = copied(whole)
    with caplog.at_level(logging.WARNING):
        load_initial(whole, InitialConfig(checkpoint=tmp_path))
    assert "other settings: planner.fusion_dropout" in caplog.text
    load_initial(perception, InitialConfig(perception=tmp_path))
    for name, tensor in source.state_dict().items():
        assert torch.equal(whole.state_dict()[name], before[name] if name == "anchors" else tensor), name
        is_kept = name == "anchors" or name.startswith("decoder.")
        assert torch.equal(perception.state_dict()[name], before[name] if is_kept else tensor), name
    with pytest.raises(InputError, match="does not fit this run's"):
        load_initial(network(dims=64), InitialConfig(perception=tmp_path))
    load_initial(network(decoder_layers=1), InitialConfig(perception=tmp_path))
    with pytest.raises(InputError, match="Leave only one"):
        InitialConfig(checkpoint=tmp_path, perception=tmp_path)


def test_a_run_that_goes_on_keeps_anchors_and_box(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path
) -> None:
    source = network(seed=1, normalizer={"x_min_m": -3.0, "x_max_m": 77.0})
    save_checkpoint(tmp_path / "exported", source)
    config = dataclasses.replace(tiny_config, initial=InitialConfig(checkpoint=tmp_path / "exported"))
    planner, anchors = planner_and_anchors(config, tiny_cache, torch.arange(9).numpy())
    module = PlannerLightningModule(config, planner, anchors, steps_per_epoch=4)
    assert torch.equal(module.model.anchors, source.anchors)
    assert module.planner.normalizer == source.config.normalizer
    assert module.average is not None
    for name, tensor in source.state_dict().items():
        assert torch.equal(module.average.state[name], tensor), "the average begins with the weights, not with random ones"
    assert not moved(module.model, source.state_dict())


def test_without_files_the_seed_decides(tiny_config: TrainingConfig) -> None:
    planner = planner_config("nano", TINY_PLANNER)
    anchors = torch.zeros(planner.anchor_shape)
    one, two = (new_network(tiny_config, planner, anchors).state_dict() for _ in range(2))
    other = new_network(dataclasses.replace(tiny_config, seed=1), planner, anchors).state_dict()
    name = "decoder.layers.0.ffn.0.weight"
    assert torch.equal(one[name], two[name]) and not torch.equal(one[name], other[name])
