"""Planners as people type them: a name in any spelling, or the folder of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffdrive.contracts import InputError

NETWORK = "network"
SIMPLE = ("constant_velocity", "constant_turn_rate", "ego_status_mlp")
BOUNDS = ("human", "pdm_closed")
"""No planners: they know what happened next, or what the score is computed from. Only scores of scenes can use them."""

ALIASES = {"ego_mlp": "ego_status_mlp"}


@dataclass(frozen=True, slots=True)
class PlannerName:
    """A planner that somebody asked for."""

    kind: str
    """``network``, or a name in ``SIMPLE`` or ``BOUNDS``."""

    folder: Path | None = None
    """The checkpoint of a network that was named by its folder."""

    @classmethod
    def parse(cls, word: str) -> PlannerName:
        """A known name, with dashes or underscores, or a folder. Raises ``InputError`` for neither."""
        name = word.strip().lower().replace("-", "_")
        name = ALIASES.get(name, name)
        if name in (NETWORK, *SIMPLE, *BOUNDS):
            return cls(name)
        if Path(word).is_dir():
            return cls(NETWORK, Path(word))
        known = ", ".join((NETWORK, *SIMPLE, *BOUNDS))
        raise InputError(f"There is no planner '{word}'. Known planners: {known}, or the folder of a checkpoint.")


def parse_planners(words: Sequence[str]) -> tuple[PlannerName, ...]:
    """Planners from words, each of which may hold several separated by commas. Raises ``InputError`` for unknown ones."""
    names = [PlannerName.parse(part) for word in words for part in word.split(",") if part.strip()]
    if not names or len(set(names)) != len(names):
        raise InputError(f"Name at least one planner, and every planner once, got: {' '.join(words) or 'none'}.")
    return tuple(names)
