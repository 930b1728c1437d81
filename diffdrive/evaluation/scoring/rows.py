"""What the scoring of one planner in one scene by one metric leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SubScore:
    """One sub-score, and where it was lost; a reason is None where nothing was lost or where it has no meaning."""

    value: float
    """0..1; NaN for extended comfort without a preceding scene."""

    step: int | None = None
    """The simulated step, of 0.1 s, that decided."""

    agent: str | None = None
    """Token of the road user that decided."""

    corner: str | None = None
    """The part of the ego that decided."""

    is_forgiven: bool = False
    """Raised to one by the human filter: the human lost it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneScore:
    """One row of results. A scene that could not be scored has an ``error``, no sub-scores, and NaN for a total."""

    planner: str
    metric: str
    token: str
    log_name: str
    timestamp_us: int
    command: str | None = None
    """The driving command's name; None where the scene could not be loaded."""

    speed_mps: float | None = None
    """At t = 0."""

    total: float = math.nan
    """0..1."""

    sub_scores: Mapping[str, SubScore] = field(default_factory=dict)
    """By name, in the order of the metric's rules."""

    ade_m: float | None = None
    """Mean distance from the driven trajectory; None where there is nothing to compare with."""

    fde_m: float | None = None
    """Distance of the last pose."""

    error: str = ""

    @property
    def is_scored(self) -> bool:
        return not self.error
