"""Image and LiDAR encoders side by side, fused after every stage, ending in a coarse and a fine BEV map."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.config import NUM_STAGES, PlannerConfig
from diffdrive.model.perception.encoders import StagedEncoder
from diffdrive.model.perception.fusion import FusionStage


class FusionBackbone(nn.Module):
    """TransFuser's backbone (Chitta et al. 2022)."""

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        self.image_encoder = StagedEncoder(config.image_encoder, in_channels=3)
        self.lidar_encoder = StagedEncoder(config.lidar_encoder, in_channels=1)
        widths = zip(self.image_encoder.channels, self.lidar_encoder.channels, strict=True)
        self.fusion = nn.ModuleList(FusionStage(config, image, lidar) for image, lidar in widths)
        self.pyramid = BevPyramid(config, self.lidar_encoder.channels)

    @property
    def fused_channels(self) -> int:
        """Of the coarse map."""
        return self.lidar_encoder.channels[-1]

    def forward(self, image: Tensor, lidar: Tensor) -> tuple[Tensor, Tensor]:
        """Camera [B, 3, H, W] and LiDAR [B, 1, Hl, Wl] to the coarse BEV map (1/32) and the fine one (1/4)."""
        lidar_maps = []
        for index in range(NUM_STAGES):
            image = self.image_encoder.run_stage(index, image)
            lidar = self.lidar_encoder.run_stage(index, lidar)
            image, lidar = self.fusion[index](image, lidar)
            lidar_maps.append(lidar)
        return lidar, self.pyramid(lidar_maps)


class BevPyramid(nn.Module):
    """The fine BEV map, top-down from the coarsest stage; with laterals, a feature pyramid (Lin et al. 2017)."""

    def __init__(self, config: PlannerConfig, stage_channels: Sequence[int]) -> None:
        super().__init__()
        channels = config.bev_channels
        self.bev_pixels = config.bev_pixels
        self.reduce = nn.Conv2d(stage_channels[-1], channels, 1)
        self.middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.fine = nn.Conv2d(channels, channels, 3, padding=1)
        self.laterals: nn.ModuleList | None = None
        if config.bev_laterals:
            self.laterals = nn.ModuleList(nn.Conv2d(stage_channels[stage], channels, 1) for stage in (2, 0))

    def forward(self, lidar_maps: Sequence[Tensor]) -> Tensor:
        """LiDAR maps after each stage, finest first, to [B, C, Hb, Wb] at 1/4."""
        coarse = F.relu(self.reduce(lidar_maps[-1]))
        middle = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        if self.laterals is not None:
            middle = middle + self.laterals[0](lidar_maps[2])
        middle = F.relu(self.middle(middle))
        fine = F.interpolate(middle, size=(self.bev_pixels, self.bev_pixels), mode="bilinear", align_corners=False)
        if self.laterals is not None:
            fine = fine + self.laterals[1](lidar_maps[0])
        return F.relu(self.fine(fine))
