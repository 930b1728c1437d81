"""A network that exports in seconds, requests for it, and how far two answers are apart."""

from __future__ import annotations

import torch

from diffdrive.diffusion import CLEAN, JumpTable
from diffdrive.model import PlannerConfig, PlannerModel
from diffdrive.model.config import EncoderConfig
from diffdrive.runtime import EngineOptions, EngineSpec
from diffdrive.tensors import InputLayout, PlannerInputs, Proposals, TargetLayout

ONE_PASS = JumpTable(start_level=8, jumps=((0, CLEAN),), clips_prediction=False)
OPTIONS = EngineOptions(jumps=ONE_PASS, batch_size=2, wants_agents=True, wants_bev=True)


def tiny() -> PlannerConfig:
    """Every part of the network once, as small as it can be."""
    encoder = EncoderConfig(name="resnet10t", channels=(8, 8, 16, 16), stem_width=4)
    return PlannerConfig(
        inputs=InputLayout(camera_height=32, camera_width=128, lidar_pixels=32),
        targets=TargetLayout(num_poses=4, num_agents=3, bev_rows=8, bev_columns=16, bev_pixel_m=4.0),
        num_modes=5,
        image_encoder=encoder,
        lidar_encoder=encoder,
        fusion_layers=1,
        bev_channels=8,
        dims=32,
        heads=2,
        ffn_dims=32,
        query_layers=1,
        decoder_layers=1,
        point_dims=8,
    )


def model_of(config: PlannerConfig, seed: int = 0) -> PlannerModel:
    """Random weights around anchors that drive straight at different speeds."""
    torch.manual_seed(seed)
    anchors = torch.zeros(config.anchor_shape)
    speeds, times = torch.arange(1.0, config.num_modes + 1), torch.arange(1.0, config.targets.num_poses + 1)
    anchors[..., 0] = speeds[:, None] * times * 0.25
    return PlannerModel(config, anchors)


def request(spec: EngineSpec, seed: int, batch: int = 1) -> tuple[PlannerInputs, torch.Tensor]:
    """Inputs and noise for an engine of ``spec``."""
    generator = torch.Generator().manual_seed(seed)
    layout = spec.inputs
    inputs = PlannerInputs(
        camera=torch.rand(batch, 3, layout.camera_height, layout.camera_width, generator=generator),
        lidar=torch.rand(batch, 1, layout.lidar_pixels, layout.lidar_pixels, generator=generator),
        status=torch.randn(batch, 8, generator=generator),
    )
    return inputs, torch.randn(batch, spec.num_modes, spec.num_poses, 2, generator=generator)


def largest_difference(one: Proposals, other: Proposals) -> float:
    """Over poses and logits of all modes, and over the heads where both have them."""
    pairs = [(one.poses, other.poses), (one.logits, other.logits)]
    if one.agents is not None and other.agents is not None:
        pairs += [(one.agents.states, other.agents.states), (one.agents.logits, other.agents.logits)]
    if one.bev_logits is not None and other.bev_logits is not None:
        pairs.append((one.bev_logits, other.bev_logits))
    return max(float((a - b).abs().max()) for a, b in pairs)
