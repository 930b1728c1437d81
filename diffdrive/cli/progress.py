"""How far a long job is: a bar on a terminal, a line now and then anywhere else. Both go to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from diffdrive.evaluation.scoring import Progress
    from diffdrive.scene import Scene

_WIDTH = 28
_CLEAR = "\r\x1b[K"


@dataclass(slots=True, kw_only=True)
class ProgressReporter:
    """Call it with every ``Progress``. A chunk that was lost is told in a line of its own, at once."""

    every_s: float = 5.0
    """Between lines, where there is no terminal."""

    clock: Callable[[], float] = time.monotonic
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _start: float | None = None
    _last: float = 0.0

    def __call__(self, progress: Progress) -> None:
        now = self.clock()
        if self._start is None:
            self._start = self._last = now
        is_terminal, is_done = self.stream.isatty(), progress.num_done == progress.num_scenes
        if progress.lost:
            self._write(f"{_CLEAR if is_terminal else ''}  {progress.lost}; its scenes will be tried once more\n")
        text = describe_progress(progress, now - self._start)
        if is_terminal:
            filled = round(_WIDTH * progress.num_done / progress.num_scenes)
            self._write(f"{_CLEAR}  [{'#' * filled}{'.' * (_WIDTH - filled)}] {text}" + ("\n" if is_done else ""))
        elif is_done or now - self._last >= self.every_s:
            self._last = now
            self._write(f"  {text}\n")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def scene_progress(num_scenes: int, reporter: ProgressReporter | None = None) -> Callable[[int, Scene], None]:
    """A callback for loops over scenes that tells ``reporter`` how many are done."""
    from diffdrive.evaluation.scoring import Progress

    show = reporter or ProgressReporter()

    def tell(done: int, scene: Scene | None) -> None:
        show(Progress(num_scenes=num_scenes, num_done=done, num_kept=0, num_failed=0))

    tell(0, None)  # the clock starts before the first scene
    return tell


def describe_progress(progress: Progress, elapsed_s: float) -> str:
    """Scenes done, failed and kept from before, and how long the rest will take at the present pace."""
    parts = [f"{progress.num_done} of {progress.num_scenes} scenes"]
    if progress.num_kept:
        parts.append(f"{progress.num_kept} from an earlier run")
    if progress.num_failed:
        parts.append(f"{progress.num_failed} failed")
    parts.append(f"{elapsed_s:.0f} s")
    worked, left = progress.num_done - progress.num_kept, progress.num_scenes - progress.num_done
    if worked and left:
        parts.append(f"about {left * elapsed_s / worked:.0f} s left")
    return ", ".join(parts)
