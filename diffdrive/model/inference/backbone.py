"""The backbone for inference: batch norms folded, joined projections, and nothing computed that nobody reads."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.inference.layers import (
    ConvLayer,
    JoinedLinear,
    attend,
    map_of,
    pair,
    pointwise,
    resize,
    split_heads,
    tokens_of,
)
from diffdrive.model.perception.backbone import BevPyramid, FusionBackbone
from diffdrive.model.perception.fusion import FusionBlock, FusionStage


class InferenceBackbone(nn.Module):
    """Camera and LiDAR to the coarse and the fine BEV map, as ``FusionBackbone``."""

    def __init__(self, backbone: FusionBackbone) -> None:
        super().__init__()
        last = len(backbone.fusion) - 1
        self.image_stages = nn.ModuleList(folded_stage(stage) for stage in backbone.image_encoder.stages)
        self.lidar_stages = nn.ModuleList(folded_stage(stage) for stage in backbone.lidar_encoder.stages)
        # After the last exchange nobody looks at the image map any more.
        self.fusion = nn.ModuleList(
            Fusion(cast(FusionStage, stage), lidar_only=index == last) for index, stage in enumerate(backbone.fusion)
        )
        self.pyramid = Pyramid(backbone.pyramid)

    def forward(self, image: Tensor, lidar: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, H, W] and [B, 1, Hl, Wl], both channels-last."""
        lidar_maps = []
        for image_stage, lidar_stage, fusion in zip(self.image_stages, self.lidar_stages, self.fusion, strict=True):
            image, lidar = fusion(image_stage(image), lidar_stage(lidar))
            lidar_maps.append(lidar)
        return lidar, self.pyramid(lidar_maps)


class Fusion(nn.Module):
    """``FusionStage`` with joined projections. ``lidar_only`` answers the LiDAR map alone and hands the image map on."""

    position: Tensor

    def __init__(self, stage: FusionStage, *, lidar_only: bool) -> None:
        super().__init__()
        self.image_grid, self.lidar_grid = stage.image_grid, stage.lidar_grid
        self.lidar_only = lidar_only
        self.lidar_to_image = _linear_of(stage.lidar_to_image)
        self.image_to_lidar = _linear_of(stage.image_to_lidar)
        self.register_buffer("position", stage.position.detach().clone())
        num_lidar = stage.lidar_grid[0] * stage.lidar_grid[1]
        last = len(stage.blocks) - 1
        self.blocks = nn.ModuleList(
            Block(cast(FusionBlock, block), answers=num_lidar if lidar_only and index == last else None)
            for index, block in enumerate(stage.blocks)
        )
        self.norm = copy.deepcopy(stage.norm)

    def forward(self, image: Tensor, lidar: Tensor) -> tuple[Tensor, Tensor]:
        image_tokens = tokens_of(_pool(image, self.image_grid))
        lidar_tokens = self.lidar_to_image(tokens_of(_pool(lidar, self.lidar_grid)))
        tokens = torch.cat((image_tokens, lidar_tokens), dim=1) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        answer = self.norm(tokens)
        num_lidar = self.lidar_grid[0] * self.lidar_grid[1]
        to_lidar = map_of(self.image_to_lidar(answer[:, -num_lidar:]), self.lidar_grid)
        lidar = lidar + resize(to_lidar, lidar)
        if self.lidar_only:
            return image, lidar
        return image + resize(map_of(answer[:, :-num_lidar], self.image_grid), image), lidar


class Block(nn.Module):
    """``FusionBlock`` with one product for query, key and value. ``answers``: only that many last tokens are wanted."""

    def __init__(self, block: FusionBlock, answers: int | None) -> None:
        super().__init__()
        attention = block.attention
        self.heads = attention.heads
        self.answers = answers
        self.attention_norm = copy.deepcopy(block.attention_norm)
        self.query_key_value = JoinedLinear([pair(attention.query), pair(attention.key), pair(attention.value)])
        self.output = copy.deepcopy(attention.output)
        self.mlp_norm = copy.deepcopy(block.mlp_norm)
        self.mlp = copy.deepcopy(block.mlp)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            split_heads(part, self.heads) for part in self.query_key_value(self.attention_norm(tokens)).chunk(3, dim=-1)
        )
        if self.answers is not None:
            # All tokens are looked at, only the last ones look.
            query, tokens = query[:, :, -self.answers :], tokens[:, -self.answers :]
        tokens = tokens + self.output(attend(query, key, value))
        return tokens + self.mlp(self.mlp_norm(tokens))


class Pyramid(nn.Module):
    """``BevPyramid`` with its activations joined to the convolutions."""

    def __init__(self, pyramid: BevPyramid) -> None:
        super().__init__()
        self.bev_pixels = pyramid.bev_pixels
        self.reduce = ConvLayer(pyramid.reduce, relu=True)
        self.middle = ConvLayer(pyramid.middle, relu=True)
        self.fine = ConvLayer(pyramid.fine, relu=True)
        laterals = pyramid.laterals or ()
        self.laterals = nn.ModuleList(ConvLayer(cast(nn.Conv2d, lateral), relu=False) for lateral in laterals)

    def forward(self, lidar_maps: Sequence[Tensor]) -> Tensor:
        coarse = self.reduce(lidar_maps[-1])
        rows, columns = coarse.shape[-2:]
        middle = _upsample(coarse, (2 * rows, 2 * columns))
        if self.laterals:
            middle = self.laterals[0](lidar_maps[2], middle)
        fine = _upsample(self.middle(middle), (self.bev_pixels, self.bev_pixels))
        if self.laterals:
            fine = self.laterals[1](lidar_maps[0], fine)
        return self.fine(fine)


def folded_stage(stage: nn.Module) -> nn.Module:
    """One encoder stage with its batch norms folded.

    Plain ResNet blocks are rebuilt; a stage with anything else in it (a RegNet's) is kept as it is, exact and slower.
    """
    modules = dict(stage.named_children())
    blocks = [block for name, part in modules.items() if name.startswith("layer") for block in part.children()]
    known = {"conv1", "bn1", "act1", "maxpool"} | {name for name in modules if name.startswith("layer")}
    if not blocks or set(modules) - known or not all(_is_plain_block(block) for block in blocks):
        return copy.deepcopy(stage)
    parts: list[nn.Module] = []
    if "conv1" in modules:
        parts += [*_folded_stem(modules["conv1"], modules["bn1"]), copy.deepcopy(modules["maxpool"])]
    return nn.Sequential(*parts, *(ResidualBlock(block) for block in blocks))


class ResidualBlock(nn.Module):
    """A ResNet basic block: two convolutions and a shortcut, the addition and the last ReLU joined to the second one."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.first = ConvLayer(block.conv1, block.bn1, relu=True)
        self.second = ConvLayer(block.conv2, block.bn2, relu=True)
        self.shortcut = nn.Identity() if block.downsample is None else _folded_shortcut(block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x), self.shortcut(x))


def _is_plain_block(block: Any) -> bool:
    if type(block).__name__ != "BasicBlock" or block.se is not None or block.drop_path is not None:
        return False
    plain = isinstance(block.act1, nn.ReLU) and isinstance(block.act2, nn.ReLU)
    return plain and isinstance(block.aa, nn.Identity) and isinstance(block.drop_block, nn.Identity)


def _folded_stem(conv: nn.Module, norm: nn.Module) -> list[nn.Module]:
    """One convolution, or several with norms and ReLUs between them (a deep stem)."""
    modules = [*(conv.children() if isinstance(conv, nn.Sequential) else [conv]), norm]
    convs = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    return [ConvLayer(one, its_norm, relu=True) for one, its_norm in zip(convs, norms, strict=True)]


def _folded_shortcut(downsample: nn.Sequential) -> nn.Module:
    pool, conv, norm = downsample if len(downsample) == 3 else (nn.Identity(), *downsample)
    return nn.Sequential(copy.deepcopy(pool), ConvLayer(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm), relu=False))


def _linear_of(conv: nn.Conv2d) -> JoinedLinear:
    """A 1 x 1 convolution of a map is a linear map of its tokens."""
    return JoinedLinear([pointwise(conv)])


def _pool(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    rows, columns = cells.shape[-2:]
    if (rows, columns) == grid:
        return cells
    if rows % grid[0] or columns % grid[1]:
        return F.adaptive_avg_pool2d(cells, grid)
    return F.avg_pool2d(cells, (rows // grid[0], columns // grid[1]))


def _upsample(cells: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(cells, size=size, mode="bilinear", align_corners=False)
