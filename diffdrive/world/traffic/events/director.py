"""Runs all scripts of a town, step by step, inside the simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffdrive.world.traffic.events.bottleneck import BottleneckScript
from diffdrive.world.traffic.events.cut_in import CutInScript
from diffdrive.world.traffic.events.jaywalker import JaywalkerScript
from diffdrive.world.traffic.events.leaders import HardBrakeScript, StopAndGoScript
from diffdrive.world.traffic.events.plan import EventPlan
from diffdrive.world.traffic.events.story import Happening, Script
from diffdrive.world.traffic.events.streets import Reins, Streets


class Director:
    """What a plan becomes while SUMO runs. Everything is drawn from the plan's seed."""

    def __init__(self, plan: EventPlan, interval_s: float) -> None:
        rngs = [np.random.default_rng([plan.seed, 8, k]) for k in range(3)]
        self.walkers = tuple(JaywalkerScript(site) for site in plan.crossings)
        self._scripts: tuple[Script, ...] = (
            *(BottleneckScript(site) for site in plan.bottlenecks),
            *self.walkers,
            HardBrakeScript(rngs[0], plan.config.hard_brake_share),
            StopAndGoScript(rngs[1], plan.config.stop_and_go_share),
        )
        self._cut_ins = CutInScript(rngs[2], plan.config.cut_in_share)
        self._reins = Reins(interval_s)
        self.no_start = {gate.edge_id for site in plan.bottlenecks for gate in (site.ahead, site.oncoming)}
        """Streets on which nobody may appear: what blocks them is not there for SUMO."""

    def step(self, sumo: Any, streets: Streets) -> None:
        """Between two steps of SUMO."""
        for script in self._scripts:
            script.step(streets, self._reins)
        self._cut_ins.step(sumo, streets, self._reins)
        self._reins.apply(sumo, streets)

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        """All that happened, in order of time."""
        told = [happening for script in self._scripts for happening in script.happenings(end_s)]
        told += self._cut_ins.happenings(end_s)
        return tuple(sorted(told, key=lambda h: (h.first_s, h.kind.value, h.tokens)))
