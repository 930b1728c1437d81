"""The few things that are CUDA about a CUDA graph, behind a protocol, so that all the rest is tested without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from diffdrive.contracts import InputError

Work = Callable[[], None]

NUM_WARM_UP_RUNS = 3
"""Before recording: libraries choose their algorithms and allocate their workspaces in the first runs."""


class Recorder(Protocol):
    """Records work on fixed buffers, so that it can be repeated with one call to the driver."""

    @property
    def device(self) -> torch.device:
        """Where the work runs."""

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Zeros in host memory that the device reads and writes directly."""

    def ordered(self) -> AbstractContextManager[Any]:
        """Work inside goes to the recorder's own queue, behind what the caller has queued so far."""

    def capture(self, work: Work) -> Work:
        """Run ``work`` a few times, record it, and return what replays the recording. Raises where that fails.

        To be called within ``ordered``.
        """

    def synchronize(self) -> None:
        """Wait until everything in the queue is done, and raise what went wrong there."""


class CudaRecorder:
    """CUDA graphs on a stream and in a memory pool of their own, so that several engines do not meet.

    Its graphs share the pool. That is sound because they never run at the same time, and because each of them reads only
    fixed buffers and what it wrote itself; what staged graphs hand on is kept alive and thus not given out again.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Zeros in pinned memory."""
        return torch.zeros(shape, dtype=dtype, pin_memory=True)

    @contextmanager
    def ordered(self) -> Iterator[None]:
        """The recorder's stream, behind the caller's."""
        with torch.cuda.device(self.device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                yield

    def capture(self, work: Work) -> Work:
        """Warm up, capture, instantiate."""
        for _ in range(NUM_WARM_UP_RUNS):
            work()
        self.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: what other threads do meanwhile (another engine's allocation) is none of this graph's business.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                work()
        except Exception as error:
            # Ending a broken capture raises once more; what broke it says more.
            raise error.__context__ or error from None
        return graph.replay

    def synchronize(self) -> None:
        """Wait for the stream."""
        self._stream.synchronize()


def cuda_device(device: str) -> torch.device | str:
    """The CUDA device called ``device``; or a sentence that says why there is none: no CUDA here, or the CPU was asked for.

    Raises ``InputError`` for a CUDA device beyond those that are there, and for devices of other kinds.
    """
    wanted = torch.device(device)
    if wanted.type not in ("cpu", "cuda"):
        raise InputError(f"CUDA graphs run on device 'cuda' (or 'cuda:N'), got '{device}'. Use the engine 'eager' there.")
    if wanted.type == "cpu":
        return "CUDA graphs need device 'cuda', but 'cpu' was asked for: the eager engine runs there."
    if not torch.cuda.is_available():
        return f"'{device}' was asked for, but there is no CUDA here: the eager engine runs on the CPU."
    index = torch.cuda.current_device() if wanted.index is None else wanted.index
    if index >= torch.cuda.device_count():
        raise InputError(f"There is no device '{device}': this machine has {torch.cuda.device_count()}, counted from cuda:0.")
    return torch.device("cuda", index)


@contextmanager
def measured_convolutions() -> Iterator[None]:
    """Let cuDNN measure which algorithm is fastest wherever a convolution runs for the first time, and remember it.

    Put around the very first run: eager work and recordings then use the same algorithms. The process's setting is kept.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
