"""DiffusionDrive (arXiv 2411.15139): see the scene once, then denoise a fan of anchor trajectories in two passes.

The variants that it is compared with are fields of ``PlannerConfig``; they share ``encode`` and the loop below.

    camera, lidar, status --encode--> SceneFeatures --+
                                                      v
    anchors + noise --denormalise--> points --> decode --> one trajectory and one score per anchor
                          ^                        |
                          +------ sampler step <---+

The model is a function of tensors and noise. Losses live in ``training.objectives``, levels and jumps in ``diffusion``.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from diffdrive.contracts import InputError
from diffdrive.diffusion import CLEAN, JumpTable, step
from diffdrive.model.config import DecoderKind, PlannerConfig
from diffdrive.model.decoder import AnyDecoder, RegressionDecoder, TrajectoryDecoder, UNetDecoder
from diffdrive.model.heads import AgentHead, BevSemanticHead
from diffdrive.model.perception import FusionBackbone, SceneNeck
from diffdrive.model.scene_features import SceneFeatures
from diffdrive.tensors import LayerProposals, PlannerInputs, Proposals


class PlannerModel(nn.Module):
    """The whole network, sized by ``config``, around ``anchors`` [M, T, 2] (ego frame, metres).

    Raises ``InputError`` if the anchors do not fit the configuration.
    """

    anchors: Tensor

    def __init__(self, config: PlannerConfig, anchors: Tensor) -> None:
        super().__init__()
        _check_anchors(config, anchors)
        self.config = config
        self.register_buffer("anchors", anchors.detach().to(torch.float32).clone())
        self.backbone = FusionBackbone(config)
        self.neck = SceneNeck(config, fused_channels=self.backbone.fused_channels)
        self.agent_head = AgentHead(config)
        self.bev_head = BevSemanticHead(config)
        self.decoder = _decoder(config)
        if not config.reads_bev:
            # They stay, so that every variant has the same perception, but DDP waits for each weight that wants a gradient.
            for part in (self.neck.bev_projection, self.neck.bev_norm):
                part.requires_grad_(False)

    @property
    def matched_anchors(self) -> Tensor | None:
        """Anchors by which a proposal is matched with what was driven; None where every proposal imitates it."""
        return self.anchors if self.config.has_anchors else None

    def encode(self, inputs: PlannerInputs) -> SceneFeatures:
        """Everything that does not depend on the trajectories being denoised."""
        self._check_inputs(inputs)
        fused, fine_bev = self.backbone(inputs.camera, inputs.lidar)
        queries, bev = self.neck(fused, fine_bev, inputs.status)
        ego_query, agent_queries = queries[:, :1], queries[:, 1:]
        return SceneFeatures(
            ego_query=ego_query,
            agent_queries=agent_queries,
            bev=bev,
            agents=self.agent_head(agent_queries),
            bev_logits=self.bev_head(fine_bev),
        )

    def decode(self, features: SceneFeatures, points: Tensor, level: int | Tensor) -> tuple[LayerProposals, ...]:
        """Refine noisy ``points`` [B, M, T, 2] (metres) at noise ``level`` (one number, or [B]): one entry per layer."""
        config = self.config
        origins = self.anchors.expand_as(points) if config.offsets_from_anchors and config.has_anchors else None
        return cast(tuple[LayerProposals, ...], self.decoder(features, points, level, origins))

    def points(self, x_t: Tensor) -> Tensor:
        """[B, M, T, 2] metres of noisy box coordinates. What starts from anchors is held inside the box; pure noise is not."""
        return self.config.normalizer.denormalize(x_t.clamp(-1.0, 1.0) if self.config.has_anchors else x_t)

    def denoise(
        self, features: SceneFeatures, noise: Tensor, jumps: JumpTable | None = None
    ) -> tuple[tuple[LayerProposals, ...], ...]:
        """The passes of ``jumps`` (None: the model's own): one entry per pass, each with one entry per layer.

        They start from the noised anchors, or from ``noise`` alone. A regression takes one pass and reads neither.
        """
        config = self.config
        expected = (len(features.ego_query), *config.noise_shape)
        if tuple(noise.shape) != expected:
            raise InputError(f"noise must have shape {list(expected)} [B, M, T, 2], got {list(noise.shape)}.")
        if config.decoder_kind is DecoderKind.REGRESSION:
            return (self.decode(features, noise, 0),)
        table, schedule, normalizer = jumps or config.default_jumps, config.schedule, config.normalizer
        x_t = noise
        if config.has_anchors:
            x_t = schedule.add_noise(normalizer.normalize(self.anchors), noise, table.start_level)
        passes = []
        for from_level, to_level in table.jumps:
            layers = self.decode(features, self.points(x_t), from_level)
            passes.append(layers)
            if to_level != CLEAN:
                x0_hat = normalizer.normalize(layers[-1].poses[..., :2])
                x_t = step(x_t, x0_hat, from_level, to_level, schedule, clips_prediction=table.clips_prediction)
        return tuple(passes)

    def forward(self, inputs: PlannerInputs, noise: Tensor, jumps: JumpTable | None = None) -> Proposals:
        """Plan. ``noise`` [B, M, T, 2] is the only randomness: standard normal, drawn by the caller (zeros are fine too)."""
        features = self.encode(inputs)
        passes = self.denoise(features, noise, jumps)
        return Proposals(passes=passes, agents=features.agents, bev_logits=features.bev_logits)

    def _check_inputs(self, inputs: PlannerInputs) -> None:
        layout = self.config.inputs
        expected = {
            "camera": (3, layout.camera_height, layout.camera_width),
            "lidar": (1, layout.lidar_pixels, layout.lidar_pixels),
        }
        for name, shape in expected.items():
            given = tuple(getattr(inputs, name).shape[1:])
            if given != shape:
                raise InputError(
                    f"This model was built for {name} of shape {list(shape)}, got {list(given)}. "
                    f"Build the features from the model's own config.inputs."
                )


def _decoder(config: PlannerConfig) -> AnyDecoder:
    kinds: dict[DecoderKind, type[AnyDecoder]] = {
        DecoderKind.CASCADE: TrajectoryDecoder,
        DecoderKind.UNET: UNetDecoder,
        DecoderKind.REGRESSION: RegressionDecoder,
    }
    return kinds[config.decoder_kind](config)


def _check_anchors(config: PlannerConfig, anchors: Tensor) -> None:
    if tuple(anchors.shape) != config.anchor_shape:
        raise InputError(
            f"anchors must have shape {list(config.anchor_shape)} [num_modes, num_poses, 2], got {list(anchors.shape)}. "
            f"Fit anchors of that size with 'diffdrive anchors fit', or change num_modes or targets.num_poses of the config."
        )
    if not bool(torch.isfinite(anchors).all()):
        raise InputError("anchors must be finite, but some are NaN or infinite. Fit them again with 'diffdrive anchors fit'.")
