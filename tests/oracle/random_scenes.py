"""Scenes from a seed that reach every branch of every rule: curved roads, ragged polygons, traffic that comes from all sides.

Nothing is on a grid, so that no point lies on an edge and no box just touches another: there the rules are decided by
rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import NUM_STEPS, Protocol
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap, RedLights, ScoringScene, Tracks

DT, NUM_POSES, LANE_WIDTH, HALF_LENGTH = 0.1, 8, 3.5, 2.588


@dataclass(frozen=True)
class Road:
    """A smooth curve, and places beside it."""

    points: np.ndarray
    """[K, 3] x, y, heading every half metre; the first one is at ``start`` metres."""

    start: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, pose: np.ndarray) -> Road:
        """Through ``pose`` at 0 m: straight, an arc, straight again."""
        lengths = np.arange(-60.0, 120.0, 0.5)
        curvature = rng.choice([0.0, rng.uniform(-0.03, 0.03)]) * ((lengths > rng.uniform(-60, 5)) & (lengths < 70))
        heading = np.cumsum(curvature) * 0.5
        heading += pose[2] - np.interp(0.0, lengths, heading)
        steps = 0.5 * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        xy = np.cumsum(steps, axis=0)
        xy += pose[:2] - np.array([np.interp(0.0, lengths, column) for column in xy.T])
        return cls(np.column_stack([xy, heading]), -60.0)

    def at(self, along: np.ndarray | float, left: np.ndarray | float = 0.0) -> np.ndarray:
        """[..., 3] the pose at ``along`` metres, ``left`` metres beside the curve."""
        places = (np.asarray(along, dtype=np.float64) - self.start) / 0.5
        x, y, heading = (np.interp(places, np.arange(len(self.points)), column) for column in self.points.T)
        return np.stack([x - np.sin(heading) * left, y + np.cos(heading) * left, heading], axis=-1)

    def strip(self, rng: np.random.Generator, begin: float, end: float, right: float, left: float) -> np.ndarray:
        """[V, 2] the ring of a piece of road, with a number of vertices of its own."""
        along = np.linspace(begin, end, int(rng.integers(3, 16)))
        return np.concatenate([self.at(along, left)[:, :2], self.at(along[::-1], right)[:, :2]])


def random_scene(seed: int, protocol: Protocol, num_tracks: int | None = None) -> ScoringScene:
    """The scene of ``seed``."""
    rng = np.random.default_rng([seed, 1 if protocol is Protocol.V1 else 2])
    steps = 51 if protocol is Protocol.V1 else 41
    pose = np.array([*rng.uniform(-300, 300, 2), rng.uniform(-np.pi, np.pi)])
    road = Road.drawn(rng, pose)
    ego = np.zeros(11)
    ego[:3] = road.at(0.0, rng.choice([0.0, rng.normal(0, 0.8)])) + [0, 0, rng.normal(0, 0.03)]
    ego[3] = rng.choice([0.0, 0.03, rng.uniform(1, 5), rng.uniform(5, 14)])
    ego[4:7] = rng.normal(0, [0.02, 0.5, 0.2]) * (ego[3] > 0.1)
    drivable_map, red_lights = _map(rng, road, steps)
    human = np.array([0.0, *np.cumsum(np.full(NUM_STEPS - 1, DT * ego[3] * rng.uniform(0.3, 1.4)))])
    drift = rng.choice([0.0, rng.normal(0, 4)]) * np.linspace(0, 1, NUM_STEPS) ** 2
    planner = np.minimum(np.cumsum(np.full(NUM_STEPS, DT * rng.choice([ego[3], rng.uniform(0, 13)]))), 110)
    return ScoringScene(
        token=f"random {seed} {protocol.value}",
        log_name="random",
        protocol=protocol,
        timestamp_us=int(rng.integers(1_600_000_000_000_000, 1_700_000_000_000_000)),
        ego_state=ego,
        past_states=_past(rng, ego, 0 if protocol is Protocol.V1 else int(rng.choice([14, 15]))),
        tracks=_tracks(
            rng,
            road,
            ego,
            steps,
            int(rng.choice([rng.integers(0, 3), rng.integers(3, 13)])) if num_tracks is None else num_tracks,
        ),
        drivable_map=drivable_map,
        red_lights=red_lights,
        centerline=road.at(np.arange(-40.0, rng.uniform(20, 110), rng.uniform(0.6, 3.0)), rng.normal(0, 0.2))[:, :2],
        reference=road.at(planner),
        human_reference=road.at(human, drift),
    )


def random_poses(seed: int, scene: ScoringScene, count: int) -> np.ndarray:
    """[count, 8, 3] plans of all kinds, ego frame."""
    rng = np.random.default_rng([seed, 3])
    return np.array([_plan(rng, float(scene.ego_state[3])) for _ in range(count)])


def _plan(rng: np.random.Generator, speed: float) -> np.ndarray:
    times = 0.5 * np.arange(1, NUM_POSES + 1)
    kind = rng.integers(0, 7)
    if kind == 0:
        return np.zeros((NUM_POSES, 3))
    wanted = rng.choice([speed, rng.uniform(0, 15)])
    along = speed * times + (wanted - speed) * times**2 / (2 * rng.uniform(1, 4))
    along = np.maximum.accumulate(along) if kind != 1 else -0.3 * times
    curvature = 0.0 if kind == 2 else rng.normal(0, 0.03)
    heading = curvature * along
    x = along * np.sinc(heading / np.pi / 2) * np.cos(heading / 2)
    y = along * np.sinc(heading / np.pi / 2) * np.sin(heading / 2)
    if kind in (3, 4):
        y = y + rng.normal(0, 3) * (3 * (times / 4) ** 2 - 2 * (times / 4) ** 3)
    poses = np.stack([x, y, heading], axis=-1)
    return poses + rng.normal(0, [0.3, 0.3, 0.2], poses.shape) if kind == 5 else poses


def _past(rng: np.random.Generator, ego: np.ndarray, count: int) -> np.ndarray:
    before = -DT * np.arange(count + 1, 1, -1)
    states = np.tile(ego, (count, 1))
    states[:, 2] += before * rng.choice([0.0, rng.normal(0, 0.1)])
    states[:, :2] += before[:, None] * ego[3] * np.stack([np.cos(states[:, 2]), np.sin(states[:, 2])], axis=-1)
    # Now and then rough enough to reach every bound of comfort: the simulated vehicle never slides, so its past must.
    rough = rng.choice([0.0, 1.0, 60.0], p=[0.4, 0.35, 0.25])
    states[:, 5:7] += rng.normal(0, 0.1, (count, 2)) * rough
    states[:, 2] += rng.normal(0, 0.0005, count) * rough
    return states


def _map(rng: np.random.Generator, road: Road, steps: int) -> tuple[DrivableMap, RedLights]:
    """Three lanes (two our way, one oncoming) before, in and behind an intersection, and a place to park."""
    begin, stop, end = rng.uniform(-58, -30), rng.uniform(-10, 25), rng.uniform(35, 60)
    rings, types, on_route, red = [], [], [], []
    joint = rng.uniform(0.02, 0.3)
    for first, last in ((begin, stop), (stop, end), (end, rng.uniform(70, 115))):
        is_middle = first == stop
        outer = [-0.5 * LANE_WIDTH - joint - rng.uniform(0, 0.5), 2.5 * LANE_WIDTH + rng.uniform(0, 2)]
        if rng.random() < (0.7 if is_middle else 0.9):
            rings.append(road.strip(rng, first - joint, last + joint, *outer))
            types.append(AreaType.INTERSECTION if is_middle else AreaType.ROADBLOCK)
            on_route.append(False)
        for lane, is_ours in enumerate((True, rng.random() < 0.5, False)):
            sides = (lane - 0.5) * LANE_WIDTH + rng.normal(0, 0.1), (lane + 0.5) * LANE_WIDTH + rng.normal(0, 0.1)
            rings.append(road.strip(rng, first - joint, last + joint, *sides))
            types.append(AreaType.LANE_CONNECTOR if is_middle else AreaType.LANE)
            on_route.append(bool(is_ours and rng.random() < 0.85))
            red += [len(rings) - 1] if is_middle and on_route[-1] and rng.random() < 0.4 else []
    for _ in range(rng.integers(0, 3)):
        rings.append(_star(rng, road.at(rng.uniform(-20, 60), rng.uniform(-12, 12))[:2], rng.uniform(4, 14)))
        types.append(rng.choice([AreaType.CARPARK, AreaType.CARPARK, AreaType.INTERSECTION]))
        on_route.append(False)
    is_red = np.repeat(rng.random((len(red), 11)) < 0.5, 5, axis=1)[:, :steps]
    drivable_map = DrivableMap(polygons=Polygons.of(rings), types=np.array(types), on_route=np.array(on_route))
    return drivable_map, RedLights(polygons=Polygons.of([rings[i] for i in red]), is_red=is_red)


def _star(rng: np.random.Generator, centre: np.ndarray, size: float) -> np.ndarray:
    count = int(rng.integers(5, 30))
    angles = (np.arange(count) + rng.uniform(0, 0.9, count)) * 2 * np.pi / count
    radii = size * rng.uniform(0.4, 1, angles.shape)
    return centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _tracks(rng: np.random.Generator, road: Road, ego: np.ndarray, steps: int, count: int) -> Tracks:
    corners, present = np.zeros((count, steps, 4, 2)), np.zeros((count, steps), dtype=bool)
    centroids, is_agent, speeds = np.zeros((count, steps, 2)), np.zeros(count, dtype=bool), np.zeros(count)
    for track in range(count):
        poses, speeds[track], size, is_agent[track] = _movement(rng, road, ego, DT * np.arange(steps))
        along, across = (
            np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], -1),
            np.stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])], -1),
        )
        for corner, (ahead, left) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
            corners[track, :, corner] = poses[:, :2] + ahead * size[0] / 2 * along + left * size[1] / 2 * across
        centroids[track] = poses[:, :2]
        first, last = sorted(rng.integers(0, steps + 1, 2)) if rng.random() < 0.3 else (0, steps)
        present[track, first:last] = True
    corners[~present], centroids[~present] = 0.0, 0.0
    return Tracks(
        tokens=tuple(f"track {i}" for i in range(count)),
        corners=corners,
        is_present=present,
        centroids=centroids,
        is_agent=is_agent,
        speeds=speeds,
    )


def _movement(
    rng: np.random.Generator, road: Road, ego: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, float, tuple[float, float], bool]:
    """Poses [T, 3] of one road user, its speed when first seen, length and width, and whether it can move at all."""
    speed, car = float(ego[3]), (rng.uniform(3.8, 6), rng.uniform(1.7, 2.2))
    kind = rng.choice(["lead", "follower", "oncoming", "crossing", "neighbour", "parked", "thing", "thing"])
    if kind == "lead":
        slow = rng.uniform(0, max(speed, 1))
        return road.at(rng.uniform(8, 30) + slow * times, rng.normal(0, 0.7)), slow, car, True
    if kind == "follower":
        fast = speed + rng.uniform(1, 8)
        return road.at(rng.uniform(-14, -7) + fast * times, rng.normal(0, 1.2)), fast, car, True
    if kind == "oncoming":
        fast = rng.uniform(2, 12)
        poses = road.at(rng.uniform(8, 60) - fast * times, rng.choice([LANE_WIDTH * 2, rng.normal(0, 1)]))
        return poses + [0, 0, np.pi], fast, car, True
    if kind == "crossing":
        fast, meets = rng.uniform(0.8, 9), rng.uniform(0, 4)
        place = road.at(rng.uniform(-4, 8) + speed * meets)
        angle = place[2] + rng.choice([-1, 1]) * rng.uniform(0.6, 2.4)
        travelled = fast * (times - meets)
        poses = np.column_stack([place[0] + travelled * np.cos(angle), place[1] + travelled * np.sin(angle), angle + 0 * times])
        return poses, fast, car if rng.random() < 0.6 else (0.7, 0.7), True
    if kind == "neighbour":
        side = rng.choice([-1, 1])
        left = side * (3.4 - rng.uniform(0.2, 1.2) * np.maximum(times - rng.uniform(0, 2), 0))
        return road.at(rng.uniform(-6, 6) + speed * rng.uniform(0.9, 1.1) * times, left), speed + 0.3, car, True
    size = car if kind == "parked" else (rng.uniform(0.3, 2), rng.uniform(0.3, 1))
    place = road.at(rng.uniform(6, 40), rng.normal(0, 3)) + [0, 0, rng.normal(0, 0.5)]
    return np.tile(place, (len(times), 1)), rng.choice([0.0, 0.02]), size, kind == "parked"


def random_states(seed: int, count: int, steps: int) -> np.ndarray:
    """[count, steps, 11] motions that need not be possible: one column swings, the others tremble."""
    rng = np.random.default_rng([seed, 4])
    times = DT * np.arange(steps)
    states = np.zeros((count, steps, 11))
    scale = {2: 0.25, 5: 3.5, 6: 4.0, 9: 0.8, 10: 1.5}
    swings = rng.choice(list(scale), (count, 1, 1))
    for column, size in scale.items():
        waves = rng.normal(0, size, (count, 4, 1)) * np.where(swings == column, rng.uniform(0.1, 1.2, (count, 1, 1)), 0.02)
        rates, phases = rng.uniform(0.2, [[1], [2], [3], [7]], (count, 4, 1)), rng.uniform(0, 6.3, (count, 4, 1))
        states[..., column] = (waves * np.sin(rates * times + phases)).sum(axis=1)
    return states


def moved(scene: ScoringScene, motion: np.ndarray) -> ScoringScene:
    """The same scene in a frame that ``motion`` (x, y, angle) carries away."""
    cos, sin = np.cos(motion[2]), np.sin(motion[2])

    def points(values: np.ndarray) -> np.ndarray:
        return values @ np.array([[cos, sin], [-sin, cos]]) + motion[:2]

    def poses(values: np.ndarray) -> np.ndarray:
        return np.concatenate([points(values[..., :2]), values[..., 2:3] + motion[2], values[..., 3:]], axis=-1)

    def polygons(given: Polygons) -> Polygons:
        return replace(given, vertices=points(given.vertices))

    human = scene.human_reference
    return replace(
        scene,
        ego_state=poses(scene.ego_state),
        past_states=poses(scene.past_states),
        tracks=replace(scene.tracks, corners=points(scene.tracks.corners), centroids=points(scene.tracks.centroids)),
        drivable_map=replace(scene.drivable_map, polygons=polygons(scene.drivable_map.polygons)),
        red_lights=replace(scene.red_lights, polygons=polygons(scene.red_lights.polygons)),
        centerline=points(scene.centerline),
        reference=poses(scene.reference),
        human_reference=None if human is None else poses(human),
    )


def without_track(scene: ScoringScene, index: int) -> ScoringScene:
    """The same scene with one road user less."""
    kept = [i for i in range(len(scene.tracks)) if i != index]
    tracks = scene.tracks
    fewer = Tracks(
        tokens=tuple(tracks.tokens[i] for i in kept),
        corners=tracks.corners[kept],
        is_present=tracks.is_present[kept],
        centroids=tracks.centroids[kept],
        is_agent=tracks.is_agent[kept],
        speeds=tracks.speeds[kept],
    )
    return replace(scene, tracks=fewer)


def random_encounter(seed: int, protocol: Protocol) -> tuple[ScoringScene, np.ndarray]:
    """A scene on a wide lane with one large road user close by, and states [41, 11] of a straight drive past it.

    Few other things can decide here, so each angle and distance of the rules does in some of the seeds.
    """
    rng = np.random.default_rng([seed, 5])
    scene = random_scene(seed, protocol, num_tracks=1)
    x, y, heading = scene.ego_state[:3]
    everywhere = np.array([x, y]) + 70 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    drivable_map = DrivableMap(
        polygons=Polygons.of([everywhere, everywhere]),
        types=np.array([AreaType.ROADBLOCK, AreaType.LANE]),
        on_route=np.array([False, True]),
    )
    steps, speed = scene.tracks.is_present.shape[1], rng.choice([0.0, 0.01, 0.07, rng.uniform(1, 12)])
    forward, leftward = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    where = np.array([x, y]) + rng.uniform(-8, 25) * forward + rng.uniform(-6, 6) * leftward
    velocity = rng.choice([0.0, 1.0]) * rng.normal(0, 2, 2)
    if rng.random() < 0.3:  # from behind
        where, velocity = where - rng.uniform(18, 40) * forward, (speed + rng.uniform(4, 12)) * forward
    centroids = where + DT * np.arange(steps)[:, None] * velocity
    angle, size = rng.uniform(-np.pi, np.pi), rng.uniform([2, 1], [14, 4])
    along, across = (
        np.array([np.cos(angle), np.sin(angle)]) * size[0] / 2,
        np.array([-np.sin(angle), np.cos(angle)]) * size[1] / 2,
    )
    corners = centroids[:, None] + np.array([along + across, across - along, -along - across, along - across])
    tracks = Tracks(
        tokens=("close",),
        corners=corners[None],
        is_present=np.ones((1, steps), dtype=bool),
        centroids=centroids[None],
        is_agent=np.array([rng.random() < 0.8]),
        speeds=rng.choice([0.02, 0.04, 0.06, 3.0], 1),
    )
    states = np.tile(np.concatenate([scene.ego_state[:3], [speed], np.zeros(7)]), (NUM_STEPS, 1))
    states[:, :2] += DT * speed * np.arange(NUM_STEPS)[:, None] * forward
    return replace(scene, drivable_map=drivable_map, tracks=tracks), states
