"""One drive in closed loop: plan, follow, see what the others do, judge. Nothing in it depends on the machine's clock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import Scene
from diffdrive.simulation.crowd import Crowd
from diffdrive.simulation.drivers import Drive, Driver
from diffdrive.simulation.frames import Frame
from diffdrive.simulation.infractions import Infraction, PenaltyConfig, driving_score
from diffdrive.simulation.judging import conduct_of
from diffdrive.simulation.record import EndReason, EpisodeRecord, EventSeen
from diffdrive.simulation.route import Route
from diffdrive.simulation.stage import Stage, Start
from diffdrive.simulation.trace import Trace, follow
from diffdrive.simulation.traffic import Traffic
from diffdrive.simulation.view import Sensors, View
from diffdrive.simulation.watch import Contacts, RedLights, time_to_collision
from diffdrive.vehicle.state import VELOCITY_X
from diffdrive.world.traffic.events.story import Happening
from diffdrive.world.traffic.recording import INTERVAL_S

_HZ = round(1.0 / INTERVAL_S)
_REACH_M = 40.0
"""Of an event, as in ``world.events.Event``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeConfig:
    """How long a drive is, how often it is planned, and what costs how much."""

    duration_s: float = 30.0
    replan_hz: float = 2.0
    """Plans a second: 10, 5, 2 or 1."""

    off_route_m: float = 30.0
    """Farther from the route's line than this, the drive is over."""

    penalties: PenaltyConfig = field(default_factory=PenaltyConfig)

    def __post_init__(self) -> None:
        if self.replan_hz not in (10.0, 5.0, 2.0, 1.0):
            raise InputError(
                f"EpisodeConfig.replan_hz is 10, 5, 2 or 1: whole steps of {INTERVAL_S} s, got {self.replan_hz:g}."
            )
        if not (self.duration_s >= 1.0 and self.off_route_m > 0):
            raise InputError(
                f"EpisodeConfig needs a second or more and a positive off_route_m, "
                f"got {self.duration_s} s and {self.off_route_m} m."
            )

    @property
    def num_steps(self) -> int:
        return round(self.duration_s / INTERVAL_S)

    @property
    def steps_per_plan(self) -> int:
        return round(_HZ / self.replan_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A step of a drive, as a spectator sees it. ``trace`` grows on."""

    trace: Trace
    view: View
    scene: Scene
    """Of the last plan, with what sensors the driver was shown."""

    drive: Drive
    """The last plan."""

    infractions: tuple[Infraction, ...]


class Spectator(Protocol):
    """Somebody who looks on: who makes a film, for example."""

    def see(self, moment: Moment) -> None:
        """After every step."""


class _Drive:
    """The state of one drive."""

    def __init__(self, stage: Stage, start: Start, traffic: Traffic) -> None:
        briefing = traffic.begin()
        self.traffic, self.view = traffic, View(stage, start)
        self.trace = Trace(start, Route(start))
        self.crowd = Crowd(stage, start.ego, briefing)
        self.contacts, self.red_lights = Contacts(), RedLights(stage)
        self.infractions: list[Infraction] = []
        self.statuses: Counter[str] = Counter()
        self.min_ttc_s = math.inf
        self._look(briefing.frames[-1])
        self.contacts.watch(self.trace, self.view)

    def advance(self, state: np.ndarray) -> None:
        """One step of 0.1 s, at whose end the ego is in ``state`` [11]."""
        frame = self.traffic.move(state[:3], float(state[VELOCITY_X]))
        self.trace.move(state)
        self._look(frame)
        self.infractions += self.contacts.watch(self.trace, self.view)
        self.infractions += self.red_lights.watch(self.trace)
        self.min_ttc_s = min(self.min_ttc_s, time_to_collision(state, self.trace.agents[-1]))

    def _look(self, frame: Frame) -> None:
        self.trace.see(self.crowd.see(frame), self.crowd.lights(frame))

    def end(self, config: EpisodeConfig) -> EndReason | None:
        """Why the drive is over; None while it is not."""
        trace = self.trace
        if any(infraction.kind.is_collision for infraction in self.infractions):
            return EndReason.COLLISION
        if trace.arcs[-1] >= trace.route.goal:
            return EndReason.GOAL
        if trace.asides[-1] > config.off_route_m:
            return EndReason.OFF_ROUTE
        return EndReason.TIME if trace.step >= config.num_steps else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Who drives, and under which name the drive is filed."""

    driver: Driver
    name: str
    checkpoint: str = ""
    """Digest of the network's weights."""

    sensors: Sensors | None = None
    """What draws images and sweeps, where the driver needs them."""


def drive_episode(
    stage: Stage,
    start: Start,
    traffic: Traffic,
    wheel: Wheel,
    config: EpisodeConfig,
    spectators: Sequence[Spectator] = (),
) -> EpisodeRecord:
    """Let ``wheel.driver`` drive from ``start``. The same arguments give the same record.

    Raises ``TrafficError`` where SUMO fails, and whatever the driver raises.
    """
    if wheel.driver.needs_sensors and wheel.sensors is None:
        raise InputError(f"Driver '{wheel.name}' looks at cameras and LiDAR, and nothing here renders them.")
    drive = _Drive(stage, start, traffic)
    trace = drive.trace
    end: EndReason | None = None
    while end is None:
        scene = drive.view.scene(trace, trace.step)
        if wheel.driver.needs_sensors and wheel.sensors is not None:
            scene = wheel.sensors.add_to(scene, stage)
        answer = wheel.driver.drive(scene)
        drive.statuses[answer.status] += 1
        ahead = follow(trace.state, answer.trajectory, trace.timestamp_us(trace.step))
        for state in ahead[: config.steps_per_plan]:
            drive.advance(state)
            for spectator in spectators:
                spectator.see(
                    Moment(trace=trace, view=drive.view, scene=scene, drive=answer, infractions=tuple(drive.infractions))
                )
            end = drive.end(config)
            if end is not None:
                break
    return _record(drive, start, wheel, config, end)


def _record(drive: _Drive, start: Start, wheel: Wheel, config: EpisodeConfig, end: EndReason) -> EpisodeRecord:
    trace, happenings = drive.trace, drive.traffic.end()
    conduct = conduct_of(trace, drive.view)
    completion = trace.route.completion(trace.arcs[-1])
    score = driving_score(completion, drive.infractions, conduct.off_road_share, conduct.wrong_way_share, config.penalties)
    states = trace.states(0, trace.step)
    return EpisodeRecord(
        episode=start.name,
        driver=wheel.name,
        checkpoint=wheel.checkpoint,
        replan_hz=config.replan_hz,
        driving_score=score,
        route_completion=completion,
        end=end,
        duration_s=round(trace.step * INTERVAL_S, 1),
        driven_m=float(np.hypot(*np.diff(states[:, :2], axis=0).T).sum()),
        route_m=trace.route.length_m,
        infractions=tuple(drive.infractions),
        contacts_without_fault=tuple(drive.contacts.blameless),
        off_road_share=conduct.off_road_share,
        wrong_way_share=conduct.wrong_way_share,
        comfort=conduct.comfort,
        time_to_collision=conduct.time_to_collision,
        min_ttc_s=round(drive.min_ttc_s, 1) if math.isfinite(drive.min_ttc_s) else None,
        events=_events_seen(trace, happenings),
        statuses=dict(sorted(drive.statuses.items())),
        poses=tuple((round(x, 3), round(y, 3), round(turn, 4)) for x, y, turn in states[:, :3].tolist()),
    )


def _events_seen(trace: Trace, happenings: Sequence[Happening]) -> tuple[EventSeen, ...]:
    """The events that came within reach of the ego, from when to when they were."""
    places = [dict(zip(agents.track_tokens, agents.boxes[:, :2], strict=True)) for agents in trace.agents]
    seen = []
    for told in happenings:
        first, last = (round(time / INTERVAL_S) - trace.first_step for time in (told.first_s, told.last_s))
        near = [
            step
            for step in range(max(first, 0), min(last, trace.step) + 1)
            if any(_is_near(places[step].get(token), trace.states(step, step)[0]) for token in told.tokens)
        ]
        if near:
            times = (round(near[0] * INTERVAL_S, 1), round(near[-1] * INTERVAL_S, 1))
            seen.append(EventSeen(kind=told.kind.value, tokens=told.tokens, first_s=times[0], last_s=times[1]))
    return tuple(seen)


def _is_near(place: np.ndarray | None, state: np.ndarray) -> bool:
    return place is not None and bool(np.hypot(*(place - state[:2])) <= _REACH_M)
