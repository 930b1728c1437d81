"""A chain of stages over fixed buffers: recorded once and replayed, or run stage by stage where that is not to be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diffdrive.runtime.engine import StageMark, no_mark
from diffdrive.runtime.errors import describe
from diffdrive.runtime.graph.recorder import Recorder, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Work that reads fixed buffers and what the stages before it left, and does the same every time."""

    name: str
    work: Work


class GraphProgram:
    """``stages`` in order, as one graph. For a caller who times stages there is one graph each, recorded on first use."""

    def __init__(self, stages: Sequence[Stage], recorder: Recorder) -> None:
        self.degraded = ""
        self._stages = tuple(stages)
        self._recorder = recorder
        self._replay: Work | None = None
        self._staged: tuple[Stage, ...] | None = None

    def record(self, trial: Callable[[Work, Work], str]) -> None:
        """Record the whole chain, or fall back to eager work and let ``degraded`` say why. Does nothing after a fall-back.

        ``trial`` gets the eager work and the replay and says what is wrong with the latter; empty when nothing is. What
        it raises counts as wrong too. To be called within ``Recorder.ordered``.
        """
        if self.degraded:
            return
        try:
            replay = self._recorder.capture(self.run_eagerly)
        except Exception as error:  # whatever a driver or a library objects to, there is still the eager way
            self.fall_back(f"The CUDA graph could not be recorded ({describe(error)}), so the network runs eagerly.")
            return
        try:
            complaint = trial(self.run_eagerly, replay)
        except Exception as error:
            complaint = f"its trial stopped with {describe(error)}"
        if complaint:
            self.fall_back(f"The CUDA graph is not trusted: {complaint}. The network runs eagerly.")
        else:
            self._replay = replay

    def fall_back(self, reason: str) -> None:
        """Drop every recording; from now on the work is done eagerly."""
        self.degraded = reason
        self._replay = None
        self._staged = self._stages

    def run(self, mark: StageMark = no_mark) -> None:
        """Queue the whole chain. With a ``mark``, wait after each stage before it is told, so that clocks can be read."""
        if mark is not no_mark:
            self._run_staged(mark)
        elif self._replay is not None:
            self._replay()
        else:
            self.run_eagerly()

    def run_eagerly(self) -> None:
        """Queue the stages' own work."""
        for stage in self._stages:
            stage.work()

    def _run_staged(self, mark: StageMark) -> None:
        if self._staged is None:
            self._staged = self._record_stages()
        self._recorder.synchronize()
        for stage in self._staged:
            stage.work()
            self._recorder.synchronize()
            mark(stage.name)

    def _record_stages(self) -> tuple[Stage, ...]:
        recorded = []
        for stage in self._stages:
            replay = self._recorder.capture(stage.work)
            # Recording executes nothing, but the next stage is warmed up on what this one leaves.
            replay()
            recorded.append(Stage(name=stage.name, work=replay))
        return tuple(recorded)
