"""The gallery chooses by rule and draws what it chose."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("py123d")

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "viz"))

import gallery_choice
import gallery_pictures
from hand_made_scene import make_map, make_scene

from diffdrive.scene import Agents, Lane, Scene, VectorMap
from diffdrive.viz import save_figure
from diffdrive.world.events import EventKind
from diffdrive.world.roads import Approach, RoadNetwork

STEP_US = 500_000


def street(edge: str, start: str, end: str, **facts: Any) -> Approach:
    return Approach(
        edge_id=edge, lane_ids=(f"lane of {edge}",), bike_lane_ids=(), next_edge_ids=(), walk_edge_ids=(), length=100.0,
        from_junction=start, to_junction=end, speed_limit=13.9, parking_strip=None, **{"opposite_edge_id": None, **facts},
    )  # fmt: skip


def network(*approaches: Approach, signals: tuple[str, ...] = ()) -> RoadNetwork:
    """Each lane is 10 m of straight road; the lane of the n-th approach lies n kilometres east."""
    lanes = []
    for number, approach in enumerate(approaches):
        line = np.array([[0.0, 0.0], [10.0, 0.0]]) + [1000.0 * number, 0.0]
        edges = {"left_boundary": line + [0, 1.75], "right_boundary": line - [0, 1.75]}
        lanes.append(Lane(lane_id=approach.lane_ids[0], centerline=line, **edges))
        if approach.lane_ids[0] in signals:
            lanes.append(Lane(lane_id=f"from {approach.edge_id}", centerline=line, predecessor_ids=approach.lane_ids, **edges))
    return RoadNetwork(
        vector_map=VectorMap(lanes=tuple(lanes)),
        approaches={approach.edge_id: approach for approach in approaches},
        lane_of={},
        signals={lane.lane_id: ("light", 0) for lane in lanes if lane.lane_id.startswith("from")},
    )


def test_kinds_of_roads_are_found_where_they_are() -> None:
    ring = [street(f"ring{k}", f"r{k}", f"r{(k + 1) % 3}", is_ring=True) for k in range(3)]
    other = [street("up", "a", "x", is_ramp=True), street("fast", "x", "y", is_expressway=True), street("one", "b", "c")]
    found = {kind: place.tolist() for kind, place in gallery_choice.road_places(network(*ring, *other))}
    assert found == {
        "roundabout": [1005.0, 0.0],
        "ramp": [3010.0, 0.0],
        "expressway": [4005.0, 0.0],
        "one-way street": [5005, 0],
    }


def test_junctions_are_told_by_their_streets() -> None:
    def arriving(junction: str, count: int) -> list[Approach]:
        return [street(f"{junction}{k}", f"from{k}", junction, opposite_edge_id=f"back{k}") for k in range(count)]

    with_light = network(*arriving("t", 3), *arriving("cross", 4), signals=("lane of cross0",))
    assert [kind for kind, _ in gallery_choice.road_places(with_light)] == ["T junction", "signalled crossing"]
    assert [kind for kind, _ in gallery_choice.road_places(network(*arriving("cross", 4)))] == []


def moved(x: float, y: float, token: str, time_us: int) -> Scene:
    """The hand-made scene with nobody but one road user at (x, y)."""
    scene = make_scene(sensors=False)
    one = scene.agents.select(np.array([3]))
    agents = Agents(
        track_tokens=(token,),
        kinds=one.kinds,
        boxes=np.array([[x, y, 0.0, 0.7, 0.7]]),
        vertical=one.vertical,
        velocities=one.velocities,
    )
    now = replace(scene.observation.ego, timestamp_us=time_us)
    return replace(scene, agents=agents, observation=replace(scene.observation, ego_history=(now,)))


def test_a_strip_ends_where_those_who_act_are_nearest_in_view() -> None:
    """The walker comes from 40 m ahead to 4.5 m, then is beside the car."""
    places = [*np.arange(40.0, 4.0, -2.5), 0.5, -3.0]
    scenes = {f"t{k}": moved(x, 0.2, "walker", k * STEP_US) for k, x in enumerate(places)}
    event = {"kind": "jaywalker", "tokens": ["walker"], "first_us": 0, "last_us": 40 * STEP_US}
    stamps = {token: scene.observation.ego.timestamp_us for token, scene in scenes.items()}
    towns: Any = SimpleNamespace(
        frames=SimpleNamespace(info=lambda token: SimpleNamespace(timestamp_us=stamps[token])),
        tokens_of={"log": tuple(scenes)},
        manifest_of=lambda log: {"events": {"log": [event]}},
        load=scenes.__getitem__,
    )
    strip = gallery_choice.choose_strips(towns)[EventKind.JAYWALKER]
    assert strip.tokens == ("t5", "t8", "t11", "t14")
    assert places[14] == pytest.approx(5.0)
    assert strip.actors == {"walker"}
    event["tokens"] = ["somebody else"]
    assert gallery_choice.choose_strips(towns) == {}


def test_pictures_show_who_acts_and_can_be_written(tmp_path: Path) -> None:
    scene = make_scene()
    film = gallery_pictures.draw_film("Jaywalker", [scene, scene], frozenset({"track3"}), "tags")
    outlines = [c for axes in film.axes for c in axes.collections if c.get_edgecolor().size and c.get_zorder() == 7]
    assert len(outlines) == 2
    figures = {
        "film": film,
        "strips": gallery_pictures.draw_strips([("clear", [(big(scene), "a"), (big(scene), "b")])]),
        "roads": gallery_pictures.draw_roads([("T junction", scene)] * 4),
        "sweep": gallery_pictures.draw_sweep(big(scene), "tags"),
        "towns": gallery_pictures.draw_towns([("one", make_map(), [np.zeros((2, 3))]), ("two", make_map(), [])]),
    }
    for name, figure in figures.items():
        assert save_figure(figure, tmp_path / f"{name}.jpg", dpi=50).stat().st_size > 2_000
    assert [len(figure.axes) for figure in figures.values()] == [4, 2, 4, 2, 2]


def big(scene: Scene) -> Scene:
    """The scene with images of the size that a planner stitches."""
    cameras = {
        name: replace(frame, image=np.resize(frame.image, (270, 480, 3))) for name, frame in scene.observation.cameras.items()
    }
    return replace(scene, observation=replace(scene.observation, cameras=cameras))
