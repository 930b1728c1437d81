"""Offsets from the anchors: the noise moves where the network looks, not where the answer starts."""

from __future__ import annotations

import dataclasses

import torch

from diffdrive.model import PlannerModel, planner_config
from diffdrive.tensors import PlannerInputs


def planner(is_anchored: bool) -> PlannerModel:
    torch.manual_seed(0)
    config = dataclasses.replace(planner_config("nano"), offsets_from_anchors=is_anchored)
    return PlannerModel(config, torch.randn(config.anchor_shape) * 5).eval()


def scene(model: PlannerModel) -> PlannerInputs:
    layout = model.config.inputs
    camera = torch.rand(1, 3, layout.camera_height, layout.camera_width)
    return PlannerInputs(
        camera=camera, lidar=torch.rand(1, 1, layout.lidar_pixels, layout.lidar_pixels), status=torch.rand(1, 8)
    )


@torch.no_grad()
def test_the_first_layer_starts_at_the_anchors_only_when_asked_to() -> None:
    for is_anchored in (True, False):
        model = planner(is_anchored)
        # Heads that answer zero show what their offsets are added to.
        for layer in model.decoder.layers:
            torch.nn.init.zeros_(layer.head.regression[-1].weight)
            torch.nn.init.zeros_(layer.head.regression[-1].bias)
        points = model.anchors[None] + 1.5
        for layer in model.decode(model.encode(scene(model)), points, 10):
            expected = model.anchors[None] if is_anchored else points
            torch.testing.assert_close(layer.poses[..., :2], expected)
