"""What is to be scored: scenes, planners, metrics and options in one value that travels to any worker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring.chunks import Chunk, cut
from diffdrive.evaluation.scoring.digest import code_digest
from diffdrive.evaluation.scoring.entrants import Entrant
from diffdrive.scene import Modality, SceneSource
from diffdrive.scoring.rules import INTERVAL_S, Rules, rules_of

DEFAULT_METRICS = ("pdms", "epdms")


def future_needed_s(metrics: tuple[str, ...]) -> float:
    """How much future scenes must hold to be scored by ``metrics``. Raises ``InputError`` for an unknown metric."""
    return max((rules_of(metric).observation_steps - 1) * INTERVAL_S for metric in metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringJob:
    """Score every planner in every scene by every metric."""

    source: SceneSource
    entrants: tuple[Entrant, ...]
    tokens: tuple[str, ...]
    metrics: tuple[str, ...] = DEFAULT_METRICS
    human_filter: bool = True
    corrected: bool = False
    """Judge without the devkit's known mistakes; such scores compare with no published ones."""

    prepared: Path | None = None
    """A folder that keeps prepared scenes for the next job."""

    chunk_size: int = 16
    """Scenes that one worker scores together."""

    def __post_init__(self) -> None:
        names = [entrant.name for entrant in self.entrants]
        for what, given in (("planner", names), ("metric", self.metrics), ("scene", self.tokens)):
            if not given or len(set(given)) != len(given):
                twice = sorted({name for name in given if list(given).count(name) > 1})[:3] if given else []
                raise InputError(
                    f"A scoring job needs at least one {what} and every {what} once, got {len(given)}"
                    + (f", repeated: {', '.join(twice)}." if twice else ".")
                )
        for metric in self.metrics:
            rules_of(metric)
        if Modality.FUTURE not in self.source.modalities:
            raise InputError(f"Source '{self.source.name}' has no recorded futures, which scores need. Use driving logs.")

    @property
    def rules(self) -> tuple[Rules, ...]:
        """Of each metric."""
        return tuple(rules_of(metric) for metric in self.metrics)

    @property
    def needs_sensors(self) -> bool:
        return any(entrant.needs_sensors for entrant in self.entrants)

    def chunks(self) -> tuple[Chunk, ...]:
        """The units of work."""
        pairs = any("extended_comfort" in rules.sub_scores for rules in self.rules)
        return cut(self.source, self.tokens, self.chunk_size, pairs=pairs)

    def description(self) -> dict[str, Any]:
        """Everything that results depend on, as JSON holds it: runs with equal descriptions may be mixed."""
        scenes = hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()[:12]
        return {
            "planners": {entrant.name: entrant.identity for entrant in self.entrants},
            "metrics": list(self.metrics),
            "human filter": self.human_filter,
            "corrected": self.corrected,
            "source": self.source.name,
            "scenes": f"{len(self.tokens)} with digest {scenes}",
            "scenes a chunk": self.chunk_size,
            "scoring code": code_digest(),
        }
