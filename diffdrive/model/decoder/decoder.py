"""The cascade: every layer refines the points that the layer before it proposed."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from diffdrive.contracts import InputError
from diffdrive.model.config import PlannerConfig
from diffdrive.model.decoder.embeddings import LevelEncoder, PointEncoder
from diffdrive.model.decoder.layer import DecoderLayer
from diffdrive.model.scene_features import SceneFeatures
from diffdrive.tensors import LayerProposals


class TrajectoryDecoder(nn.Module):
    """Denoise points in one pass. The same function serves every noise level and any number of proposals."""

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        self.num_poses = config.targets.num_poses
        self.hands_on_features = config.hands_on_features
        self.point_encoder = PointEncoder(self.num_poses, config.point_dims, config.dims)
        self.level_encoder = LevelEncoder(config.dims)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))

    def forward(
        self, features: SceneFeatures, points: Tensor, level: int | Tensor, origins: Tensor | None = None
    ) -> tuple[LayerProposals, ...]:
        """``points`` [B, M, T, 2] metres; ``level`` one number or [B]. One entry per layer, the last is the best refined.

        The first layer adds its offsets to ``origins`` (as ``points``; None: to the points), the next to what it proposed.
        Only points travel down the cascade, without gradients, and every layer starts from the same query. With
        ``hands_on_features`` a layer starts from the evidence of the one before, plus the refined points' embedding:
        what was learnt of a proposal, and where it is now (Zhu et al. 2021, as in iterative box refinement).
        """
        if points.ndim != 4 or tuple(points.shape[2:]) != (self.num_poses, 2):
            raise InputError(f"points must have axes [B, M, {self.num_poses}, 2], got shape {list(points.shape)}.")
        if isinstance(level, int):
            level = torch.full((len(points),), level, device=points.device)
        level_embedding = self.level_encoder(level)
        query = self.point_encoder(points)
        origins = points if origins is None else origins
        proposals = []
        for index, layer in enumerate(cast(list[DecoderLayer], list(self.layers))):
            evidence = layer(query, points, level_embedding, features)
            proposals.append(layer.head(evidence, origins))
            points = origins = proposals[-1].poses[..., :2].detach()
            if self.hands_on_features and index < len(self.layers) - 1:
                query = evidence + self.point_encoder(points)
        return tuple(proposals)
