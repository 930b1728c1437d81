"""Feature dictionaries, and the names under which they are cached."""

from __future__ import annotations

from dataclasses import replace

import navsim_stand_ins as stand_ins
import pytest
import torch
from diffdrive_agents.features import feature_cache_name, features_of, inputs_of
from diffdrive_agents.observation import observation_of
from diffdrive_agents.targets import target_cache_name

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.model import PlannerConfig, nano
from diffdrive.tensors import InputLayout, TargetLayout


def test_features_have_the_public_names_and_types() -> None:
    features = features_of(build_inputs(observation_of(stand_ins.agent_input()), nano().inputs))
    assert {name: (tuple(value.shape), value.dtype) for name, value in features.items()} == {
        "camera_feature": ((3, 96, 384), torch.float32),
        "lidar_feature": ((1, 128, 128), torch.float32),
        "status_feature": ((8,), torch.float32),
    }
    assert features["status_feature"].tolist() == pytest.approx([0, 0, 1, 0, 6.0, 0.1, 0.2, -0.3])


def test_a_batch_of_features_is_what_they_were_made_of(tiny_config: PlannerConfig) -> None:
    inputs = [build_inputs(observation_of(stand_ins.agent_input(seed)), tiny_config.inputs) for seed in (0, 1)]
    dictionaries = [features_of(each) for each in inputs]
    batch = inputs_of({name: torch.stack([each[name] for each in dictionaries]) for name in dictionaries[0]})
    assert torch.equal(batch.camera, torch.cat([each.camera for each in inputs]))
    assert torch.equal(batch.lidar, torch.cat([each.lidar for each in inputs]))
    assert torch.equal(batch.status, torch.cat([each.status for each in inputs]))


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(InputError, match=r"no 'lidar_feature' \(they have: camera_feature, status_feature\)"):
        inputs_of({"camera_feature": torch.zeros(1, 3, 32, 128), "status_feature": torch.zeros(1, 8)})


def test_the_public_layout_shares_the_public_cache() -> None:
    assert feature_cache_name(InputLayout()) == "transfuser_feature"
    assert target_cache_name(TargetLayout()) == "transfuser_target"


def test_every_other_layout_has_a_cache_of_its_own() -> None:
    features = [
        replace(InputLayout(), camera_height=96, camera_width=384),
        replace(InputLayout(), lidar_pixels=128),
        replace(InputLayout(), lidar_min_height_m=0.3),
        replace(InputLayout(), lidar_max_count=6),
    ]
    targets = [replace(TargetLayout(), num_agents=31), replace(TargetLayout(), bev_pixel_m=0.5), nano().targets]
    names = [*map(feature_cache_name, [InputLayout(), *features]), *map(target_cache_name, [TargetLayout(), *targets])]
    assert len(set(names)) == len(names)
    # Names must last: a cache is used for months.
    assert feature_cache_name(nano().inputs) == "diffdrive_feature_c5e002cad496"
    assert target_cache_name(nano().targets) == "diffdrive_target_e7fbd94e5d9e"
