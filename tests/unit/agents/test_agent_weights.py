"""Where an agent's network comes from, and what is said when it cannot be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffdrive_agents.weights import NetworkSource

from diffdrive.anchors import AnchorSet
from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.model import PlannerConfig, PlannerModel, base, nano


def agent_state(network: PlannerModel) -> dict[str, Any]:
    """What the devkit's Lightning module holds of an agent."""
    state: dict[str, Any] = {f"agent.network.{name}": value for name, value in network.state_dict().items()}
    return {**state, "agent._extra_state": {"planner": to_mapping(network.config)}}


def saved(state: dict[str, Any], path: Path) -> Path:
    torch.save({"state_dict": state, "epoch": 3}, path)
    return path


def test_the_shipped_planner_needs_no_path() -> None:
    source = NetworkSource(checkpoint=Path("nano"))
    assert (source.config.inputs, source.config.targets) == (nano().inputs, nano().targets)
    assert source.network().config == source.config


def test_a_folder_says_what_it_holds(tiny_checkpoint: Path, tiny_network: PlannerModel) -> None:
    source = NetworkSource(checkpoint=tiny_checkpoint)
    assert source.config == tiny_network.config
    assert all(torch.equal(value, tiny_network.state_dict()[name]) for name, value in source.network().state_dict().items())


def test_a_file_that_the_devkit_wrote_says_what_it_holds(tiny_network: PlannerModel, tmp_path: Path) -> None:
    source = NetworkSource(checkpoint=saved(agent_state(tiny_network), tmp_path / "last.ckpt"))
    assert source.config == tiny_network.config
    network = source.network()
    assert not network.training
    assert all(torch.equal(value, tiny_network.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_public_file_is_known_by_its_names(tmp_path: Path) -> None:
    source = NetworkSource(checkpoint=saved({"agent._transfuser_model.x": torch.zeros(1)}, tmp_path / "public"))
    assert source.config == base()


def test_a_new_network_stands_around_its_anchors(tiny_values: dict[str, Any], tiny_anchors: Path) -> None:
    source = NetworkSource(preset="nano", planner=tiny_values, anchors=tiny_anchors, seed=1)
    anchors = AnchorSet.load(tiny_anchors)
    assert source.config.normalizer.x_max_m == anchors.bounds.x_max_m
    state = torch.random.get_rng_state()
    one, two = source.network(), source.network()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.anchors, torch.from_numpy(anchors.points.copy()))
    assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())
    other = NetworkSource(preset="nano", planner=tiny_values, anchors=tiny_anchors, seed=2).network()
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_new_network_without_anchors_is_refused_when_it_is_made() -> None:
    source = NetworkSource(preset="nano")
    with pytest.raises(InputError, match="diffdrive anchors fit"):
        source.network()


def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'.*gone.ckpt' does not exist.*ships with diffdrive: nano"):
        NetworkSource(checkpoint=tmp_path / "gone.ckpt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint", "cannot be read as a checkpoint"),
        ({"epoch": 3}, "no 'state_dict'"),
        ({"state_dict": {"agent.other.weight": torch.zeros(1)}}, "neither the public DiffusionDrive checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match=rf"(?s)file\.ckpt.*{message}|'.*file\.ckpt' is {message}"):
        NetworkSource(checkpoint=path)


def test_another_network_than_described_is_refused(tiny_checkpoint: Path, tiny_values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"inputs\.camera_height is 32 there and 256 here.*agent\.preset=null"):
        NetworkSource(checkpoint=tiny_checkpoint, preset="base")
    with pytest.raises(InputError, match=r"dims is 32 there and 64 here \(1 values differ\)"):
        NetworkSource(checkpoint=tiny_checkpoint, preset="nano", planner={**tiny_values, "dims": 64})


def test_the_anchors_box_makes_no_other_network(tiny_checkpoint: Path, tiny_values: dict[str, Any], tiny_anchors: Path) -> None:
    source = NetworkSource(checkpoint=tiny_checkpoint, preset="nano", planner=tiny_values, anchors=tiny_anchors)
    assert source.config.normalizer == nano().normalizer


@pytest.mark.parametrize("broken", ["missing", "misshapen", "nan"])
def test_weights_load_completely_or_not_at_all(broken: str, tiny_network: PlannerModel, tmp_path: Path) -> None:
    state = agent_state(tiny_network)
    name = next(name for name, value in state.items() if name.endswith("weight") and value.ndim == 2)
    if broken == "missing":
        del state[name]
    else:
        state[name] = torch.zeros(1) if broken == "misshapen" else torch.full_like(state[name], torch.nan)
    source = NetworkSource(checkpoint=saved(state, tmp_path / "last.ckpt"))
    with pytest.raises(InputError, match=r"last\.ckpt.*(does not fit|not finite)"):
        source.network()


def test_overrides_without_a_preset_are_refused(tiny_checkpoint: Path, tiny_config: PlannerConfig) -> None:
    with pytest.raises(InputError, match="Set preset"):
        NetworkSource(checkpoint=tiny_checkpoint, planner={"dims": tiny_config.dims})
