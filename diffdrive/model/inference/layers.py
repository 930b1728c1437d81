"""Building blocks: a convolution that carries its batch norm, and linear maps joined into one matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvLayer(nn.Module):
    """Convolution, then an optional addition, then an optional ReLU. Weights are constants, channels last.

    A batch norm in evaluation state is a scale and a shift per channel, so it is folded into the weights (in float64: the
    folded weights are then as exact as float32 can hold).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None, *, relu: bool) -> None:
        super().__init__()
        self.stride = (int(conv.stride[0]), int(conv.stride[1]))
        self.padding = (int(conv.padding[0]), int(conv.padding[1]))
        self.relu = relu
        weight, bias = folded(conv, norm)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """[B, C, H, W] to [B, C', H', W'], plus ``added`` of that shape."""
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        if added is not None:
            y = y.add_(added)
        return y.relu_() if self.relu else y


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``conv`` followed by ``norm``, in the weight's own type."""
    dtype = conv.weight.dtype
    weight = conv.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().double()
    if norm is not None and norm.running_mean is not None and norm.running_var is not None:
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = weight * scale[:, None, None, None]
        bias = (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()
    return weight.to(dtype), bias.to(dtype)


class JoinedLinear(nn.Module):
    """Several linear maps of the same input as one matrix product."""

    weight: Tensor
    bias: Tensor

    def __init__(self, maps: Sequence[tuple[Tensor, Tensor]]) -> None:
        """``maps``: pairs of weight [out, in] and bias [out]."""
        super().__init__()
        self.register_buffer("weight", torch.cat([weight.detach() for weight, _ in maps]).contiguous())
        self.register_buffer("bias", torch.cat([bias.detach() for _, bias in maps]).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., sum of out]."""
        return F.linear(x, self.weight, self.bias)


def pair(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of ``linear``."""
    return linear.weight, linear.bias


def pointwise(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight [out, in] and bias [out] of a 1 x 1 convolution."""
    bias = conv.bias if conv.bias is not None else conv.weight.new_zeros(conv.out_channels)
    return conv.weight.detach()[:, :, 0, 0], bias.detach()


def in_projection(attention: nn.MultiheadAttention, part: int) -> tuple[Tensor, Tensor]:
    """Weight [D, D] and bias [D] of the query (0), key (1) or value (2) projection."""
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    return weight.chunk(3)[part], bias.chunk(3)[part]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, D] to [B, heads, N, D / heads]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention over heads [B, heads, N, d], joined again: [B, N, D]."""
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def tokens_of(cells: Tensor) -> Tensor:
    """[B, C, H, W] to [B, H W, C]: no copy where the map is channels-last."""
    return cells.permute(0, 2, 3, 1).flatten(1, 2)


def map_of(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """[B, H W, C] to a channels-last map [B, C, H, W], without a copy."""
    return tokens.unflatten(1, grid).permute(0, 3, 1, 2)


def resize(cells: Tensor, like: Tensor) -> Tensor:
    """Bilinear, to the rows and columns of ``like``; nothing where they are the same."""
    size = like.shape[-2:]
    return cells if cells.shape[-2:] == size else F.interpolate(cells, size=size, mode="bilinear", align_corners=False)
