"""Consecutive plans: which frames belong to a drive, where plans begin, and how far they agree."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from driven_plans import SPEED, arc
from encoded_views import NUM_VIEWS, write_views
from tiny_planner import TINY_PLANNER

from diffdrive.assets import LOGS
from diffdrive.diffusion import REFERENCE, noise_table
from diffdrive.model import PlannerModel, planner_config
from diffdrive.runtime.envelope import SelectionConfig, WarmStartConfig
from diffdrive.scene import DrivingCommand
from diffdrive.sources import Arrow123dSource
from diffdrive.training.encoded_scenes import EncodedScenes

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

from warm_start_drives import Frame, Way, drives_of, overlap_errors, plan_drives

WARM = WarmStartConfig(min_cold=2)
HALF_US = 500_000


def standing(first_row: int, count: int) -> list[Frame]:
    return [
        Frame(row=first_row + k, odometry_pose=np.zeros(3), stamp_us=k * HALF_US, command=DrivingCommand.LEFT)
        for k in range(count)
    ]


def tiny(**changes: object) -> PlannerModel:
    torch.manual_seed(0)
    anchors = torch.as_tensor(np.stack([arc(bend)[:, :2] for bend in (0.0, 0.05, -0.05, 0.1)]), dtype=torch.float32)
    return PlannerModel(planner_config("nano", {**TINY_PLANNER, **changes}), anchors)


def views(model: PlannerModel, folder: Path) -> EncodedScenes:
    write_views(folder / "views", model)
    return EncodedScenes.load(folder / "views")


def test_a_gap_begins_a_new_drive() -> None:
    source = Arrow123dSource(LOGS)
    log = source.tokens[0].rpartition("-")[0]
    tokens = [token for token in source.tokens if token.startswith(log)][:5]
    (whole,) = drives_of(source, tokens)
    assert [frame.row for frame in whole] == [0, 1, 2, 3, 4]
    parts = drives_of(source, tokens[:2] + tokens[3:])
    assert [[frame.row for frame in part] for part in parts] == [[0, 1], [2, 3]]


def test_plans_that_agree_have_no_error() -> None:
    anchors = np.stack([arc(0.0)[:, :2], arc(0.05)[:, :2]])
    frames = [
        Frame(row=k, odometry_pose=np.array([SPEED * 0.5 * k, 0.0, 0.0]), stamp_us=k * HALF_US, command=DrivingCommand.STRAIGHT)
        for k in range(3)
    ]
    errors, flips = overlap_errors(np.stack([arc(), arc(), arc(0.05)]), [frames], anchors)
    assert np.isnan(errors[0]) and np.isnan(flips[0])
    assert errors[1] == pytest.approx(0.0, abs=1e-9)
    assert errors[2] == pytest.approx(np.linalg.norm(arc(0.05)[:7, :2] - arc()[:7, :2], axis=-1).mean())
    assert flips[1:].tolist() == [0.0, 1.0]


def test_a_drive_begins_cold_and_goes_on_warm(tmp_path: Path) -> None:
    model = tiny()
    seen, drives = views(model, tmp_path), [standing(0, 6), standing(6, 6)]
    cold = plan_drives(model, seen, drives, Way(name="cold", jumps=REFERENCE))
    warm = plan_drives(model, seen, drives, Way(name="warm", jumps=REFERENCE, warm=WARM))
    assert not cold.is_warm.any()
    assert warm.is_warm.tolist() == [row % 6 > 0 for row in range(NUM_VIEWS)]
    np.testing.assert_allclose(cold.chosen[[0, 6]], warm.chosen[[0, 6]], atol=1e-6)
    assert np.abs(cold.chosen - warm.chosen).max() > 1e-3
    misplaced = plan_drives(model, seen, drives, Way(name="aside", jumps=REFERENCE, warm=WARM, error=(0.5, 0.0)))
    assert np.abs(misplaced.chosen - warm.chosen).max() > 1e-3
    held = plan_drives(model, seen, drives, Way(name="held", jumps=REFERENCE, selection=SelectionConfig(max_departure_m=50.0)))
    assert held.chosen.shape == cold.chosen.shape


def test_a_planner_that_begins_at_noise_takes_few_steps_when_warm(tmp_path: Path) -> None:
    model = tiny(decoder_kind="unet", prior="noise", num_train_levels=1000)
    seen = views(model, tmp_path)
    passes: list[int] = []
    model.decoder.register_forward_hook(lambda *_: passes.append(1))
    way = Way(name="warm", jumps=noise_table(2), cold_jumps=noise_table(5), warm=WARM)
    planned = plan_drives(model, seen, [standing(0, 4)], way)
    assert planned.is_warm[:4].tolist() == [False, True, True, True]
    assert len(passes) == 5 + 3 * 2
