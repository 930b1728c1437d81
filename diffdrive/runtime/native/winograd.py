"""Winograd convolutions in the place of the inference network's own, where they fit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.inference import ConvLayer
from diffdrive.runtime.native.library import NativeLibrary, load_library

CHANNELS = 8
"""Channel counts must be multiples of this."""

# F(4 x 4, 3 x 3): what is done to a kernel, one axis. The rest is in winograd.cpp.
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


class WinogradConv(nn.Module):
    """What ``layer`` computes. Float32 on the CPU; its weights take four times the memory."""

    kernel: Tensor
    bias: Tensor

    def __init__(self, layer: ConvLayer, library: NativeLibrary) -> None:
        super().__init__()
        self.relu = layer.relu
        one_axis = torch.tensor(_KERNEL, dtype=torch.float64)
        kernel = torch.einsum("ai,bj,oqij->abqo", one_axis, one_axis, layer.weight.double()).flatten(0, 1).float()
        whole_panels = F.pad(kernel, (0, -kernel.shape[2] % library.panel))
        self.register_buffer("kernel", whole_panels.unflatten(2, (-1, library.panel)).transpose(1, 2).contiguous())
        self.register_buffer("bias", layer.bias.clone())

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """[B, C, H, W] to [B, C', H, W], plus ``added`` of that shape."""
        return winograd_conv(x, self.kernel, self.bias, added, self.relu)


def use_winograd(network: nn.Module) -> int:
    """Replace every fitting ``ConvLayer`` inside ``network``; returns how many. Every one that fits is faster this way.

    Raises ``NativeUnavailableError`` where the kernels cannot be compiled; nothing is replaced then.
    """
    library = load_library()
    replaced = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ConvLayer) and fits(child):
                setattr(parent, name, WinogradConv(child, library))
                replaced += 1
    return replaced


def fits(layer: ConvLayer) -> bool:
    """3 x 3, stride 1, padding 1, whole vectors of channels, float32 on the CPU."""
    outputs, inputs, rows, columns = layer.weight.shape
    same_size = (rows, columns, layer.stride, layer.padding) == (3, 3, (1, 1), (1, 1))
    plain = layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu"
    return same_size and plain and inputs % CHANNELS == 0 and outputs % CHANNELS == 0


@torch.library.custom_op("diffdrive::winograd_conv", mutates_args=())
def winograd_conv(x: Tensor, kernel: Tensor, bias: Tensor, added: Tensor | None, relu: bool) -> Tensor:
    """An operation of its own, so that torch.compile can build around it."""
    x = x.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = x.shape
    y = torch.empty((batch, len(bias), height, width), dtype=x.dtype, memory_format=torch.channels_last)
    if added is not None:
        added = added.contiguous(memory_format=torch.channels_last)
    failed = load_library().functions.winograd_conv(
        x.data_ptr(), kernel.data_ptr(), bias.data_ptr(), None if added is None else added.data_ptr(), y.data_ptr(),
        batch, height, width, channels, len(bias), int(relu),
    )  # fmt: skip
    if failed:
        raise MemoryError(f"No memory for the scratch of a convolution of {list(x.shape)}.")
    return y


@winograd_conv.register_fake
def _(x: Tensor, kernel: Tensor, bias: Tensor, added: Tensor | None, relu: bool) -> Tensor:
    batch, _, height, width = x.shape
    size = (batch, len(bias), height, width)
    return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
