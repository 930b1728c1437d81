"""Everything a training run depends on. YAML files in ``configs/training`` override these defaults."""

from diffdrive.training.config.augmentation import AugmentationConfig
from diffdrive.training.config.data import DataConfig, OnBadScene, SplitBy
from diffdrive.training.config.decoder_stage import DecoderStageConfig
from diffdrive.training.config.initial import InitialConfig
from diffdrive.training.config.loading import load_training_config
from diffdrive.training.config.optimizer import OnNan, OptimizerConfig, Schedule
from diffdrive.training.config.recording import BestBy, RecordingConfig, ValidationConfig
from diffdrive.training.config.run import Strategy, TrainingConfig
from diffdrive.training.config.score_stage import ScoreStageConfig
from diffdrive.training.config.sources import SourceConfig, SourceKind

__all__ = [
    "AugmentationConfig",
    "BestBy",
    "DataConfig",
    "DecoderStageConfig",
    "InitialConfig",
    "OnBadScene",
    "OnNan",
    "OptimizerConfig",
    "RecordingConfig",
    "Schedule",
    "ScoreStageConfig",
    "SourceConfig",
    "SourceKind",
    "SplitBy",
    "Strategy",
    "TrainingConfig",
    "ValidationConfig",
    "load_training_config",
]
