"""Whatever is judged together is judged as if alone: scenes, rows, chunks. And where the world lies does not matter."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_scene import plain_scene

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scoring import judge as judge_module
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.judge import Judgement, judge
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import NUM_STEPS, Protocol
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap, RedLights, ScoringScene, Tracks

PARTS = ("value", "step", "agent", "corner")


def drawn_scene(seed: int, protocol: Protocol = Protocol.V2, num_tracks: int | None = None) -> ScoringScene:
    """Overlapping pieces of a bent road, traffic from all sides, and nothing on round numbers."""
    rng = np.random.default_rng(seed)
    steps = 51 if protocol is Protocol.V1 else 41
    bend, count = rng.uniform(-0.01, 0.01), int(rng.integers(0, 9)) if num_tracks is None else num_tracks
    rings, types, on_route = [], [], []
    for _ in range(int(rng.integers(6, 14))):
        x = np.linspace(*np.sort(rng.uniform(-30, 70, 2)), int(rng.integers(2, 9)))
        middle, half = rng.uniform(-4, 4), rng.uniform(1.5, 6)
        sides = [np.stack([x, bend * x * x + middle + side], axis=1) for side in (-half, half)]
        rings.append(np.concatenate([sides[0], sides[1][::-1]]))
        types.append(rng.choice(list(AreaType)))
        on_route.append(types[-1] in (AreaType.LANE, AreaType.LANE_CONNECTOR) and rng.random() < 0.7)
    time = 0.1 * np.arange(steps)
    heading, speed = rng.uniform(-np.pi, np.pi, (count, 1)), rng.choice([0.0, 3.0, 9.0], (count, 1))
    x, y = rng.uniform(-10, 40, (count, 1)), rng.uniform(-8, 8, (count, 1))
    way = speed * time
    columns = (x + np.cos(heading) * way, y + np.sin(heading) * way, heading, 4.4, 1.9)
    boxes = np.stack([np.broadcast_to(column, (count, steps)) for column in columns], axis=-1)
    x = np.linspace(-20, 90, 60)
    return plain_scene(
        protocol,
        token=f"drawn {seed}",
        tracks=Tracks(
            tokens=tuple(map(str, range(count))),
            corners=box_corners(boxes),
            is_present=rng.random((count, 1)) * np.ones(steps) + rng.random((count, steps)) > 0.6,
            centroids=boxes[..., :2],
            is_agent=rng.random(count) < 0.7,
            speeds=speed[:, 0],
        ),
        drivable_map=DrivableMap(polygons=Polygons.of(rings), types=np.array(types), on_route=np.array(on_route)),
        red_lights=RedLights(polygons=Polygons.of(rings[:2]), is_red=rng.random((2, steps)) < 0.2),
        centerline=np.stack([x, bend * x * x], axis=1),
    )


def drawn_states(seed: int, rows: int) -> torch.Tensor:
    """[rows, 41, 11] arcs from the origin."""
    rng = np.random.default_rng([seed, 1])
    speed, curvature = rng.uniform(0, 14, (rows, 1)), rng.normal(0, 0.02, (rows, 1))
    states = np.zeros((rows, NUM_STEPS, 11))
    states[:, :, 2] = curvature * speed * 0.1 * np.arange(NUM_STEPS)
    moved = 0.1 * speed[:, :, None] * np.stack([np.cos(states[:, :-1, 2]), np.sin(states[:, :-1, 2])], axis=-1)
    states[:, 1:, :2] = np.cumsum(moved, axis=1)
    states[:, :, 3] = speed
    return torch.from_numpy(states)


def assert_same(found: Judgement, expected: Judgement, scene: int = 0) -> None:
    """``expected`` is about the scene ``scene`` of ``found``, alone."""
    for name, verdict in expected.verdicts.items():
        for part in PARTS:
            assert torch.equal(getattr(found.verdicts[name], part)[scene], getattr(verdict, part)[0]), (name, part)
    assert torch.equal(found.progress[scene], expected.progress[0])


@pytest.mark.parametrize("protocol", list(Protocol))
def test_ragged_scenes_are_judged_together_as_alone(protocol: Protocol) -> None:
    scenes = [drawn_scene(seed, protocol) for seed in range(12)] + [drawn_scene(99, protocol, num_tracks=0)]
    states = torch.stack([drawn_states(seed, 8) for seed in range(len(scenes))])
    together = judge(SceneBatch.of(scenes), states)
    for index, scene in enumerate(scenes):
        assert_same(together, judge(SceneBatch.of([scene]), states[index : index + 1]), index)
    for name, verdict in together.verdicts.items():
        assert 0 < verdict.value.mean() < 1, f"{name} is the same everywhere: the scenes show nothing"


def test_rows_do_not_influence_each_other_nor_does_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = SceneBatch.of([drawn_scene(3), drawn_scene(4)])
    states = torch.stack([drawn_states(5, 30), drawn_states(6, 30)])
    whole = judge(batch, states)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    shuffled = judge(batch, states[:, order])
    monkeypatch.setattr(judge_module, "ROWS_AT_ONCE", 14)
    in_parts = judge(batch, states)
    for name, verdict in whole.verdicts.items():
        for part in PARTS:
            assert torch.equal(getattr(verdict, part)[:, order], getattr(shuffled.verdicts[name], part)), name
            assert torch.equal(getattr(verdict, part), getattr(in_parts.verdicts[name], part)), name
    assert torch.equal(whole.progress, in_parts.progress)


def moved(scene: ScoringScene, angle: float, shift: np.ndarray) -> ScoringScene:
    """The same scene elsewhere."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def place(points: np.ndarray) -> np.ndarray:
        return points @ turn.T + shift

    def places(polygons: Polygons) -> Polygons:
        return Polygons(vertices=place(polygons.vertices), offsets=polygons.offsets)

    ego = scene.ego_state.copy()
    ego[:2], ego[2] = place(ego[:2]), ego[2] + angle
    return replace(
        scene,
        ego_state=ego,
        tracks=replace(scene.tracks, corners=place(scene.tracks.corners), centroids=place(scene.tracks.centroids)),
        drivable_map=replace(scene.drivable_map, polygons=places(scene.drivable_map.polygons)),
        red_lights=replace(scene.red_lights, polygons=places(scene.red_lights.polygons)),
        centerline=place(scene.centerline),
    )


@pytest.mark.parametrize("seed", range(6))
def test_where_the_world_lies_and_how_it_is_turned_does_not_matter(seed: int) -> None:
    scene, states = drawn_scene(seed), drawn_states(seed, 20)
    angle, shift = 0.7 + seed, np.array([331_000.25, 4_690_000.5])
    elsewhere = states.clone()
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float64)
    elsewhere[..., :2] = states[..., :2] @ turn.T + torch.from_numpy(shift)
    elsewhere[..., 2] += angle
    here = judge(SceneBatch.of([scene]), states[None])
    there = judge(SceneBatch.of([moved(scene, angle, shift)]), elsewhere[None])
    for name, verdict in here.verdicts.items():
        for part in PARTS:
            assert torch.equal(getattr(verdict, part), getattr(there.verdicts[name], part)), (name, part)
    torch.testing.assert_close(here.progress, there.progress, atol=1e-7, rtol=0)


@pytest.mark.parametrize("seed", range(6))
def test_one_more_road_user_never_makes_the_drive_safer(seed: int) -> None:
    many = drawn_scene(seed, num_tracks=8)
    tracks = many.tracks
    fewer = Tracks(
        tokens=tracks.tokens[:-1],
        corners=tracks.corners[:-1],
        is_present=tracks.is_present[:-1],
        centroids=tracks.centroids[:-1],
        is_agent=tracks.is_agent[:-1],
        speeds=tracks.speeds[:-1],
    )
    states = drawn_states(seed, 30)[None]
    more, less = (judge(SceneBatch.of([scene]), states).verdicts for scene in (many, replace(many, tracks=fewer)))
    for name in ("no_at_fault_collisions", "time_to_collision"):
        assert (more[name].value <= less[name].value).all()


def test_a_batch_keeps_pasts_to_the_right_and_knows_where_the_human_is_missing() -> None:
    past = np.arange(22.0).reshape(2, 11)
    scenes = [plain_scene(past_states=past), plain_scene(human_reference=None, past_states=np.ones((3, 11)))]
    batch = SceneBatch.of(scenes).to("cpu")
    assert len(batch) == 2
    assert batch.past_lengths.tolist() == [2, 3]
    assert torch.equal(batch.past_states[0, 1:], torch.from_numpy(past))
    assert not batch.past_states[0, 0].any()
    assert batch.has_human.tolist() == [True, False]
    assert batch.references.shape == batch.human_references.shape == (2, NUM_STEPS, 3)


def test_a_batch_of_nothing_or_of_unlike_scenes_is_refused() -> None:
    with pytest.raises(InputError, match="one scene or more"):
        SceneBatch.of([])
    for other in (plain_scene(Protocol.V1), plain_scene(corrected=True)):
        with pytest.raises(InputError, match="one protocol"):
            SceneBatch.of([plain_scene(), other])
