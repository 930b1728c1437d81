"""Every size of the network, in one frozen value. What can be computed from these numbers is a property."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diffdrive.configuration import build, merge, to_mapping
from diffdrive.contracts import InputError
from diffdrive.diffusion import REFERENCE, BoxNormalizer, JumpTable, NoiseSchedule, noise_table, reference_table
from diffdrive.tensors import InputLayout, TargetLayout

NUM_STAGES = 4
DEEPEST_STRIDE = 32
"""The encoders' last stage has 1/32 of the input's rows and columns."""

BEV_STRIDE = 4
"""The BEV map has 1/4 of the LiDAR histogram's rows and columns."""

STATUS_DIMS = 8


STEPS_FROM_NOISE = 20
"""Passes of a planner that starts from pure noise, unless another table is asked for."""


class DecoderKind(enum.Enum):
    """What turns a perceived scene into trajectories."""

    CASCADE = "cascade"
    """DiffusionDrive's: layers that look at the scene around the points and refine them."""

    UNET = "unet"
    """A conditional U-Net over the points, which knows the scene by the ego query alone (Chi et al. 2023)."""

    REGRESSION = "regression"
    """TransFuser's: one trajectory, computed from the ego query by an MLP. No diffusion: noise and levels are not read."""


class Prior(enum.Enum):
    """What denoising starts from."""

    ANCHORS = "anchors"
    """The anchors with a little noise: the diffusion is truncated."""

    NOISE = "noise"
    """Nothing but noise. Every proposal is one sample of what may be driven next, and none has a score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """A timm network with stages at 1/4, 1/8, 1/16 and 1/32 of its input. Never downloads weights."""

    name: str = "resnet34"
    channels: tuple[int, int, int, int] | None = None
    """Width of the four stages of a timm ResNet; None keeps the architecture's own."""

    stem_width: int | None = None
    """Width of a timm ResNet's deep stem (its last convolution has twice as many channels); None keeps its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerConfig:
    """The whole planner. The defaults are the public DiffusionDrive model."""

    inputs: InputLayout = field(default_factory=InputLayout)
    targets: TargetLayout = field(default_factory=TargetLayout)

    decoder_kind: DecoderKind = DecoderKind.CASCADE
    prior: Prior = Prior.ANCHORS

    num_modes: int = 20
    """Proposals per scene, one for each anchor. A model without anchors still holds an array of their shape, unread."""

    normalizer: BoxNormalizer = field(default_factory=BoxNormalizer)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    num_train_levels: int = 50
    """Training draws noise levels 0 .. num_train_levels - 1: the diffusion is truncated."""

    image_encoder: EncoderConfig = field(default_factory=EncoderConfig)
    lidar_encoder: EncoderConfig = field(default_factory=EncoderConfig)
    fusion_layers: int = 2
    fusion_heads: int = 4
    fusion_dropout: float = 0.1

    bev_channels: int = 64
    """Of the fine BEV map before it is projected to ``dims``."""

    bev_laterals: bool = False
    """Feed the LiDAR encoder's finer stages into the BEV map. The public model builds it from the 1/32 stage alone."""

    bev_head_is_metric: bool = False
    """Supervise the BEV map's front half with the front-half target, so that a cell means the same place for the head and
    for the decoder. The public model stretches the whole map over the target."""

    dims: int = 256
    """Width of queries and tokens after the backbone."""

    heads: int = 8
    ffn_dims: int = 1024
    query_layers: int = 3
    decoder_layers: int = 2
    """Of the cascade."""

    spatial_attention: bool = True
    """The cascade's layers look at the BEV map around the points."""

    agent_attention: bool = True
    """The cascade's layers look at the agent queries."""

    ego_attention: bool = True
    """The cascade's layers look at the ego query."""

    hands_on_features: bool = False
    """What a layer of the cascade knows of a proposal goes to the next one, joined with the refined points, as the paper
    says. In the public model every layer begins with the noisy points' embedding."""

    decoder_dropout: float = 0.1
    bev_value_kernel: int = 3
    """Edge of the convolution that turns the BEV map into what a decoder layer samples: 3, or 1 to save compute."""

    offsets_from_anchors: bool = False
    """Let the first decoder layer move the clean anchors, not the noisy points: it then need not cancel the noise it was
    given, which takes a small network many epochs to learn. The public model moves the noisy points. A U-Net with this option
    moves the anchors too; without it, it predicts points as they are. Not read where there are no anchors."""

    point_dims: int = 64
    """Of the sine embedding of one point: half for x, half for y."""

    def __post_init__(self) -> None:
        for name in ("num_modes", "fusion_layers", "query_layers", "decoder_layers", "bev_channels"):
            if getattr(self, name) < 1:
                raise InputError(f"PlannerConfig.{name} must be at least 1, got {getattr(self, name)}.")
        if self.dims % self.heads or self.dims % 2:
            raise InputError(f"PlannerConfig.dims must be even and a multiple of heads = {self.heads}, got {self.dims}.")
        if self.bev_value_kernel % 2 != 1:
            raise InputError(f"PlannerConfig.bev_value_kernel must be odd, got {self.bev_value_kernel}.")
        if self.point_dims % 4:
            raise InputError(f"PlannerConfig.point_dims must be a multiple of 4, got {self.point_dims}.")
        if not 1 <= self.num_train_levels <= self.schedule.num_levels:
            raise InputError(
                f"PlannerConfig.num_train_levels must be in 1 .. {self.schedule.num_levels}, got {self.num_train_levels}."
            )
        for name in ("fusion_dropout", "decoder_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"PlannerConfig.{name} must be in [0, 1), got {getattr(self, name)}.")
        _check_variant(self)

    @property
    def has_anchors(self) -> bool:
        """Whether proposals start from anchors; then they are scored, and one of them imitates what was driven."""
        return self.prior is Prior.ANCHORS and self.decoder_kind is not DecoderKind.REGRESSION

    @property
    def reads_bev(self) -> bool:
        """Whether the decoder looks at the BEV map."""
        return self.decoder_kind is DecoderKind.CASCADE and self.spatial_attention

    @property
    def default_jumps(self) -> JumpTable:
        """How this planner samples unless it is told otherwise. A regression takes one pass and reads no level."""
        if self.decoder_kind is DecoderKind.REGRESSION:
            return reference_table(1)
        return REFERENCE if self.prior is Prior.ANCHORS else noise_table(STEPS_FROM_NOISE, self.schedule.num_levels)

    @property
    def image_grid(self) -> tuple[int, int]:
        """Rows and columns of the image's fusion tokens."""
        return self.inputs.camera_height // DEEPEST_STRIDE, self.inputs.camera_width // DEEPEST_STRIDE

    @property
    def lidar_grid(self) -> tuple[int, int]:
        """Rows and columns of the LiDAR's fusion tokens."""
        return self.inputs.lidar_pixels // DEEPEST_STRIDE, self.inputs.lidar_pixels // DEEPEST_STRIDE

    @property
    def num_image_tokens(self) -> int:
        return self.image_grid[0] * self.image_grid[1]

    @property
    def num_lidar_tokens(self) -> int:
        return self.lidar_grid[0] * self.lidar_grid[1]

    @property
    def bev_pixels(self) -> int:
        """Rows and columns of the BEV map that the decoder samples."""
        return self.inputs.lidar_pixels // BEV_STRIDE

    @property
    def num_queries(self) -> int:
        """One for the ego, one for each agent slot."""
        return 1 + self.targets.num_agents

    @property
    def anchor_shape(self) -> tuple[int, int, int]:
        return self.num_modes, self.targets.num_poses, 2

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """Of one sample's noise: [M, T, 2]."""
        return self.anchor_shape


def _check_variant(config: PlannerConfig) -> None:
    kind = config.decoder_kind
    if kind is DecoderKind.REGRESSION and config.num_modes != 1:
        raise InputError(f"A regression decoder proposes one trajectory: set num_modes to 1, got {config.num_modes}.")
    if config.prior is Prior.NOISE:
        if kind is not DecoderKind.UNET:
            raise InputError(f"prior: noise needs decoder_kind: unet, got {kind.value}; the cascade refines anchors.")
        if config.num_train_levels != config.schedule.num_levels:
            raise InputError(
                f"prior: noise starts where nothing but noise is left, so all {config.schedule.num_levels} levels must be "
                f"trained: set num_train_levels to {config.schedule.num_levels}, got {config.num_train_levels}."
            )
    if kind is DecoderKind.CASCADE and not (config.spatial_attention or config.agent_attention or config.ego_attention):
        raise InputError("The cascade sees nothing of the scene: leave at least one of its three attentions on.")


def base() -> PlannerConfig:
    """The public model: two ResNet-34, 60,715,727 parameters."""
    return PlannerConfig()


def nano() -> PlannerConfig:
    """A small sibling that trains on two CPU cores."""
    return PlannerConfig(
        # Every input pixel is paid for in training time: 96 x 384 costs a third less than 128 x 512.
        inputs=InputLayout(camera_height=96, camera_width=384, lidar_pixels=128),
        # The BEV map has cells of 2 m; half-metre targets lose nothing against it and cost a quarter.
        targets=TargetLayout(bev_rows=64, bev_columns=128, bev_pixel_m=0.5),
        image_encoder=EncoderConfig(name="resnet10t", channels=(24, 48, 96, 192), stem_width=8),
        lidar_encoder=EncoderConfig(name="resnet10t", channels=(16, 32, 64, 128), stem_width=8),
        fusion_dropout=0.0,
        bev_channels=32,
        bev_laterals=True,
        bev_head_is_metric=True,
        dims=128,
        ffn_dims=512,
        decoder_dropout=0.0,
        bev_value_kernel=1,
        offsets_from_anchors=True,
        num_train_levels=16,
    )


PLANNERS: dict[str, Callable[[], PlannerConfig]] = {"base": base, "nano": nano}


def planner_config(name: str, values: Mapping[str, Any] | None = None, overrides: Sequence[str] = ()) -> PlannerConfig:
    """The configuration called ``name``, with a nested mapping of changes and ``key=value`` overrides on top.

    Raises ``InputError`` for an unknown name or key (naming the closest one) and for values of the wrong type.
    """
    if name not in PLANNERS:
        close = difflib.get_close_matches(name, PLANNERS, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known planners: {', '.join(PLANNERS)}."
        raise InputError(f"There is no planner called '{name}'. {hint}")
    defaults = to_mapping(PLANNERS[name]())
    return build(PlannerConfig, merge(defaults, values or {}), overrides)
