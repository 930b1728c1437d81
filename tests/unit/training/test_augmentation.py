"""All augmentations together: nothing unasked, nothing but the generator's chance, bytes stay bytes."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
import torch
from packed_noise import packed_noise
from tiny_planner import TINY_PLANNER

from diffdrive.configuration import build
from diffdrive.contracts import InputError
from diffdrive.model import planner_config
from diffdrive.training.augmentation import augment
from diffdrive.training.augmentation.some_rows import with_rows_changed
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config import AugmentationConfig

LAYOUTS = planner_config("nano", TINY_PLANNER)
BATCH = packed_noise(8, LAYOUTS.inputs, LAYOUTS.targets)

ALWAYS: dict[str, dict[str, Any]] = {
    "mirror": {"mirror_probability": 1.0},
    "ego_jitter": {"ego_jitter": {"probability": 1.0}},
    "thinning": {"lidar_drop_out": {"thinning_probability": 1.0}},
    "cells": {"lidar_drop_out": {"cells_probability": 1.0}},
    "sector": {"lidar_drop_out": {"sector_probability": 1.0}},
    "colour": {"colour": {"probability": 1.0}},
    "cut_out": {"cut_out": {"probability": 1.0}},
}
EVERYTHING = {
    "mirror_probability": 0.5,
    "ego_jitter": {"probability": 0.5, "fill": "noise"},
    "lidar_drop_out": {"thinning_probability": 0.5, "cells_probability": 0.5, "sector_probability": 0.5},
    "colour": {"probability": 0.5},
    "cut_out": {"probability": 0.5},
}
CAMERA, LIDAR = {"camera"}, {"lidar"}
CHANGES = {
    # The world's rig is its own mirror image.
    "mirror": {"camera", "lidar", "status", "trajectory", "agent_states", "bev_semantic"},
    "ego_jitter": {"camera", "lidar", "status", "trajectory", "agent_states", "bev_semantic"},
    "thinning": LIDAR,
    "cells": LIDAR,
    "sector": LIDAR,
    "colour": CAMERA,
    "cut_out": CAMERA,
}


def run(values: dict[str, Any], seed: int = 0, batch: PackedBatch = BATCH) -> PackedBatch:
    return augment(batch, build(AugmentationConfig, values), LAYOUTS, torch.Generator().manual_seed(seed))


def columns(batch: PackedBatch) -> dict[str, torch.Tensor]:
    return {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}


def changed(one: PackedBatch, other: PackedBatch) -> set[str]:
    return {name for name, tensor in columns(one).items() if not torch.equal(tensor, columns(other)[name])}


def test_nothing_happens_unless_asked_for() -> None:
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    assert augment(BATCH, AugmentationConfig(), LAYOUTS, generator) is BATCH
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("name", sorted(ALWAYS))
def test_each_changes_its_own_columns_and_keeps_their_form(name: str) -> None:
    before = {key: tensor.clone() for key, tensor in columns(BATCH).items()}
    after = run(ALWAYS[name])
    assert changed(BATCH, after) == CHANGES[name]
    for key, tensor in columns(after).items():
        assert (tensor.dtype, tensor.shape) == (before[key].dtype, before[key].shape)
        assert torch.equal(columns(BATCH)[key], before[key]), "the batch itself is left alone"
    assert after.camera.is_contiguous()


def test_all_chance_comes_from_the_generator() -> None:
    torch.manual_seed(1)
    one = run(EVERYTHING, seed=5)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert not changed(one, run(EVERYTHING, seed=5))
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    assert changed(one, run(EVERYTHING, seed=6)) >= {"camera", "lidar", "trajectory"}


def test_mixed_precision_changes_nothing() -> None:
    plain = run(EVERYTHING)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not changed(plain, run(EVERYTHING))


def test_samples_that_are_not_drawn_stay_as_they_are() -> None:
    after = run({"ego_jitter": {"probability": 0.5}})
    same = (after.trajectory == BATCH.trajectory).all(dim=(1, 2))
    assert 0 < same.sum() < len(BATCH)
    for name, tensor in columns(after).items():
        assert torch.equal(tensor[same], columns(BATCH)[name][same]), name


def test_chosen_rows_alone_are_changed() -> None:
    def blacken(some: PackedBatch) -> PackedBatch:
        return replace(some, camera=torch.zeros_like(some.camera))

    after = with_rows_changed(BATCH, torch.tensor([1, 6]), blacken)
    black = after.camera.flatten(1).any(dim=1).logical_not().nonzero()[:, 0].tolist()
    assert black == [1, 6] and after.lidar is BATCH.lidar
    assert torch.equal(after.camera[[0, 2, 3, 4, 5, 7]], BATCH.camera[[0, 2, 3, 4, 5, 7]])


@pytest.mark.parametrize(
    "values",
    [
        {"mirror_probability": 1.5},
        {"colour": {"hue_deg": 90.0}},
        {"colour": {"brightness": float("nan")}},
        {"cut_out": {"min_side": 0.5, "max_side": 0.4}},
        {"cut_out": {"max_rectangles": 0}},
        {"lidar_drop_out": {"max_thinning": -0.1}},
        {"ego_jitter": {"max_yaw_deg": 30.0}},
        {"ego_jitter": {"max_left_m": 2.0}},
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"must (lie in|not exceed)"):
        build(AugmentationConfig, values)
