"""The one import of Lightning: declares what a CPU build of torch lacks, and names the extra when Lightning is missing."""

from __future__ import annotations

from diffdrive.torchvision_ops import declare_missing_ops

declare_missing_ops()

try:
    import pytorch_lightning as pl
    from lightning_fabric.plugins import TorchCheckpointIO, environments
except ImportError as error:
    raise ImportError("Training needs PyTorch Lightning: pip install 'diffdrive[train]'") from error

__all__ = ["TorchCheckpointIO", "environments", "pl"]
