"""The neck for inference: queries that depend on nothing are constants, and the BEV projection works on the small map."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.inference.layers import (
    JoinedLinear,
    attend,
    in_projection,
    map_of,
    pair,
    pointwise,
    split_heads,
    tokens_of,
)
from diffdrive.model.perception.neck import SceneNeck


class InferenceNeck(nn.Module):
    """Coarse map, fine map and ego status to queries and the BEV map, as ``SceneNeck``."""

    position: Tensor
    first_query: Tensor

    def __init__(self, neck: SceneNeck) -> None:
        super().__init__()
        dims = neck.bev_norm.normalized_shape[0]
        self.lidar_grid = neck.lidar_grid
        self.dims = dims
        self.cell_projection = JoinedLinear([pointwise(neck.cell_projection)])
        self.status_projection = copy.deepcopy(neck.status_projection)
        self.register_buffer("position", neck.token_position.weight.detach().clone())
        layers = [cast(nn.TransformerDecoderLayer, layer) for layer in neck.layers]
        self.layers = nn.ModuleList(QueryLayer(layer, is_first=index == 0) for index, layer in enumerate(layers))
        # All layers read the same tokens: one product makes every layer's keys and values.
        attentions = [layer.multihead_attn for layer in layers]
        self.keys_values = JoinedLinear([in_projection(attention, part) for attention in attentions for part in (1, 2)])
        self.register_buffer("first_query", _first_query(neck, layers[0]))
        weight, bias = pair(neck.bev_projection)
        # A linear map and a bilinear interpolation commute, because the interpolation's weights sum to one.
        self.coarse_projection = JoinedLinear([(weight[:, :dims], torch.zeros_like(bias))])
        self.fine_projection = JoinedLinear([(weight[:, dims:], bias)])
        self.bev_norm = copy.deepcopy(neck.bev_norm)

    def forward(self, fused: Tensor, fine_bev: Tensor, status: Tensor) -> tuple[Tensor, Tensor]:
        """Queries [B, 1 + A, D] (ego first) and the BEV map [B, Hb, Wb, D]: channels last, as it is sampled."""
        cells = self.cell_projection(tokens_of(fused))
        tokens = torch.cat((cells, self.status_projection(status)[:, None]), dim=1) + self.position
        keys_values = self.keys_values(tokens).chunk(2 * len(self.layers), dim=-1)
        queries = self.first_query.expand(len(status), -1, -1)
        for index, layer in enumerate(self.layers):
            queries = layer(queries, keys_values[2 * index], keys_values[2 * index + 1])
        return queries, self._bev(tokens[:, :-1], fine_bev)

    def _bev(self, cells: Tensor, fine_bev: Tensor) -> Tensor:
        coarse = map_of(self.coarse_projection(cells), self.lidar_grid)
        coarse = F.interpolate(coarse, size=fine_bev.shape[-2:], mode="bilinear", align_corners=False)
        joined = self.fine_projection(fine_bev.permute(0, 2, 3, 1)).add_(coarse.permute(0, 2, 3, 1))
        return self.bev_norm(joined.relu_())


class QueryLayer(nn.Module):
    """A post-norm transformer decoder layer whose keys and values of the memory are given.

    The first layer's self-attention sees constants only; its result is what it is given.
    """

    def __init__(self, layer: nn.TransformerDecoderLayer, *, is_first: bool) -> None:
        super().__init__()
        self.heads = layer.multihead_attn.num_heads
        self.is_first = is_first
        if not is_first:
            attention = layer.self_attn
            self.query_key_value = JoinedLinear([in_projection(attention, part) for part in range(3)])
            self.self_output = copy.deepcopy(attention.out_proj)
            self.self_norm = copy.deepcopy(layer.norm1)
        self.query = JoinedLinear([in_projection(layer.multihead_attn, 0)])
        self.output = copy.deepcopy(layer.multihead_attn.out_proj)
        self.norm = copy.deepcopy(layer.norm2)
        self.up, self.down = copy.deepcopy(layer.linear1), copy.deepcopy(layer.linear2)
        self.last_norm = copy.deepcopy(layer.norm3)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """[B, 1 + A, D] against keys and values [B, N, D]."""
        if not self.is_first:
            own = (split_heads(part, self.heads) for part in self.query_key_value(queries).chunk(3, dim=-1))
            queries = self.self_norm(queries + self.self_output(attend(*own)))
        looked = attend(*(split_heads(part, self.heads) for part in (self.query(queries), keys, values)))
        queries = self.norm(queries + self.output(looked))
        return self.last_norm(queries + self.down(F.relu(self.up(queries))))


@torch.no_grad()
def _first_query(neck: SceneNeck, layer: nn.TransformerDecoderLayer) -> Tensor:
    """[1, 1 + A, D] the queries after the first layer's self-attention and its norm."""
    queries = neck.queries.weight[None]
    return layer.norm1(queries + layer.self_attn(queries, queries, queries, need_weights=False)[0])
