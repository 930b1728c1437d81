"""Which frames of NAVSIM logs become the present of a scene."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.openscene.format import FRAME_INTERVAL_S
from diffdrive.openscene.log_index import LogIndex
from diffdrive.sources.windows import SceneWindow

Place = tuple[int, int]
"""Number of the log, number of the frame in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneChoice:
    """The rules of a selection, which are those of the devkit's ``SceneFilter`` but for gaps."""

    window: SceneWindow
    has_route: bool = True
    """Leave out scenes whose present lists no road block."""

    across_gaps: bool = False
    """Take neighbouring entries of a log for half a second apart whatever their times, as the devkit does."""

    tokens: frozenset[str] | None = None
    """These scenes alone."""

    def places(self, logs: Sequence[LogIndex]) -> dict[str, Place]:
        """Where each chosen scene's present is, by its token, log by log in order of time.

        Raises ``InputError`` for a token that is there twice, and for tokens that were asked for and give no scene.
        """
        places: dict[str, Place] = {}
        for number, log in enumerate(logs):
            for frame in self._presents(log).tolist():
                token = log.tokens[frame]
                if (self.has_route and not log.has_route[frame]) or (self.tokens is not None and token not in self.tokens):
                    continue
                if token in places:
                    raise InputError(
                        f"Token '{token}' is twice in the logs: in '{logs[places[token][0]].path}' and in '{log.path}'. "
                        "Remove the copy."
                    )
                places[token] = number, frame
        if self.tokens is not None and len(places) < len(self.tokens):
            raise InputError(self._what_lacks(self.tokens - places.keys(), logs))
        return places

    def _presents(self, log: LogIndex) -> np.ndarray:
        window = self.window
        if self.across_gaps or len(log.tokens) <= window.num_history + window.num_future or len(log.tokens) == 1:
            stride = max(1, round(window.stride_s / FRAME_INTERVAL_S))
            return np.arange(window.num_history, len(log.tokens) - window.num_future, stride)
        try:
            return window.presents(log.timestamps_us)
        except InputError as error:
            raise InputError(f"Log '{log.path}': {error}") from error

    def _what_lacks(self, tokens: Collection[str], logs: Sequence[LogIndex]) -> str:
        found = {token: (log, frame) for log in logs for frame, token in enumerate(log.tokens) if token in tokens}
        reasons: dict[str, list[str]] = {}
        for token in sorted(tokens):
            reason = self._reason(*found[token]) if token in found else "in none of the logs: copy all of the split"
            reasons.setdefault(reason, []).append(token)
        told = "; ".join(f"{len(named)} {reason} (for example {named[0]})" for reason, named in reasons.items())
        return f"{len(tokens)} of the tokens that were asked for give no scene: {told}."

    def _reason(self, log: LogIndex, frame: int) -> str:
        before, after = self.window.num_history, self.window.num_future
        if not before <= frame < len(log.tokens) - after:
            return f"without {before} frames before and {after} after them in their log: ask for less history_s and future_s"
        if self.has_route and not log.has_route[frame]:
            return "without a route: pass has_route=False, or has_route: false in the scene filter"
        if not self.across_gaps and not self._is_whole(log.timestamps_us[frame - before : frame + after + 1]):
            return "at a gap in their log: pass across_gaps=True (--across-gaps) to take them as the devkit does"
        return f"between two strides of {self.window.stride_s:g} s: lower stride_s"

    def _is_whole(self, times_us: np.ndarray) -> bool:
        return len(times_us) < 2 or len(self.window.presents(times_us)) > 0
