"""Which moments of which towns the gallery shows: rules, so that nobody has to look through thousands of frames."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.benchmark.candidates import script_of
from diffdrive.benchmark.tags import SceneTags, tag_scene
from diffdrive.configuration import build
from diffdrive.geometry import to_local
from diffdrive.scene import AgentKind, Agents, Scene
from diffdrive.sources import Arrow123dSource
from diffdrive.world.conditions import Light, conditions_of
from diffdrive.world.events import EventKind
from diffdrive.world.generate import WorldConfig, location_of
from diffdrive.world.manifest import manifest_path, read_manifest
from diffdrive.world.roads import Approach, RoadNetwork, build_network, lay_out, read_network

FRAME_US = 500_000
STRIP_US = (-4_500_000, -3_000_000, -1_500_000, 0)
"""Moments of a film strip, against that at which those who act come nearest ahead."""

LEADERS = (EventKind.HARD_BRAKE, EventKind.CUT_IN, EventKind.STOP_AND_GO)
"""Events in which somebody ahead of the ego acts."""

MAX_NEAREST_M = 30.0
VIEW_SLOPE = 0.6
"""Half the width that the front camera sees, over the distance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The moments of one scripted event, and who acts in it."""

    kind: EventKind
    tokens: tuple[str, ...]
    actors: frozenset[str]


class Towns:
    """Generated towns: every frame of their logs, and what their manifests say."""

    def __init__(self, root: Path, seeds: Sequence[int]) -> None:
        self.root, self.seeds = root, tuple(seeds)
        self.manifests = {seed: read_manifest(manifest_path(root, location_of(seed))) for seed in self.seeds}
        logs = [name for manifest in self.manifests.values() for name in manifest["logs"]]
        self.frames = Arrow123dSource(root, logs=logs, history_s=0.0, future_s=0.0)
        self._windows = Arrow123dSource(root, logs=logs)

    @cached_property
    def tokens_of(self) -> Mapping[str, tuple[str, ...]]:
        """Frames by log, in order of time."""
        found = defaultdict(list)
        for token in self.frames.tokens:
            found[self.frames.info(token).log_name].append(token)
        return {log: tuple(tokens) for log, tokens in found.items()}

    def manifest_of(self, log: str) -> Mapping[str, Any]:
        """What is known of the log's town."""
        return next(manifest for manifest in self.manifests.values() if log in manifest["logs"])

    @property
    def mean_boxes(self) -> float:
        """Boxes in a frame."""
        frames = [manifest["frames"] for manifest in self.manifests.values()]
        return float(np.average([manifest["boxes_per_frame"] for manifest in self.manifests.values()], weights=frames))

    def load(self, token: str) -> Scene:
        """One frame without sensors."""
        return self.frames.load(token, sensors=False)

    def tags(self, token: str) -> SceneTags | None:
        """What the benchmark says of the scene, or None too near to an end of its log."""
        if token not in self._windows.tokens:
            return None
        log = self._windows.info(token).log_name
        return tag_scene(self._windows.load(token, sensors=False), script_of(self.manifest_of(log), log))

    def network(self, seed: int) -> RoadNetwork:
        """The town's roads, made anew from its seed."""
        config = build(WorldConfig, self.manifests[seed]["config"])
        with tempfile.TemporaryDirectory() as folder:
            return read_network(build_network(lay_out(seed, config.town), Path(folder)))


def in_words(tags: SceneTags | None) -> str:
    """Tags as a caption."""
    if tags is None:
        return ""
    words = [tags.manoeuvre.value, tags.density.value, tags.light.value, *(event.value for event in tags.events)]
    return "  ·  ".join(word.replace("_", " ") for word in words)


def choose_lights(towns: Towns, per_light: int) -> dict[Light, list[str]]:
    """For each light the liveliest frames of different drives, of different towns as far as there are enough."""
    rated: dict[Light, list[tuple[float, str]]] = {light: [] for light in Light}
    for log, tokens in towns.tokens_of.items():
        rated[conditions_of(log).light].append(max((_liveliness(towns.load(token)), token) for token in tokens[::4]))
    chosen = {}
    for light, found in rated.items():
        best = sorted(found, reverse=True)
        # Going through them from the worst to the best, the best of each town is what stays.
        first = list({_town(token): token for _, token in reversed(best)}.values())
        rest = [token for _, token in best if token not in first]
        chosen[light] = [*(token for _, token in best if token in first), *rest][:per_light]
    return chosen


def _town(token: str) -> str:
    return token.partition("-")[0]


def choose_strips(towns: Towns) -> dict[EventKind, Strip]:
    """For each kind of event the one that is nearest and longest in view of an ego. Kinds that never happen are left out."""
    best: dict[EventKind, tuple[float, Strip]] = {}
    for log in towns.tokens_of:
        for event in towns.manifest_of(log).get("events", {}).get(log, ()):
            found = _strip(towns, log, event)
            if found is not None and found[0] > best.get(found[1].kind, (-np.inf, None))[0]:
                best[found[1].kind] = found
    return {kind: best[kind][1] for kind in EventKind if kind in best}


def _strip(towns: Towns, log: str, event: Mapping[str, Any]) -> tuple[float, Strip] | None:
    tokens = {towns.frames.info(token).timestamp_us: token for token in towns.tokens_of[log]}
    kind, actors = EventKind(event["kind"]), frozenset(event["tokens"])
    times = [time for time in tokens if event["first_us"] <= time <= event["last_us"]]
    seen = {time: _in_view(towns.load(tokens[time]), actors) for time in times}
    end = _decisive(kind, {time: agents for time, agents in seen.items() if len(agents)})
    if end is None or any(end + shift not in tokens for shift in STRIP_US):
        return None
    moments = tuple(tokens[end + shift] for shift in STRIP_US)
    num_seen = sum(len(_in_view(towns.load(token), actors)) > 0 for token in moments)
    return num_seen - _nearest(seen[end]) / 100.0, Strip(kind=kind, tokens=moments, actors=actors)


def _decisive(kind: EventKind, seen: Mapping[int, Agents]) -> int | None:
    """The time at which a strip ends: those who act are near or, where they drive ahead of the ego, have just done it."""
    if kind in LEADERS:
        seen = {time: agents for time, agents in seen.items() if _leads(agents)}
    if not seen:
        return None
    end = min(seen, key=lambda time: _nearest(seen[time]))
    if kind is EventKind.CUT_IN:
        # Half a second after it came into the lane; one that was there from the start cut in on somebody else.
        end = min(seen) + FRAME_US
    return end if end in seen and _nearest(seen[end]) < MAX_NEAREST_M else None


def _in_view(scene: Scene, actors: frozenset[str]) -> Agents:
    """Those who act and whom the front camera has in view."""
    x, y = scene.agents.boxes[:, 0], scene.agents.boxes[:, 1]
    acting = np.array([token in actors for token in scene.agents.track_tokens], dtype=bool)
    return scene.agents.select(acting & (x > 4.0) & (np.abs(y) < VIEW_SLOPE * x))


def _nearest(agents: Agents) -> float:
    return float(np.hypot(*agents.boxes[:, :2].T).min())


def _leads(agents: Agents) -> bool:
    """Whether one of them drives ahead of the ego, in its lane and its direction."""
    return bool(((np.abs(agents.boxes[:, 1]) < 1.5) & (np.abs(agents.boxes[:, 2]) < 0.4)).any())


def _liveliness(scene: Scene) -> float:
    """How much there is to see within 45 m of the cameras; people count double, a lorry in front of the lens not at all."""
    x, y = scene.agents.boxes[:, 0], scene.agents.boxes[:, 1]
    near = (x > 5.0) & (x < 45.0) & (np.abs(y) < 1.2 * x + 4.0)
    on_foot = np.array([kind in (AgentKind.PEDESTRIAN, AgentKind.BICYCLE) for kind in scene.agents.kinds], dtype=bool)
    blocked = ((x > 0.0) & (x < 14.0) & (np.abs(y) < 2.5)).any()
    return 0.0 if blocked else float(near.sum() + (near & on_foot).sum() + 3 * bool(scene.traffic_lights))


def choose_roads(towns: Towns) -> dict[str, str]:
    """For each kind of road the frame that sees most traffic on it. Kinds that no town has are left out."""
    places: dict[str, list[tuple[int, np.ndarray]]] = defaultdict(list)
    for seed in towns.seeds:
        for kind, place in road_places(towns.network(seed)):
            places[kind].append((seed, place))
    frames = [(towns.load(token), token) for tokens in towns.tokens_of.values() for token in tokens[::2]]
    chosen = {}
    for kind, found in places.items():
        rated = [
            (_rating(scene, place), token)
            for scene, token in frames
            for seed, place in found
            if scene.location == location_of(seed)
        ]
        rating, token = max(rated)
        if rating > 0:
            chosen[kind] = token
    return chosen


def _rating(scene: Scene, place: np.ndarray) -> float:
    """Road users around a place that lies some 20 m ahead; zero for a place elsewhere."""
    ahead = to_local(place, scene.world_from_ego)
    if not (6.0 < ahead[0] < 36.0 and abs(ahead[1]) < 18.0):
        return 0.0
    return 1.0 + float((np.hypot(*(scene.agents.boxes[:, :2] - ahead).T) < 28.0).sum())


def road_places(network: RoadNetwork) -> Iterator[tuple[str, np.ndarray]]:
    """Kind and place [2] (world frame) of what makes a road network worth a look."""
    lanes = {lane.lane_id: lane for lane in network.vector_map.lanes}

    def middle(*approaches: Approach) -> np.ndarray:
        return np.concatenate([lanes[lane].centerline for approach in approaches for lane in approach.lane_ids]).mean(axis=0)

    for approach in network.approaches.values():
        if approach.is_ramp:
            yield "ramp", lanes[approach.lane_ids[0]].centerline[-1]
        elif approach.is_expressway:
            yield "expressway", middle(approach)
        elif approach.is_trip_end and approach.opposite_edge_id is None:
            yield "one-way street", middle(approach)
    for ring in _rings([approach for approach in network.approaches.values() if approach.is_ring]):
        yield "roundabout", middle(*ring)
    yield from _crossings(network)


def _crossings(network: RoadNetwork) -> Iterator[tuple[str, np.ndarray]]:
    """Junctions of three streets, and those of four that have signals."""
    lanes = {lane.lane_id: lane for lane in network.vector_map.lanes}
    signalled = {lanes[name].predecessor_ids[0] for name in network.signals if lanes[name].predecessor_ids}
    at_junction: dict[str, list[Approach]] = defaultdict(list)
    for approach in network.approaches.values():
        at_junction[approach.to_junction].append(approach)
    for arriving in at_junction.values():
        if not all(approach.is_trip_end and approach.opposite_edge_id is not None for approach in arriving):
            continue
        centre = np.mean([lanes[approach.lane_ids[0]].centerline[-1] for approach in arriving], axis=0)
        if len(arriving) == 3:
            yield "T junction", centre
        elif len(arriving) == 4 and any(lane in signalled for approach in arriving for lane in approach.lane_ids):
            yield "signalled crossing", centre


def _rings(pieces: Sequence[Approach]) -> list[list[Approach]]:
    """The pieces of each roundabout, in driving order."""
    leaving = {piece.from_junction: piece for piece in pieces}
    rings = []
    while leaving:
        ring = [leaving.pop(next(iter(leaving)))]
        while (follower := leaving.pop(ring[-1].to_junction, None)) is not None:
            ring.append(follower)
        rings.append(ring)
    return rings
