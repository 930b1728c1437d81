"""Scripted events on top of simulated traffic: a seed plans them, small controllers act them out during the SUMO run.

plan_events(network, seed, config) -> EventPlan    (before the run)
Director(plan).step(sumo, traffic)                 (in SUMO's process, once a step)
standing_things(plan, network), shifted_front(...) (after the run)
"""

from diffdrive.world.traffic.events.config import EventConfig
from diffdrive.world.traffic.events.plan import EventPlan, plan_events, read_plan, write_plan

__all__ = ["EventConfig", "EventPlan", "plan_events", "read_plan", "write_plan"]
