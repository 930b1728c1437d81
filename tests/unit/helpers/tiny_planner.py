"""A network small enough for tests that train or save one."""

from __future__ import annotations

from typing import Any

TINY_ENCODER = {"name": "resnet10t", "channels": [8, 8, 16, 16], "stem_width": 8}
TINY_PLANNER: dict[str, Any] = {
    "inputs": {"camera_height": 32, "camera_width": 128, "lidar_pixels": 32},
    "targets": {"bev_rows": 16, "bev_columns": 32, "bev_pixel_m": 2.0, "num_agents": 6},
    "num_modes": 4,
    "image_encoder": TINY_ENCODER,
    "lidar_encoder": TINY_ENCODER,
    "bev_channels": 8,
    "dims": 32,
    "heads": 4,
    "ffn_dims": 32,
    "query_layers": 1,
    "point_dims": 16,
    "fusion_dropout": 0.1,
    "decoder_dropout": 0.1,
}
