"""A town small enough to be simulated in a test, with drives of twelve seconds."""

from __future__ import annotations

from pathlib import Path

from diffdrive.configuration import build
from diffdrive.simulation.stage import Stage, StageFiles, open_stage
from diffdrive.world.simulation import WorldConfig

SEED = 8001
SPLIT = "val"
CONFIG = build(
    WorldConfig,
    {
        "town": {"nodes_per_side": 3, "spacing_min": 80.0, "spacing_max": 95.0, "signal_share": 1.0},
        "traffic": {"duration_s": 75.0, "warm_up_s": 25.0},
        "curation": {"logs_per_town": 4, "log_s": 12.0, "min_travel_m": 25.0},
        "box_radius_m": 60.0,
    },
)


def small_stage(cache: Path) -> tuple[Stage, StageFiles]:
    return open_stage(SEED, CONFIG, cache, split=SPLIT)
