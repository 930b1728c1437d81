"""The decoder for inference: what is the same in every pass is computed once per scene, what is the same in every scene once.

Exact rearrangements, beside the sparse sampling of ``sampling.py``:

- keys and values of the agents depend on the scene alone: one product for all layers, before the passes;
- attention to the single ego token returns that token's value whatever the query is: a vector per layer;
- the noise levels are known, so scale and shift of the modulation are constants; they join the affine part of the norm
  before them;
- only the last layer of the last pass needs headings and scores.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from diffdrive.diffusion import JumpTable
from diffdrive.model.config import PlannerConfig
from diffdrive.model.decoder import TrajectoryDecoder
from diffdrive.model.decoder.embeddings import BASE_PERIOD, PointEncoder
from diffdrive.model.decoder.layer import DecoderLayer
from diffdrive.model.inference.layers import JoinedLinear, attend, in_projection, split_heads
from diffdrive.model.inference.sampling import SparseSampling, pad_map, padding_of
from diffdrive.model.inference.stepping import Stepping


class DecoderMemory(NamedTuple):
    """What the passes read of a scene. L layers, h heads. None is what this decoder does not look at."""

    padded_bev: Tensor | None
    """[B, Hb + 2 pad, Wb + 2 pad, D]."""

    keys_values: Tensor | None
    """[2 L, B, h, A, D / h]: keys and values of the agents, layer by layer."""

    ego: Tensor | None
    """[L, B, 1, D] the ego branch's answer; of a decoder that is no cascade, the ego query itself."""


class InferenceDecoder(nn.Module):
    """All passes of ``jumps`` from noise to proposals. Always float32: it is small, and metres need it."""

    def __init__(self, decoder: TrajectoryDecoder, anchors: Tensor, config: PlannerConfig, jumps: JumpTable) -> None:
        super().__init__()
        layers = [cast(DecoderLayer, layer) for layer in decoder.layers]
        self.heads = config.heads
        self.stepping = Stepping(anchors, config, jumps)
        self.hands_on_features = config.hands_on_features
        self.points = Points(decoder.point_encoder)
        samplings = [layer.bev_sampling for layer in layers if layer.bev_sampling is not None]
        self.pad = padding_of(samplings[0]) if samplings else None
        looks = [layer.agent_attention for layer in layers if layer.agent_attention is not None]
        self.agents = JoinedLinear([in_projection(look, part) for look in looks for part in (1, 2)]) if looks else None
        egos = [layer.ego_attention for layer in layers if layer.ego_attention is not None]
        self.ego = JoinedLinear([_single_token_map(look) for look in egos]) if egos else None
        self.layers = nn.ModuleList(Layer(layer, config, answers_fully=layer is layers[-1]) for layer in layers)
        self.norms = nn.ModuleList(
            nn.ModuleList(_modulated_norm(decoder, layer, level) for layer in layers) for level, _ in jumps.jumps
        )

    def memory(self, bev: Tensor, ego_query: Tensor, agent_queries: Tensor) -> DecoderMemory:
        """From the BEV map [B, Hb, Wb, D] and the queries [B, 1, D] and [B, A, D]."""
        count = len(self.layers)
        padded = None if self.pad is None else pad_map(bev, self.pad)
        keys_values = None
        if self.agents is not None:
            parts = self.agents(agent_queries).chunk(2 * count, dim=-1)
            keys_values = torch.stack([split_heads(part, self.heads) for part in parts])
        ego = None if self.ego is None else torch.stack(self.ego(ego_query).chunk(count, dim=-1))
        return DecoderMemory(padded, keys_values, ego)

    def forward(self, memory: DecoderMemory, noise: Tensor) -> tuple[Tensor, Tensor]:
        """``noise`` [B, M, T, 2] to poses [B, M, T, 3] and logits [B, M]."""
        x_t = self.stepping.start(noise)
        for step, norms in enumerate(cast(list[nn.ModuleList], list(self.norms))):
            points = self.stepping.points(x_t)
            query = self.points(points)
            origins = self.stepping.origins(points)
            if origins is None:
                origins = points
            for index, layer in enumerate(cast(list[Layer], list(self.layers))):
                evidence = layer(query, points, memory, index, norms[index])
                if step == self.stepping.last and index == len(self.layers) - 1:
                    return layer.answer(evidence, origins)
                points = origins = origins + layer.offsets(evidence)
                if self.hands_on_features and index < len(self.layers) - 1:
                    query = evidence + self.points(points)
            x_t = self.stepping.next(x_t, points, step)
        raise RuntimeError("A jump table ends with a jump to clean.")  # JumpTable checks it


class Layer(nn.Module):
    """``DecoderLayer`` without what ``InferenceDecoder`` computed once. ``answers_fully``: with headings and scores."""

    def __init__(self, layer: DecoderLayer, config: PlannerConfig, *, answers_fully: bool) -> None:
        super().__init__()
        self.heads, self.num_poses = config.heads, config.targets.num_poses
        sampling, look = layer.bev_sampling, layer.agent_attention
        self.sampling = None if sampling is None else SparseSampling(sampling, config.bev_pixels)
        self.query = None if look is None else JoinedLinear([in_projection(look, 0)])
        self.output = None if look is None else copy.deepcopy(look.out_proj)
        self.agent_norm = copy.deepcopy(layer.agent_norm)
        self.ego_norm = copy.deepcopy(layer.ego_norm)
        self.ffn = copy.deepcopy(layer.ffn)
        *hidden, last = layer.head.regression.children()
        self.regression = nn.Sequential(*(copy.deepcopy(part) for part in hidden))
        weight, bias = cast(nn.Linear, last).weight, cast(nn.Linear, last).bias
        dims = weight.shape[1]
        xy = weight.reshape(self.num_poses, 3, dims)[:, :2].reshape(-1, dims), bias.reshape(-1, 3)[:, :2].reshape(-1)
        self.xy = JoinedLinear([xy])
        self.pose = JoinedLinear([(weight, bias)]) if answers_fully else None
        self.score = copy.deepcopy(layer.head.score) if answers_fully else None

    def forward(self, query: Tensor, points: Tensor, memory: DecoderMemory, index: int, norm: nn.Module) -> Tensor:
        """The evidence [B, M, D] for proposals at ``points`` [B, M, T, 2] metres; ``norm`` knows the noise level."""
        if self.sampling is not None:
            query = self.sampling(query, points, memory.padded_bev)
        if memory.keys_values is not None and self.query is not None and self.output is not None:
            keys, values = memory.keys_values[2 * index], memory.keys_values[2 * index + 1]
            looked = attend(split_heads(self.query(query), self.heads), keys, values)
            query = cast(nn.LayerNorm, self.agent_norm)(query + self.output(looked))
        if memory.ego is not None and self.ego_norm is not None:
            query = self.ego_norm(query + memory.ego[index])
        return cast(Tensor, norm(self.ffn(query)))

    def offsets(self, evidence: Tensor) -> Tensor:
        """[B, M, T, 2] metres: all that the next layer or pass needs."""
        return self.xy(self.regression(evidence)).unflatten(-1, (self.num_poses, 2))

    def answer(self, evidence: Tensor, origins: Tensor) -> tuple[Tensor, Tensor]:
        """Poses [B, M, T, 3] and logits [B, M]. Only for the last layer."""
        if self.pose is None or self.score is None:
            raise RuntimeError("Only the last layer was built to answer with headings and scores.")
        raw = self.pose(self.regression(evidence)).unflatten(-1, (self.num_poses, 3))
        poses = torch.cat((origins + raw[..., :2], torch.tanh(raw[..., 2:]) * math.pi), dim=-1)
        return poses, self.score(evidence)[..., 0]


class Points(nn.Module):
    """``PointEncoder`` with its periods as constants."""

    period: Tensor

    def __init__(self, encoder: PointEncoder) -> None:
        super().__init__()
        half = encoder.point_dims // 2
        index = torch.arange(0, half, 2, dtype=torch.float32)
        self.register_buffer("period", BASE_PERIOD ** (index / half))
        self.mlp = copy.deepcopy(encoder.mlp)

    def forward(self, points: Tensor) -> Tensor:
        """[B, M, T, 2] metres to [B, M, D]."""
        angle = points.flip(-1)[..., None] * (2.0 * math.pi) / self.period
        return cast(Tensor, self.mlp(torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-4)))


@torch.no_grad()
def _single_token_map(attention: nn.MultiheadAttention) -> tuple[Tensor, Tensor]:
    """Softmax over one key is 1, so attention is its value projection followed by its output projection."""
    weight, bias = (part.double() for part in in_projection(attention, 2))
    out_weight, out_bias = attention.out_proj.weight.double(), attention.out_proj.bias.double()
    return (out_weight @ weight).float(), (out_weight @ bias + out_bias).float()


@torch.no_grad()
def _modulated_norm(decoder: TrajectoryDecoder, layer: DecoderLayer, level: int) -> nn.LayerNorm:
    """``layer.ffn_norm`` followed by the modulation of one noise level, as one norm."""
    embedding = decoder.level_encoder(torch.tensor([level], device=layer.ffn_norm.weight.device))
    scale, shift = layer.modulation(embedding)[0, 0].double().chunk(2)
    norm = copy.deepcopy(layer.ffn_norm)
    norm.weight.copy_(norm.weight.double() * (1.0 + scale))
    norm.bias.copy_(norm.bias.double() * (1.0 + scale) + shift)
    return norm
