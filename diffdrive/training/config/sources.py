"""Where scenes come from."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path


class SourceKind(enum.Enum):
    """Which ``SceneSource`` reads the logs."""

    WORLD = "world"
    """Logs of the embedded world; cameras and LiDAR are rendered when a scene is loaded."""

    ARROW123D = "arrow123d"
    """Any 123D log with recorded cameras and LiDAR."""

    OPENSCENE = "openscene"
    """NAVSIM data: OpenScene log pickles, sensor files and nuPlan maps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Where scenes come from."""

    kind: SourceKind = SourceKind.WORLD
    root: Path | None = None
    """Folder of the logs; None is the small set that ships with the package (world only)."""

    splits: tuple[str, ...] = ()
    """Use only logs of these splits; empty uses all. Of NAVSIM data one split is read: name it where there are several."""

    stride_s: float = 0.5
    """Seconds between the presents of neighbouring scenes of a log; a ``scene_filter`` has its own."""

    renderer: str = "auto"
    """World only: which back end draws the cameras."""

    render_cache: Path | None = None
    """World only: keep rendered sensors here. Not needed beside the feature cache, which is far smaller."""

    scene_filter: Path | None = None
    """NAVSIM only: the devkit's YAML file that says which scenes make a split (navtrain.yaml)."""

    across_gaps: bool = False
    """NAVSIM only: take neighbouring entries of a log for half a second apart whatever their times, as the devkit does."""

    sensors: Path | None = None
    """NAVSIM only: folder of sensor files; None is ``root``/sensor_blobs/<split>."""

    maps: Path | None = None
    """NAVSIM only: folder of nuPlan's maps; None is ``root``/maps."""

    log_index: Path = Path("out/navsim_index")
    """NAVSIM only: what was found in the logs is kept here, so that neither the next start nor any worker reads them all."""
