"""Everything a training run depends on, as one frozen value. YAML files in ``configs/training`` override these defaults."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.training.objectives import ObjectiveWeights


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which scenes, how they are split, and how they reach the network."""

    source: SourceConfig = field(default_factory=SourceConfig)
    cache: Path = Path("out/features")
    """Feature caches live here, one folder per (layouts, source, scenes)."""

    features: Path | None = None
    """One finished feature cache to use as it is, without looking at ``source``; only its layouts must fit the planner."""

    max_scenes: int | None = None
    """Use at most this many scenes, evenly spread over the source."""

    batch_size: int = 64
    """Per device."""

    validation_locations: tuple[str, ...] = ()
    """Maps whose scenes validate. Empty: ``validation_fraction`` of the maps, drawn with the run's seed."""

    validation_fraction: float = 0.1
    exclude_locations: tuple[str, ...] = ()
    """Maps that must stay unseen, for evaluation after training."""

    flip_probability: float = 0.0
    """Chance to mirror a training sample left-right. Mirrored scenes drive on the other side of the road: leave 0 where
    the side matters more than the extra data."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.max_scenes is not None and self.max_scenes < 1):
            raise InputError(
                f"DataConfig: batch_size and max_scenes must be positive, got {self.batch_size}, {self.max_scenes}."
            )
        for name in ("validation_fraction", "flip_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"DataConfig.{name} must lie in [0, 1], got {getattr(self, name)}.")


class Schedule(enum.Enum):
    """How the learning rate moves. Both warm up linearly, then follow half a cosine down to ``min_lr``."""

    STEP = "step"
    """A new rate at each step."""

    EPOCH = "epoch"
    """A new rate at each epoch, the reference recipe: epoch e of w warm-up epochs runs at lr (e + 1) / w."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW and its learning rate."""

    lr: float = 6e-4
    min_lr: float = 1e-6
    weight_decay: float = 1e-4
    decay_all: bool = False
    """Also decay biases, norms and embeddings, as the reference recipe does."""

    betas: tuple[float, float] = (0.9, 0.999)
    gradient_clip_norm: float | None = 1.0
    schedule: Schedule = Schedule.STEP
    warmup_epochs: float = 3.0
    anneal_by_time: bool = False
    """Also let the clock drive the cosine, so that it ends when ``max_minutes`` end. Such a run depends on the machine's
    speed and is not reproducible."""

    ema_decay: float | None = None
    """Average the weights with this decay per step; validation and the exported model use the average."""

    def __post_init__(self) -> None:
        if not self.lr > 0 or not 0 <= self.min_lr <= self.lr or self.warmup_epochs < 0:
            raise InputError(
                f"OptimizerConfig needs lr > 0, 0 <= min_lr <= lr and warmup_epochs >= 0, "
                f"got {self.lr}, {self.min_lr}, {self.warmup_epochs}."
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"OptimizerConfig.ema_decay must lie in (0, 1), got {self.ema_decay}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderStageConfig:
    """An optional second stage: perception frozen, its output kept in memory, the decoder alone trained on."""

    epochs: int = 0
    """0 leaves the stage out."""

    batch_size: int = 32
    lr: float = 1e-3
    min_lr: float = 1e-5
    weight_decay: float = 1e-2
    ema_decay: float = 0.995
    gradient_clip_norm: float = 10.0

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or not 0 < self.min_lr <= self.lr or not 0 < self.ema_decay < 1:
            raise InputError(
                f"DecoderStageConfig needs epochs >= 0, batch_size >= 1, 0 < min_lr <= lr and 0 < ema_decay < 1, got "
                f"{self.epochs}, {self.batch_size}, {self.min_lr}, {self.lr}, {self.ema_decay}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training run."""

    name: str = "nano"
    output: Path = Path("out/train")
    """The run's folder is ``output / name``."""

    preset: str = "nano"
    """Which planner configuration to begin with: base or nano."""

    planner: dict[str, Any] = field(default_factory=dict)
    """Overrides of the preset."""

    anchors: Path | None = None
    """Anchor file (.npy) of the network; None clusters the training scenes' own trajectories. Unless ``planner`` names a
    ``normalizer``, it is the box that the anchors' file gives."""

    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)

    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    decoder_stage: DecoderStageConfig = field(default_factory=DecoderStageConfig)
    seed: int = 0
    epochs: int = 20
    max_minutes: float | None = None
    """Stop after this much wall time, whatever the epoch."""

    max_steps: int | None = None
    validate_every_epochs: int = 1
    precision: str = "32-true"
    """As Lightning names them: 32-true, bf16-mixed, 16-mixed."""

    channels_last: bool = True
    accelerator: str = "auto"
    devices: int = 1
    """GPUs, or processes on a CPU. Two processes of one thread train faster on two cores than one of two threads: they wait
    for each other once a step instead of once an operation."""

    threads: int | None = None
    """CPU threads of torch in each process; None leaves its choice."""

    with_ego_status_mlp: bool = False
    """Also fit the blind baseline on the same split and put it beside the exported planner, for comparisons."""

    half_precision_export: bool = False
    """Store the exported weights in half precision: half the size, and what a small planner ships with."""

    progress_bar: bool = True

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.validate_every_epochs < 1 or self.devices < 1:
            raise InputError(
                f"TrainingConfig: epochs, validate_every_epochs and devices must be positive, "
                f"got {self.epochs}, {self.validate_every_epochs}, {self.devices}."
            )
        if self.optimizer.anneal_by_time and self.max_minutes is None:
            raise InputError("TrainingConfig: optimizer.anneal_by_time needs max_minutes.")

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.output / self.name
