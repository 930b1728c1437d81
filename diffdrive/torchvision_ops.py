"""Let timm and Lightning import on a CPU build of torch.

torchvision wheels from the package index are CUDA builds. Beside a CPU torch their compiled operators do not load, and
``import torchvision`` stops with ``operator torchvision::nms does not exist``, although nothing here calls an operator.
Declaring the two schemas that torchvision registers fake kernels for is enough. Where torch has CUDA nothing is declared.

Call ``declare_missing_ops()`` before the first import of torchvision, timm or pytorch_lightning. diffdrive does so itself;
a script that imports Lightning first can do the same: ``from diffdrive.torchvision_ops import declare_missing_ops``.
"""

from __future__ import annotations

import sys

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: torch.library.Library | None = None  # the declarations live as long as this object


def declare_missing_ops() -> None:
    """Declare the schemas once, only where torch has no CUDA and torchvision was not imported yet."""
    global _library
    if _library is not None or torch.version.cuda is not None or "torchvision" in sys.modules:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        name = schema.split("(", 1)[0]
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    _library = library
