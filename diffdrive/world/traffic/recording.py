"""What a simulated town did: tracks of every road user, signal states, collisions."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdrive.configuration import build
from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.geometry import Polyline
from diffdrive.scene import AgentKind, LightState, TrafficLight
from diffdrive.vehicle import PACIFICA
from diffdrive.world.events import Event
from diffdrive.world.roads import RoadNetwork
from diffdrive.world.traffic.demand import TrafficConfig, demand_xml
from diffdrive.world.traffic.events import EventConfig, EventPlan, plan_events, write_plan
from diffdrive.world.traffic.events.aftermath import shifted_front
from diffdrive.world.traffic.events.sites import Prop
from diffdrive.world.traffic.events.story import Happening
from diffdrive.world.traffic.lift import lift_vehicle, lift_walker
from diffdrive.world.traffic.road_users import EGO_TYPE, ROAD_USERS, RoadUser

INTERVAL_S = 0.1
# Where the rear axle of any four-wheeled body is put, as a share of its length behind the centre: as on the ego vehicle.
REAR_AXLE_SHARE = PACIFICA.rear_axle_to_center / PACIFICA.length
MIN_STEPS = 5

_LIGHTS = {"r": LightState.RED, "u": LightState.RED, "s": LightState.RED, "y": LightState.YELLOW, "g": LightState.GREEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One road user, every ``INTERVAL_S`` without gaps."""

    token: str
    type_name: str
    kind: AgentKind
    first_step: int
    poses: np.ndarray
    """[T, 3] body centre x, y, heading (continuous, not wrapped) in the world frame."""

    size: tuple[float, float, float]
    """Length, width, height, metres."""

    lane_ids: tuple[str, ...] = ()
    """Map lane at each step ('' where there is none); empty for who is on foot or parked."""

    edge_ids: tuple[str, ...] = ()
    """SUMO's streets of the planned trip; empty for who is on foot or parked."""

    def __post_init__(self) -> None:
        poses = frozen_array(self.poses, np.float64)
        Axes(f"Track '{self.token}'").check("poses", poses, "T 3", finite=True)
        object.__setattr__(self, "poses", poses)

    @property
    def last_step(self) -> int:
        return self.first_step + len(self.poses) - 1

    def rows(self, first_step: int, last_step: int) -> np.ndarray:
        """Poses [S, 3] of the steps from first to last, both included, which must lie within the track."""
        return self.poses[first_step - self.first_step : last_step + 1 - self.first_step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A whole run. Step k is at time k * INTERVAL_S."""

    steps: int
    tracks: tuple[Track, ...]
    lights: tuple[tuple[TrafficLight, ...], ...]
    """Every signal at each step."""

    collisions: tuple[tuple[int, str], ...]
    """Step and token of who was involved, by SUMO's own check."""

    events: tuple[Event, ...] = ()
    """What happened by script."""

    @property
    def ego_candidates(self) -> tuple[Track, ...]:
        """Tracks of vehicles with the ego vehicle's body."""
        return tuple(track for track in self.tracks if track.type_name.startswith(EGO_TYPE))


def record(
    network: RoadNetwork, network_file: Path, seed: int, config: TrafficConfig, events: EventConfig | None = None
) -> Recording:
    """Simulate the town's traffic, with scripted events, and lift it. Raises ``InputError`` where SUMO is missing or fails."""
    plan = plan_events(network, seed, events or EventConfig())
    files = [network_file.with_name(name) for name in ("town.rou.xml", "events.json", "run.npz")]
    files[0].write_text(demand_xml(network, seed, config))
    write_plan(files[1], plan)
    output = files[2]
    command = [sys.executable, "-m", "diffdrive.world.traffic.sumo_process", str(network_file), *map(str, files)]
    # SUMO takes a positive 31-bit seed.
    command += [str(seed % (2**31 - 1)), str(config.duration_s), str(INTERVAL_S)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        way_out = (
            "Install SUMO with: pip install 'diffdrive[world]'" if "ModuleNotFoundError" in done.stderr else "Try another seed."
        )
        raise InputError(f"SUMO could not run the town of seed {seed}: {done.stderr.strip()[-500:]} {way_out}")
    with np.load(output) as run:
        return _recording(network, plan, {name: run[name] for name in run.files})


def _recording(network: RoadNetwork, plan: EventPlan, run: dict[str, np.ndarray]) -> Recording:
    rows = run["rows"]
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    rows = rows[order]
    users = rows[:, 0].astype(int)
    starts = np.searchsorted(users, np.arange(len(run["users"]) + 1))
    lanes = [network.lane_of.get(str(name), "") for name in run["lanes"]]
    tracks = []
    for index, token in enumerate(run["users"]):
        piece = rows[starts[index] : starts[index + 1]]
        if len(piece) >= MIN_STEPS:
            edges = tuple(str(run["routes"][index]).split())
            piece = _led_round(network, plan, str(run["types"][index]), piece, lanes)
            tracks.append(_track(str(token), str(run["types"][index]), piece, lanes, edges))
    names = {str(name): k for k, name in enumerate(run["signal_names"])}
    lights = _lights(network, names, [str(state) for state in run["signals"]])
    tokens = [str(token) for token in run["users"]]
    collisions = tuple((int(step), tokens[who]) for step, *pair in run["collisions"] for who in pair if who >= 0)
    tracks += [_standing(prop, len(lights)) for site in plan.bottlenecks for prop in site.props]
    told = [build(Happening, value) for value in json.loads(str(run["happenings"]))]
    events = tuple(_event(happening) for happening in told)
    return Recording(steps=len(lights), tracks=tuple(tracks), lights=lights, collisions=collisions, events=events)


def _led_round(network: RoadNetwork, plan: EventPlan, type_name: str, rows: np.ndarray, lanes: list[str]) -> np.ndarray:
    """The rows of one vehicle, moved aside where its lane is blocked."""
    names, user = np.array([lanes[int(k)] for k in rows[:, 6]]), ROAD_USERS[type_name]
    for site in plan.bottlenecks:
        on = names == site.lane_id
        lane = network.vector_map.lane(site.lane_id) if on.any() else None
        if lane is not None:
            rows = rows.copy()
            line = Polyline(lane.centerline)
            rows[on, 2:4] = shifted_front(rows[on, 2:4], site, line, length=user.length, width=user.width)
    return rows


def _standing(prop: Prop, steps: int) -> Track:
    return Track(
        token=prop.token,
        type_name=prop.type_name,
        kind=prop.kind,
        first_step=0,
        poses=np.broadcast_to(np.array(prop.pose), (steps, 3)),
        size=prop.size,
    )


def _event(happening: Happening) -> Event:
    return Event(
        kind=happening.kind,
        tokens=happening.tokens,
        first_step=round(happening.first_s / INTERVAL_S),
        last_step=round(happening.last_s / INTERVAL_S),
        place=np.array(happening.place),
    )


def _track(token: str, type_name: str, rows: np.ndarray, lanes: list[str], edges: tuple[str, ...]) -> Track:
    user: RoadUser = ROAD_USERS[type_name]
    # SUMO: degrees clockwise from north.
    headings = np.unwrap(np.deg2rad(90.0 - rows[:, 4]))
    if user.kind is AgentKind.PEDESTRIAN:
        poses = lift_walker(rows[:, 2:4], headings, length=user.length, interval_s=INTERVAL_S)
    else:
        axle = REAR_AXLE_SHARE * user.length
        poses = lift_vehicle(rows[:, 2:4], headings, length=user.length, rear_axle_to_center=axle, interval_s=INTERVAL_S)
    return Track(
        token=token,
        type_name=type_name,
        kind=user.kind,
        first_step=int(rows[0, 1]),
        poses=poses,
        size=(user.length, user.width, user.height),
        lane_ids=() if user.kind is AgentKind.PEDESTRIAN else tuple(lanes[int(k)] for k in rows[:, 6]),
        edge_ids=edges,
    )


def _lights(network: RoadNetwork, names: dict[str, int], states: list[str]) -> tuple[tuple[TrafficLight, ...], ...]:
    """Signals of each step; steps with equal states share one tuple."""
    where = [(lane, names[name], index) for lane, (name, index) in network.signals.items() if name in names]
    known: dict[str, tuple[TrafficLight, ...]] = {}
    for state in set(states):
        parts = state.split("|")
        known[state] = tuple(
            TrafficLight(lane_id=lane, state=_LIGHTS.get(parts[k][index].lower(), LightState.OFF)) for lane, k, index in where
        )
    return tuple(known[state] for state in states)
