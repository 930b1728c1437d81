"""The jittered ego frame against the world itself: the ego put elsewhere, its sensors rendered and features built anew."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from moved_scene import moved_scene
from torch import Tensor

from diffdrive.assets import LOGS
from diffdrive.features.targets import build_bev_semantic
from diffdrive.geometry import to_world
from diffdrive.model import planner_config
from diffdrive.scene import Scene
from diffdrive.tensors import BEV_IGNORED
from diffdrive.training.augmentation.ego_jitter import in_frame
from diffdrive.training.augmentation.frame_change import FrameChange
from diffdrive.training.augmentation.stitched_view import seen_from
from diffdrive.training.cache import PackedBatch, pack
from diffdrive.training.config.augmentation import Fill
from diffdrive.world.conditions import conditions_of
from diffdrive.world.render.studio import Studio, sweep_errors
from diffdrive.world.source import WorldSource

pytest.importorskip("shapely")
pytest.importorskip("embreex")
pytest.importorskip("py123d")

LOG, ROWS = "town9001-log05", (1, 8)
"""Two scenes of a drive in fine weather: drops on the lens do not turn with the world."""

FRAMES = ((0.0, 0.0, 6.0), (0.3, -0.3, -3.0))
"""Forward and left in metres, yaw in degrees."""

LAYOUTS = planner_config("nano")
FINE = planner_config("base").targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    frame: np.ndarray
    scene: Scene
    rebuilt_scene: Scene
    before: PackedBatch
    rebuilt: PackedBatch
    jittered: PackedBatch

    @property
    def change(self) -> FrameChange:
        forward, left, yaw = (torch.tensor([value], dtype=torch.float64) for value in self.frame)
        return FrameChange.of(forward, left, yaw, torch.device("cpu"))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    source, studio = WorldSource(LOGS, logs=[LOG]), Studio()

    def shot(scene: Scene, token: str) -> Scene:
        made = studio.shoot(source.town(token), scene, sweep_errors(scene), conditions=conditions_of(scene.log_name))
        return replace(scene, observation=replace(scene.observation, cameras=made.cameras, lidar=made.lidar))

    found = []
    for token in (source.tokens[row] for row in ROWS):
        scene = source.load(token, sensors=False)
        before = pack(shot(scene, token), LAYOUTS.inputs, LAYOUTS.targets)
        for forward, left, degrees in FRAMES:
            frame = np.array([forward, left, np.deg2rad(degrees)])
            moved = moved_scene(scene, frame)
            rebuilt = pack(shot(moved, token), LAYOUTS.inputs, LAYOUTS.targets)
            case = Case(frame=frame, scene=scene, rebuilt_scene=moved, before=before, rebuilt=rebuilt, jittered=before)
            made = in_frame(before, case.change, LAYOUTS.inputs, LAYOUTS.targets, fill=Fill.MEAN, generator=torch.Generator())
            found.append(replace(case, jittered=made))
    return found


def test_motion_and_trajectory_are_exact(cases: list[Case]) -> None:
    for case in cases:
        torch.testing.assert_close(case.jittered.trajectory, case.rebuilt.trajectory, atol=1e-5, rtol=0)
        torch.testing.assert_close(case.jittered.status, case.rebuilt.status, atol=1e-5, rtol=0)
        assert (case.before.trajectory - case.rebuilt.trajectory).abs().max() > 0.05


def test_boxes_are_exact_but_for_vehicles_that_come_into_range(cases: list[Case]) -> None:
    kept = 0
    for case in cases:
        states, labels = case.jittered.agent_states[0], case.jittered.agent_labels[0]
        expected = case.rebuilt.agent_states[0][case.rebuilt.agent_labels[0]]
        old = torch.from_numpy(to_world(expected[:, :3].numpy(), case.frame))
        was_known = (old[:, :2].abs() <= LAYOUTS.targets.agent_range_m).all(dim=1)
        torch.testing.assert_close(states[labels], expected[was_known], atol=1e-5, rtol=0)
        assert (states[~labels] == 0).all()
        kept += int(labels.sum())
    assert kept > 8


def test_the_map_is_the_map_of_the_moved_frame(cases: list[Case]) -> None:
    for case in cases:
        coarse = agreement(case.jittered.bev_semantic[0], case.rebuilt.bev_semantic[0])
        old, new = (build_bev_semantic(scene, FINE).to(torch.uint8) for scene in (case.scene, case.rebuilt_scene))
        half_width = FINE.bev_columns / 2 * FINE.bev_pixel_m
        made = case.change.grid(old[None, None], first_m=(0.0, -half_width), cell_m=FINE.bev_pixel_m, unseen=BEV_IGNORED)
        fine = agreement(made[0, 0], new)
        # What differs lies on borders: twice the cell, twice the share.
        assert coarse > 0.945 and fine > 0.97, (coarse, fine)
        assert agreement(case.before.bev_semantic[0], case.rebuilt.bev_semantic[0]) < coarse - 0.05
        assert (case.jittered.bev_semantic == BEV_IGNORED).float().mean() < 0.1


def test_the_sweep_is_much_the_sweep_of_the_moved_frame(cases: list[Case]) -> None:
    for case in cases:
        now, before = (correlation(batch.lidar, case.rebuilt.lidar) for batch in (case.jittered, case.before))
        assert now > 0.75 and now > before + 0.2, (now, before)
        # Walls stay as thin as sensors see them.
        share = (case.jittered.lidar > 0).sum() / (case.rebuilt.lidar > 0).sum()
        assert 0.9 < share < 1.05


def test_the_picture_is_nearly_the_picture_of_the_moved_frame(cases: list[Case]) -> None:
    for case in cases:
        _, seen = seen_from(case.before.camera, case.before.rig, case.change)
        now, before = (error(batch.camera, case.rebuilt.camera)[seen].mean() for batch in (case.jittered, case.before))
        assert now < 0.35 * before, (now, before)
        assert seen.float().mean() > 0.8


def error(picture: Tensor, expected: Tensor) -> Tensor:
    return (picture.float() - expected.float()).abs().mean(dim=-1)


def agreement(classes: Tensor, expected: Tensor) -> float:
    known = classes != BEV_IGNORED
    return float((classes == expected)[known].float().mean())


def correlation(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1])
