"""Which number formats pay on which device."""

from __future__ import annotations

import torch

from diffdrive.runtime.engine import Precision


def usable_precision(wanted: Precision, device: torch.device) -> tuple[Precision, str]:
    """``wanted``, or float32 and a sentence that says why.

    A processor without instructions for half precision emulates it, slower than float32 and less exact: nobody gains.
    """
    if wanted is Precision.FLOAT32 or device.type != "cpu":
        return wanted, ""
    has_instructions = {
        Precision.BFLOAT16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        Precision.FLOAT16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }[wanted]
    if torch.backends.mkldnn.is_available() and has_instructions():
        return wanted, ""
    return Precision.FLOAT32, f"This processor has no instructions for {wanted.value}, so the network runs in fp32."
