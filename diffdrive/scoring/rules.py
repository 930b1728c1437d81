"""Which rules a score follows: one table for each metric.

Sources: NAVSIM v1.1 (Dauner et al. 2024, arXiv 2406.15349, eq. 1) and NAVSIM v2.2 (Cao et al. 2025, arXiv 2506.04218, eq. 1).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from diffdrive.contracts import InputError

INTERVAL_S = 0.1
"""Time between simulated states."""

MAP_RADIUS_M = 250.0
"""How far around the ego the map of a scene should reach. PDM-Closed, by whose progress everybody's is measured, slows down for
the end of what it knows of its route: with 120 m a total came out 0.0075 off, with 250 m none by more than 0.0001."""

NUM_STEPS = 41
"""Simulated states: t = 0, 0.1, ... 4 s."""


class Protocol(enum.Enum):
    """Whose rules prepare a scene and judge it. The values are NAVSIM's versions."""

    V1 = "v1.1"
    V2 = "v2.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How sub-scores become one score: the product of ``multipliers`` times the mean of ``weights``."""

    name: str
    protocol: Protocol
    multipliers: tuple[str, ...]
    weights: dict[str, float]
    """Sub-scores of the weighted mean. A sub-score that a scene lacks (extended comfort) leaves the mean."""

    reported: tuple[str, ...] = ()
    """Sub-scores that are computed and shown, and count for nothing."""

    observation_steps: int
    """Steps of 0.1 s for which traffic is known, t = 0 included."""

    collision_time_steps: int
    """Steps at which the time to collision is checked."""

    filter_reaches_total: bool = True
    """Whether what the human filter forgives changes the total, or only the sub-scores that are shown."""

    @property
    def sub_scores(self) -> tuple[str, ...]:
        """Every sub-score, in the order of tables."""
        return (*self.multipliers, *self.weights, *self.reported)


PDMS = Rules(
    name="pdms",
    protocol=Protocol.V1,
    multipliers=("no_at_fault_collisions", "drivable_area_compliance"),
    weights={"ego_progress": 5.0, "time_to_collision": 5.0, "comfort": 2.0},
    reported=("driving_direction_compliance",),
    observation_steps=51,
    collision_time_steps=41,
)

EPDMS = Rules(
    name="epdms",
    protocol=Protocol.V2,
    multipliers=(
        "no_at_fault_collisions",
        "drivable_area_compliance",
        "driving_direction_compliance",
        "traffic_light_compliance",
    ),
    weights={
        "ego_progress": 5.0,
        "time_to_collision": 5.0,
        "lane_keeping": 2.0,
        "history_comfort": 2.0,
        "extended_comfort": 2.0,
    },
    observation_steps=41,
    collision_time_steps=32,
)

EPDMS_PREFIX = Rules(
    name="epdms_prefix",
    protocol=EPDMS.protocol,
    multipliers=EPDMS.multipliers,
    weights=EPDMS.weights,
    observation_steps=EPDMS.observation_steps,
    collision_time_steps=EPDMS.collision_time_steps,
    filter_reaches_total=False,
)
"""EPDMS as NAVSIM v2 computed it before its fix of 2025-09-29, and as most papers print it: the human filter changed the
sub-scores and left the total."""

METRICS = {rules.name: rules for rules in (PDMS, EPDMS, EPDMS_PREFIX)}


def rules_of(metric: str) -> Rules:
    """The rules called ``metric``. Raises ``InputError`` for another name."""
    if metric not in METRICS:
        raise InputError(f"There is no metric '{metric}'. Known metrics: {', '.join(METRICS)}.")
    return METRICS[metric]
