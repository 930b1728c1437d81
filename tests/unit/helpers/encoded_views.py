"""What a perception might have seen: random views of twelve scenes, in the format of ``EncodedScenes``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from diffdrive.model import PlannerModel

NUM_VIEWS = 12


def write_views(folder: Path, model: PlannerModel) -> None:
    """Into ``folder``, in the sizes of ``model``."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(1)
    config, count = model.config, NUM_VIEWS
    seen = {
        "ego_query": torch.randn(count, 1, config.dims, generator=generator).half(),
        "agent_queries": torch.randn(count, config.targets.num_agents, config.dims, generator=generator).half(),
        "coarse_bev": torch.randn(count, config.dims, *config.lidar_grid, generator=generator).half(),
        "fine_bev": torch.randn(count, config.bev_channels, config.bev_pixels, config.bev_pixels, generator=generator).half(),
        "trajectory": torch.randn(count, 8, 3, generator=generator).cumsum(dim=1),
    }
    for name, values in seen.items():
        np.save(folder / f"{name}.npy", values.numpy())
