"""Kernels for this processor, compiled on it: torch has no Winograd convolution for CPUs, and it halves the time of most."""

from diffdrive.runtime.native.library import NativeLibrary, NativeUnavailableError, load_library
from diffdrive.runtime.native.winograd import WinogradConv, use_winograd

__all__ = ["NativeLibrary", "NativeUnavailableError", "WinogradConv", "load_library", "use_winograd"]
