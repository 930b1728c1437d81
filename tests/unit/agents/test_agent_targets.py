"""Targets of a NAVSIM scene made by hand: what is drawn where, and what is asked of the map."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffdrive_agents.targets import MapLayers, planner_targets, targets_of
from shapely.geometry import LineString, Polygon, box

from diffdrive.contracts import InputError
from diffdrive.features.targets import BevClass
from diffdrive.tensors import TargetLayout

LAYERS = MapLayers(lane="L", lane_connector="C", intersection="I", walkways="W")
LAYOUT = TargetLayout()
POSE = np.array([331_000.0, 4_690_000.0, np.pi / 2])
"""The car looks north: ahead is +y of the map, left is -x."""


class Map:
    """What the targets ask a ``nuplan`` map for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, float, list[Any]]] = []

    def get_proximal_map_objects(self, point: Any, radius: float, layers: list[Any]) -> dict[Any, list[Any]]:
        self.asked.append((point, radius, layers))
        lane = _object("1", box(-2, -5, 2, 15), LineString([(0, -5), (0, 15)]))
        connector = _object("2", box(-2, 15, 2, 25), LineString([(0, 15), (0, 25)]))
        return {
            "L": [lane],
            "C": [connector],
            "I": [_object("3", box(-6, 15, 6, 25))],
            "W": [_object("4", box(4, -5, 8, 15))],
        }


def _object(name: str, polygon: Polygon, line: LineString | None = None) -> SimpleNamespace:
    def placed(geometry: Any) -> Any:
        kind = type(geometry)
        coordinates = geometry.exterior.coords if kind is Polygon else geometry.coords
        return kind([(x + POSE[0], y + POSE[1]) for x, y in coordinates])

    baseline = None if line is None else SimpleNamespace(linestring=placed(line))
    return SimpleNamespace(id=name, polygon=placed(polygon), baseline_path=baseline)


def scene(**changes: Any) -> SimpleNamespace:
    """Four frames of history, ten of future; a car ahead, one behind, one far away, a pedestrian."""
    annotations = SimpleNamespace(
        boxes=np.array(
            [
                [-9.0, 1.0, 0.8, 4.0, 2.0, 1.6, 0.1],
                [8.0, 0.0, 0.8, 4.0, 2.0, 1.6, 0.0],
                [40.0, 0.0, 0.8, 4.0, 2.0, 1.6, 0.0],
                [20.0, 5.0, 0.9, 0.8, 0.8, 1.8, 0.0],
                [0.0, 0.0, 0.8, 5.2, 2.3, 1.8, 0.0],
            ],
            dtype=np.float32,
        ),
        names=["vehicle", "vehicle", "vehicle", "pedestrian", "ego"],
        track_tokens=["a", "b", "c", "d", "e"],
    )
    status = SimpleNamespace(ego_pose=POSE, ego_velocity=np.array([5.0, 0.0]), ego_acceleration=np.zeros(2))
    frame = SimpleNamespace(annotations=annotations, ego_status=status)
    values = {
        "scene_metadata": SimpleNamespace(initial_token="abc", log_name="drive", map_name="town", num_history_frames=4),
        "frames": [frame] * 14,
        "map_api": Map(),
        "get_future_trajectory": lambda num_trajectory_frames: SimpleNamespace(
            poses=np.arange(3.0 * num_trajectory_frames).reshape(-1, 3) / 7
        ),
    }
    return SimpleNamespace(**{**values, **changes})


def test_types_are_those_of_public_caches() -> None:
    targets = targets_of(scene(), LAYOUT, LAYERS)
    assert {name: (tuple(value.shape), value.dtype) for name, value in targets.items()} == {
        "trajectory": ((8, 3), torch.float64),
        "agent_states": ((30, 5), torch.float32),
        "agent_labels": ((30,), torch.bool),
        "bev_semantic_map": ((128, 256), torch.float32),
    }
    assert np.array_equal(targets["trajectory"], np.arange(24.0).reshape(8, 3) / 7)


def test_vehicles_in_range_are_listed_nearest_first() -> None:
    targets = targets_of(scene(), LAYOUT, LAYERS)
    assert targets["agent_labels"].tolist() == [True, True] + [False] * 28
    assert targets["agent_states"][0].tolist() == [8.0, 0.0, 0.0, 4.0, 2.0]
    assert targets["agent_states"][1].tolist() == pytest.approx([-9.0, 1.0, 0.1, 4.0, 2.0])
    assert not targets["agent_states"][2:].any()


@pytest.mark.parametrize(
    ("ahead_m", "left_m", "expected"),
    [
        (3.0, 1.5, BevClass.ROAD),
        (3.0, 0.0, BevClass.CENTERLINE),
        (20.0, 0.0, BevClass.CENTERLINE),
        (20.0, -5.0, BevClass.ROAD),
        (3.0, -6.0, BevClass.WALKWAY),
        (3.0, 6.0, BevClass.NOTHING),
        (8.0, 0.0, BevClass.VEHICLE),
        (20.0, 5.0, BevClass.PEDESTRIAN),
        (30.0, 0.0, BevClass.NOTHING),
    ],
)
def test_the_semantic_map_shows_what_lies_there(ahead_m: float, left_m: float, expected: BevClass) -> None:
    drawn = targets_of(scene(), LAYOUT, LAYERS)["bev_semantic_map"]
    assert drawn[int(ahead_m / 0.25), int(left_m / 0.25 + 128)] == expected


@pytest.mark.parametrize("layout", [LAYOUT, TargetLayout(bev_rows=64, bev_columns=128, bev_pixel_m=0.5)])
def test_the_map_is_asked_once_for_what_the_public_builders_ask(layout: TargetLayout) -> None:
    given = scene()
    targets_of(given, layout, LAYERS)
    ((point, radius, layers),) = given.map_api.asked
    assert (point.x, point.y, radius) == (POSE[0], POSE[1], 32.0)
    assert sorted(layers) == ["C", "I", "L", "W"]


def test_a_batch_of_targets_has_the_types_that_losses_take() -> None:
    targets = {name: value[None] for name, value in targets_of(scene(), LAYOUT, LAYERS).items()}
    made = planner_targets(targets)
    assert (made.trajectory.dtype, made.agent_labels.dtype, made.bev_semantic.dtype) == (
        torch.float32,
        torch.bool,
        torch.int64,
    )
    with pytest.raises(InputError, match="targets have no 'trajectory'"):
        planner_targets({name: value for name, value in targets.items() if name != "trajectory"})


def test_a_future_that_is_too_short_is_named() -> None:
    given = scene(frames=scene().frames[:9])
    with pytest.raises(InputError, match=r"Scene 'abc' of log 'drive': .* has 5 every 0.5 s.*num_future_frames=8"):
        targets_of(given, LAYOUT, LAYERS)


def test_a_class_that_nobody_knows_is_named() -> None:
    given = scene()
    given.frames[3].annotations.names[3] = "unicorn"
    with pytest.raises(InputError, match=r"Scene 'abc' of log 'drive': an annotation is of class 'unicorn'"):
        targets_of(given, LAYOUT, LAYERS)


def test_a_town_without_objects_is_fine() -> None:
    given = scene()
    given.frames[3].annotations = SimpleNamespace(boxes=np.zeros((0, 7)), names=[], track_tokens=[])
    assert not targets_of(given, LAYOUT, LAYERS)["agent_labels"].any()
