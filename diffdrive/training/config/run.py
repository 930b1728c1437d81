"""One run, whole: everything it depends on as one frozen value."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.training.config.augmentation import AugmentationConfig
from diffdrive.training.config.data import DataConfig
from diffdrive.training.config.decoder_stage import DecoderStageConfig
from diffdrive.training.config.initial import InitialConfig
from diffdrive.training.config.optimizer import OptimizerConfig
from diffdrive.training.config.recording import RecordingConfig, ValidationConfig
from diffdrive.training.config.score_stage import ScoreStageConfig
from diffdrive.training.objectives import ObjectiveWeights

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class Strategy(enum.Enum):
    """How several devices share one run."""

    AUTO = "auto"
    """DDP where there is more than one device."""

    DDP = "ddp"
    FSDP = "fsdp"
    """Weights, gradients and optimiser state are sharded over the devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training run."""

    name: str = "nano"
    output: Path = Path("out/train")
    """The run's folder is ``output / name``."""

    recipe: str | None = None
    """The recipe (``configs/recipes``) that was merged under this configuration."""

    preset: str = "nano"
    """Which planner configuration to begin with: base or nano."""

    planner: dict[str, Any] = field(default_factory=dict)
    """Overrides of the preset."""

    anchors: Path | None = None
    """Anchor file (.npy) of the network; None clusters the training scenes' own trajectories. Unless ``planner`` names a
    ``normalizer``, it is the box that the anchors' file gives."""

    initial: InitialConfig = field(default_factory=InitialConfig)
    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)

    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    decoder_stage: DecoderStageConfig = field(default_factory=DecoderStageConfig)
    score_stage: ScoreStageConfig = field(default_factory=ScoreStageConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)
    seed: int = 0
    epochs: int = 20
    """0 goes straight to the stages after the end-to-end training, from ``initial.checkpoint``."""

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

    nodes: int = 1
    """Machines, of ``devices`` each; Slurm or torchrun start the processes."""

    strategy: Strategy = Strategy.AUTO
    sync_batchnorm: bool = False
    """Let batch norms take their statistics over all processes of a step. Lightning does that on GPUs only."""

    accumulate: int = 1
    """Batches whose gradients make one optimiser step."""

    compile: bool = False
    """Compile the network with torch.compile: minutes at the start, less time in every step."""

    threads: int | None = None
    """CPU threads of torch in each process; None leaves its choice."""

    with_ego_status_mlp: bool = False
    """Also fit the blind baseline on the same split and put it beside the exported planner, for comparisons."""

    half_precision_export: bool = False
    """Store the exported weights in half precision: half the size, and what a small planner ships with."""

    progress_bar: bool = True

    def __post_init__(self) -> None:
        for name in ("validate_every_epochs", "devices", "nodes", "accumulate"):
            if getattr(self, name) < 1:
                raise InputError(f"TrainingConfig.{name} must be at least 1, got {getattr(self, name)}.")
        if self.epochs < 0:
            raise InputError(f"TrainingConfig.epochs must not be negative, got {self.epochs}.")
        if self.epochs == 0 and (self.initial.checkpoint is None or not self.has_later_stage):
            raise InputError(
                "TrainingConfig.epochs of 0 leaves only the stages after the end-to-end training. Name a planner in "
                "initial.checkpoint, and set decoder_stage.epochs or score_stage.epochs; or train for 1 epoch and more."
            )
        if self.seed < 0:
            raise InputError(f"TrainingConfig.seed must not be negative, got {self.seed}.")
        if self.precision not in PRECISIONS:
            raise InputError(f"TrainingConfig.precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}.")
        if self.sync_batchnorm and self.accelerator == "cpu":
            raise InputError("TrainingConfig.sync_batchnorm works on GPUs only. Leave it out, or set accelerator=gpu.")
        if self.optimizer.anneal_by_time and self.max_minutes is None:
            raise InputError("TrainingConfig: optimizer.anneal_by_time needs max_minutes.")

    @property
    def has_later_stage(self) -> bool:
        """Whether something follows the end-to-end training."""
        return self.decoder_stage.is_used or self.score_stage.is_used

    @property
    def processes(self) -> int:
        """Processes of the whole run."""
        return self.devices * self.nodes

    @property
    def global_batch_size(self) -> int:
        """Samples of one optimiser step."""
        return self.data.batch_size * self.processes * self.accumulate

    @property
    def resolved(self) -> TrainingConfig:
        """The same run with its learning rates stated for the batch that it has: what a run writes down of itself."""
        return replace(self, optimizer=self.optimizer.for_batch(self.global_batch_size))

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.output / self.name
