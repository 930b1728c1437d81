"""Network inputs and targets of many scenes, computed once, kept on disk, read by row."""

from diffdrive.training.cache.builder import estimated_bytes, open_or_build
from diffdrive.training.cache.crews import ray_cluster
from diffdrive.training.cache.feature_cache import FeatureCache
from diffdrive.training.cache.packed import PackedBatch, pack
from diffdrive.training.cache.spec import CacheSpec

__all__ = ["CacheSpec", "FeatureCache", "PackedBatch", "estimated_bytes", "open_or_build", "pack", "ray_cluster"]
