"""Scoring scenes of any size from a seed: a town of crossing curved roads with traffic, and fans of plans to score in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS, Protocol, Rules
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap, RedLights, ScoringScene, Tracks

HALF_SIZE_M, LANE_WIDTH_M, LANES = 100.0, 3.5, 4
OWN_LANE_M = -0.5 * LANE_WIDTH_M
"""Left of the middle of the road: the inner one of two lanes of our direction."""

EGO_SPEED, NUM_POSES = 8.0, 8
OVERLAP_M = 0.05
"""By which neighbours overlap, as NAVSIM's drivable area needs it: an edge is outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSize:
    """How much there is to look at."""

    agents: int = 64
    polygons: int = 400
    vertices: int = 30
    """Of each polygon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Road:
    """A gently waving line along x (or, turned, along y) across the whole town."""

    offset: float
    bend: float
    is_turned: bool

    def at(self, along: np.ndarray, left: np.ndarray | float = 0.0) -> np.ndarray:
        """[..., 3] poses ``left`` metres beside the line."""
        wave = 2 * np.pi / 150
        across = self.offset + self.bend * (1 - np.cos(wave * along))
        heading = np.arctan(self.bend * wave * np.sin(wave * along))
        x, y = along - np.sin(heading) * left, across + np.cos(heading) * left
        return np.stack([-y, x, heading + np.pi / 2] if self.is_turned else [x, y, heading], axis=-1)

    def strip(self, begin: float, end: float, right: float, left: float, vertices: int) -> np.ndarray:
        """[V, 2] the ring of a piece of road."""
        there = np.linspace(begin, end, vertices - vertices // 2)
        back = np.linspace(end, begin, vertices // 2)
        return np.concatenate([self.at(there, right), self.at(back, left)])[:, :2]


def synthetic_scene(size: SceneSize, rules: Rules, seed: int = 0) -> ScoringScene:
    """A scene with exactly so many agents, polygons and vertices; the ego drives along the first road at 8 m/s."""
    rng = np.random.default_rng([seed, size.agents, size.polygons, size.vertices])
    roads = _roads(rng, size.polygons)
    ego = np.zeros(11)
    ego[[1, 3]] = OWN_LANE_M, EGO_SPEED
    drivable_map, crossings = _map(roads, size)
    route = roads[0].at(np.arange(-40.0, HALF_SIZE_M, 1.0), OWN_LANE_M)
    steps = rules.observation_steps
    red = [i for i in crossings if drivable_map.on_route[i]][-4:]
    times = INTERVAL_S * np.arange(NUM_STEPS)
    history = -INTERVAL_S * np.arange(15, 1, -1) if rules.protocol is Protocol.V2 else np.zeros(0)
    past = np.tile(ego, (len(history), 1))
    past[:, 0] = EGO_SPEED * history
    return ScoringScene(
        token=f"synthetic {seed}",
        log_name="synthetic",
        protocol=rules.protocol,
        timestamp_us=1_600_000_000_000_000 + seed,
        ego_state=ego,
        past_states=past,
        tracks=_tracks(rng, roads, size.agents, steps),
        drivable_map=drivable_map,
        red_lights=RedLights(
            polygons=Polygons.of(drivable_map.polygons.ring(i) for i in red),
            is_red=np.tile(np.arange(steps) >= 25, (len(red), 1)),
        ),
        centerline=route[:, :2],
        reference=roads[0].at(1.2 * EGO_SPEED * times, OWN_LANE_M),
        human_reference=roads[0].at(EGO_SPEED * times, OWN_LANE_M),
    )


def fan(count: int) -> np.ndarray:
    """[count, 8, 3] plans: from a stop within two seconds to twice the speed, each turning by another curvature."""
    speeds = np.linspace(0.0, 2 * EGO_SPEED, max(1, round(count**0.5)))
    index = np.arange(count)
    speed = speeds[index % len(speeds)][:, None]
    curvature = np.linspace(-1 / 12, 1 / 12, -(-count // len(speeds)))[index // len(speeds)][:, None]
    times = 0.5 * np.arange(1, NUM_POSES + 1)
    along = EGO_SPEED * times + (speed - EGO_SPEED) * np.minimum(times, 2) * (1 - np.minimum(times, 2) / 4)
    along = along + (speed - EGO_SPEED) * np.maximum(times - 2, 0)
    heading = curvature * along
    chord = along * np.sinc(heading / 2 / np.pi)
    return np.stack([chord * np.cos(heading / 2), chord * np.sin(heading / 2), heading], axis=-1)


def _roads(rng: np.random.Generator, polygons: int) -> list[_Road]:
    """As many roads along x as along y; more polygons are more roads, not longer ones."""
    count = max(1, round(polygons**0.5 / 5))
    offsets = np.linspace(-0.8, 0.8, count) * HALF_SIZE_M if count > 1 else np.array([30.0])
    bends = rng.uniform(-2, 2, 2 * count)
    along_x = [_Road(offset=0.0, bend=bends[0], is_turned=False)]
    along_x += [_Road(offset=offsets[i], bend=bends[i], is_turned=False) for i in range(count) if abs(offsets[i]) > 15]
    along_y = [_Road(offset=offsets[i], bend=bends[count + i], is_turned=True) for i in range(count)]
    return along_x[: max(1, count)] + along_y


def _map(roads: list[_Road], size: SceneSize) -> tuple[DrivableMap, list[int]]:
    """Crossings with their connectors first, then roadblocks with four lanes each, as often as fits."""
    rings: list[np.ndarray] = []
    types: list[AreaType] = []
    on_route: list[bool] = []

    def add(ring: np.ndarray, kind: AreaType, is_ours: bool = False) -> None:
        rings.append(ring)
        types.append(kind)
        on_route.append(is_ours)

    half = LANES / 2 * LANE_WIDTH_M
    stops = _crossings(roads)
    for road, centres in zip(roads, stops, strict=True):
        for centre in centres:
            if not road.is_turned:
                add(road.strip(centre - half - 2, centre + half + 2, -half - 2, half + 2, size.vertices), AreaType.INTERSECTION)
            for lane in range(LANES):
                right = lane * LANE_WIDTH_M - half
                ring = road.strip(centre - half - 2, centre + half + 2, right, right + LANE_WIDTH_M, size.vertices)
                add(ring, AreaType.LANE_CONNECTOR, road is roads[0] and lane < LANES // 2)
    crossings = [i for i, kind in enumerate(types) if kind is AreaType.LANE_CONNECTOR]
    pieces = max(1, -(-(size.polygons - len(rings)) // (len(roads) * (1 + LANES))))
    bounds = np.linspace(-HALF_SIZE_M, HALF_SIZE_M, pieces + 1)
    # From the ego outwards, so that what does not fit into the count is far away.
    for piece in np.argsort(np.abs(bounds[:-1] + bounds[1:] - 40)):
        begin, end = bounds[piece] - OVERLAP_M, bounds[piece + 1] + OVERLAP_M
        for road in roads:
            add(road.strip(begin, end, -half - OVERLAP_M, half + OVERLAP_M, size.vertices), AreaType.ROADBLOCK)
            for lane in range(LANES):
                right = lane * LANE_WIDTH_M - half
                ring = road.strip(begin, end, right, right + LANE_WIDTH_M + OVERLAP_M, size.vertices)
                add(ring, AreaType.LANE, road is roads[0] and lane < LANES // 2)
    kept = slice(0, size.polygons)
    drivable_map = DrivableMap(
        polygons=Polygons.of(rings[kept]), types=np.array(types[kept]), on_route=np.array(on_route[kept], dtype=bool)
    )
    return drivable_map, [i for i in crossings if i < size.polygons]


def _crossings(roads: list[_Road]) -> list[list[float]]:
    """By road, where along it the roads of the other direction cross it."""
    return [
        [(-other.offset if other.is_turned else other.offset) for other in roads if other.is_turned != road.is_turned]
        for road in roads
    ]


def _tracks(rng: np.random.Generator, roads: list[_Road], count: int, steps: int) -> Tracks:
    """Half of them drive on the roads, a quarter is parked along them, an eighth walks across, an eighth are things.

    One in eight is where the plans go.
    """
    times = INTERVAL_S * np.arange(steps)
    poses, sizes, speeds = np.zeros((count, steps, 3)), np.zeros((count, 2)), np.zeros(count)
    is_agent = np.ones(count, dtype=bool)
    for i in range(count):
        kind, is_near = i % 8, rng.random() < 1 / 8
        road = roads[0] if is_near else roads[rng.integers(len(roads))]
        start = rng.uniform(14, 60) if is_near else rng.uniform(-HALF_SIZE_M, HALF_SIZE_M)
        # Nobody stands in the ego.
        start += 16 if road is roads[0] and abs(start) < 8 else 0
        lane = (rng.integers(LANES) - LANES / 2 + 0.5) * LANE_WIDTH_M
        sizes[i] = (4.7, 1.9) if kind < 6 else (0.8, 0.8)
        if kind < 4:
            speeds[i] = rng.uniform(6, 12)
            along = start + (1 if lane < 0 else -1) * speeds[i] * times
            poses[i] = road.at(along, lane) + [0, 0, 0 if lane < 0 else np.pi]
        elif kind == 6:
            speeds[i] = 1.3
            poses[i] = road.at(np.full(steps, start), 8 - 1.3 * times)
        else:
            is_agent[i] = kind != 7
            poses[i] = road.at(np.full(steps, start), rng.choice([-1, 1]) * (6.2 if kind < 6 else 8.5))
    along = 0.5 * sizes[:, None, :1] * np.stack([np.cos(poses[..., 2]), np.sin(poses[..., 2])], axis=-1)
    left = 0.5 * sizes[:, None, 1:] * np.stack([-np.sin(poses[..., 2]), np.cos(poses[..., 2])], axis=-1)
    centres = poses[..., :2]
    return Tracks(
        tokens=tuple(f"track {i}" for i in range(count)),
        corners=np.stack(
            [centres + along + left, centres - along + left, centres - along - left, centres + along - left], axis=2
        ),
        is_present=np.ones((count, steps), dtype=bool),
        centroids=centres,
        is_agent=is_agent,
        speeds=speeds,
    )
