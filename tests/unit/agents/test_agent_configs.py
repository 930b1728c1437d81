"""The Hydra configurations: found in the package, of an agent that has all their arguments."""

from __future__ import annotations

import inspect
from importlib import resources
from types import ModuleType
from typing import Any

import pytest
import yaml
from diffdrive_agents.training import Recipe
from diffdrive_configs import navsim

NAMES = ("diffusiondrive", "diffusiondrive_nano", "diffusiondrive_public")


def config(name: str) -> dict[str, Any]:
    # As Hydra's pkg:// search path finds it: package diffdrive_configs.navsim, group agent.
    text = (resources.files(navsim) / "agent" / f"{name}.yaml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_an_argument_of_the_agent(name: str, navsim_agent: ModuleType) -> None:
    values = config(name)
    assert values["_target_"] == f"{navsim_agent.__name__}.DiffusionDriveAgent"
    arguments = inspect.signature(navsim_agent.DiffusionDriveAgent.__init__).parameters
    assert {key for key in values if not key.startswith("_")} <= set(arguments)
    Recipe.of(100, values.get("optimizer"), values.get("loss_weights"))


def test_nano_works_as_it_is(navsim_agent: ModuleType) -> None:
    values = {key: value for key, value in config("diffusiondrive_nano").items() if not key.startswith("_")}
    values = {**values, "epochs": 100, "trajectory_sampling": None}
    assert navsim_agent.DiffusionDriveAgent(**values).source.checkpoint.is_dir()


def test_base_is_ready_for_caching_without_weights(navsim_agent: ModuleType) -> None:
    values = {key: value for key, value in config("diffusiondrive").items() if not key.startswith("_")}
    agent = navsim_agent.DiffusionDriveAgent(**{**values, "epochs": 100, "trajectory_sampling": None})
    assert agent.get_feature_builders()[0].get_unique_name() == "transfuser_feature"


def test_all_are_tested() -> None:
    found = [each.name for each in (resources.files(navsim) / "agent").iterdir() if each.name.endswith(".yaml")]
    assert sorted(found) == sorted(f"{name}.yaml" for name in NAMES)
