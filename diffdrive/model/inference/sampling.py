"""Look at the value map only where trajectories would drive.

A bilinear sample reads a block of 2 x 2 cells of the value map, and the value map is a convolution of the BEV map. So the
blocks are computed instead of the map. With a 3 x 3 kernel, one block is one tile of Winograd's F(2 x 2, 3 x 3) (Lavin and
Gray 2016): it takes a 4 x 4 patch and 16 instead of 36 products per pair of channels.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.decoder.bev_sampling import BevSampling

# F(2 x 2, 3 x 3), one axis: what is done to a patch, to a kernel and to their product.
_PATCH = ((1.0, 0.0, -1.0, 0.0), (0.0, 1.0, 1.0, 0.0), (0.0, -1.0, 1.0, 0.0), (0.0, 1.0, 0.0, -1.0))
_KERNEL = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
_PRODUCT = ((1.0, 1.0, 1.0, 0.0), (0.0, 1.0, -1.0, -1.0))


class SparseSampling(nn.Module):
    """``BevSampling`` on a map of ``cells`` x ``cells``, its convolution evaluated under the points."""

    steps: Tensor

    def __init__(self, sampling: BevSampling, cells: int) -> None:
        super().__init__()
        size = int(sampling.value.kernel_size[0])
        self.range_m, self.cells = sampling.range_m, cells
        self.pad = padding_of(sampling)
        self.value = WinogradBlock(sampling.value) if size == 3 else DirectBlock(sampling.value)
        self.weights = copy.deepcopy(sampling.weights)
        self.output = copy.deepcopy(sampling.output)
        edge = torch.arange(size + 1)
        self.register_buffer("steps", (edge[:, None] * (cells + 2 * self.pad) + edge).reshape(-1, 1))

    def forward(self, query: Tensor, points: Tensor, padded: Tensor) -> Tensor:
        """``query`` [B, M, D], ``points`` [B, M, T, 2] metres, ``padded`` from ``pad_map``; returns [B, M, D]."""
        weights = self.weights(query).softmax(dim=-1)
        corner, fraction = self._corners(points)
        values = self.value(self._patches(padded, corner)).reshape(4, *points.shape[:-1], -1)
        mixed = torch.einsum("kbmtd,kbmt->bmd", values, self._block_weights(corner, fraction) * weights)
        return query + self.output(mixed)

    def _corners(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """First cell of the block under each point (row, column; from -1), and where in the block the point lies, 0 .. 1."""
        position = ((points / self.range_m + 1.0) * self.cells - 1.0) / 2.0
        # A point far outside is held where its whole block lies outside. NaN must not become an index; it stays in the
        # points themselves, and so in the proposal.
        position = position.nan_to_num(nan=-1.0).clamp(-1.0, float(self.cells))
        corner = position.floor().clamp(max=self.cells - 1.0)
        return corner.long(), position - corner

    def _patches(self, padded: Tensor, corner: Tensor) -> Tensor:
        """[edge^2, B M T, D] the cells that the blocks at ``corner`` [B, M, T, 2] are made of."""
        batch, rows, columns, dims = padded.shape
        # The block begins one cell before the first output of a kernel that reaches pad - 1 cells.
        first = (corner[..., 0] + 1) * columns + corner[..., 1] + 1
        if batch > 1:
            first = first + torch.arange(batch, device=corner.device)[:, None, None] * (rows * columns)
        index = self.steps + first.reshape(1, -1)
        return padded.reshape(-1, dims).index_select(0, index.reshape(-1)).reshape(len(self.steps), -1, dims)

    def _block_weights(self, corner: Tensor, fraction: Tensor) -> Tensor:
        """[4, B, M, T] bilinear weights; cells outside the map weigh nothing."""
        near = (1.0 - fraction) * (corner >= 0)
        far = fraction * (corner < self.cells - 1)
        rows, columns = torch.stack((near[..., 0], far[..., 0])), torch.stack((near[..., 1], far[..., 1]))
        return (rows[:, None] * columns).flatten(0, 1)


class WinogradBlock(nn.Module):
    """2 x 2 outputs of a 3 x 3 convolution and its ReLU."""

    kernel: Tensor
    bias: Tensor
    patch: Tensor
    product: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight, bias = _constants(conv)
        one_axis = torch.tensor(_KERNEL, dtype=torch.float64)
        transformed = torch.einsum("ai,bj,oqij->abqo", one_axis, one_axis, weight.double()).flatten(0, 1)
        self.register_buffer("kernel", transformed.to(weight.dtype).contiguous())
        self.register_buffer("bias", bias)
        patch, product = torch.tensor(_PATCH), torch.tensor(_PRODUCT)
        self.register_buffer("patch", torch.kron(patch, patch))
        self.register_buffer("product", torch.kron(product, product))

    def forward(self, patches: Tensor) -> Tensor:
        """[16, N, D] to [4, N, D']."""
        spread = (self.patch @ patches.flatten(1)).reshape_as(patches)
        products = torch.bmm(spread, self.kernel)
        blocks = (self.product @ products.flatten(1)).reshape(4, patches.shape[1], -1)
        return F.relu(blocks + self.bias)


class DirectBlock(nn.Module):
    """2 x 2 outputs of a convolution of any odd size and its ReLU."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight, bias = _constants(conv)
        self.edge = weight.shape[-1] + 1
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, patches: Tensor) -> Tensor:
        """[edge^2, N, D] to [4, N, D']."""
        if self.edge == 2:
            return F.relu(F.linear(patches, self.weight[:, :, 0, 0], self.bias))
        blocks = F.conv2d(patches.permute(1, 2, 0).unflatten(-1, (self.edge, self.edge)), self.weight, self.bias)
        return F.relu(blocks).flatten(2).permute(2, 0, 1)


def padding_of(sampling: BevSampling) -> int:
    """Cells of zeros that a map needs on every side: a block may begin one cell outside, a patch half a kernel before it."""
    return int(sampling.value.kernel_size[0]) // 2 + 1


def pad_map(bev: Tensor, pad: int) -> Tensor:
    """[B, H, W, D] with ``pad`` cells of zeros on every side."""
    return F.pad(bev, (0, 0, pad, pad, pad, pad))


def _constants(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    weight = conv.weight.detach().clone()
    return weight, weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().clone()
