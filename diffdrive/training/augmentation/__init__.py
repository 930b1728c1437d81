"""Changes of training samples. Each file changes one thing, and all that shows it together."""

from diffdrive.training.augmentation.mirroring import mirror, mirror_some
from diffdrive.training.augmentation.pipeline import augment

__all__ = ["augment", "mirror", "mirror_some"]
