"""Cut a job into units of work: consecutive scenes of one log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from diffdrive.contracts import InputError
from diffdrive.scene import SceneSource

MAX_PAIR_S = 0.55
"""Scenes of one log up to this far apart are a pair for extended comfort (NAVSIM v2.2)."""


class SceneAddress(Protocol):
    """Where a scene is."""

    @property
    def log_name(self) -> str:
        """The drive it was cut from."""

    @property
    def timestamp_us(self) -> int:
        """Its t = 0."""


@runtime_checkable
class LogSource(SceneSource, Protocol):
    """A source that knows where its scenes are without loading them, as the sources of driving logs do."""

    def info(self, token: str) -> SceneAddress:
        """Log and time of a scene. Raises ``InputError`` for an unknown token."""


@dataclass(frozen=True, slots=True)
class Place:
    """A scene that is to be scored, and when in its log it is."""

    token: str
    log_name: str
    timestamp_us: int

    def follows(self, other: Place) -> bool:
        """Whether ``other`` is close enough before this scene for the two to be a pair."""
        gap_s = (self.timestamp_us - other.timestamp_us) * 1e-6
        return self.log_name == other.log_name and 0 < gap_s <= MAX_PAIR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive scenes of one log, which one worker scores together."""

    index: int
    scenes: tuple[Place, ...]
    lead: Place | None = None
    """The scene before them, which another chunk reports: planned again here, because the first scene's extended comfort
    needs it."""

    @property
    def places(self) -> tuple[Place, ...]:
        """Everything to plan, in order of time."""
        return (*([self.lead] if self.lead else []), *self.scenes)


def cut(source: SceneSource, tokens: Sequence[str], size: int, *, pairs: bool) -> tuple[Chunk, ...]:
    """Chunks of at most ``size`` scenes; ``pairs`` says whether a metric compares a scene with the one before it.

    The cut depends on nothing but the scenes, so a run can be continued by any number of workers of any kind. Raises
    ``InputError`` for a source that does not say which log a scene is from.
    """
    if not isinstance(source, LogSource):
        raise InputError(f"Source '{source.name}' does not say which log a scene is from. Score scenes of driving logs.")
    if size < 1:
        raise InputError(f"A chunk needs at least one scene, got a size of {size}.")
    logs: dict[str, list[Place]] = {}
    for token in tokens:
        info = source.info(token)
        logs.setdefault(info.log_name, []).append(Place(token, info.log_name, info.timestamp_us))
    chunks: list[Chunk] = []
    for places in logs.values():
        places.sort(key=lambda place: place.timestamp_us)
        for start in range(0, len(places), size):
            before = places[start - 1] if start and pairs else None
            lead = before if before and places[start].follows(before) else None
            chunks.append(Chunk(index=len(chunks), scenes=tuple(places[start : start + size]), lead=lead))
    return tuple(chunks)
