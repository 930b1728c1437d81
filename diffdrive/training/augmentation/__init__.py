"""Changes of training samples. Each file changes one thing, and all that shows it together."""

from diffdrive.training.augmentation.mirroring import mirror, mirror_some

__all__ = ["mirror", "mirror_some"]
