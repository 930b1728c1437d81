"""Shapes that meet, compared with shapely: points in polygons, boxes, pieces of line."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdrive.scoring.overlap.boxes import touches_box, touches_segment
from diffdrive.scoring.overlap.cells import CELL_SIZE_M, MAX_CELLS_A_SIDE, cells_of_line, cells_of_polygons
from diffdrive.scoring.overlap.grid import Grid, Layer
from diffdrive.scoring.overlap.points import Points
from diffdrive.scoring.overlap.polylines import Lines
from diffdrive.scoring.polygons import Polygons

shapely = pytest.importorskip("shapely")

SEEDS = st.integers(0, 2**32 - 1)
NOWHERE = np.zeros(2)


def stars(rng: np.random.Generator, count: int, whole: bool) -> list[np.ndarray]:
    """Simple polygons, not convex: around a centre, at increasing angles. ``whole`` puts vertices on whole numbers."""
    rings = []
    while len(rings) < count:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 14)))
        radii = rng.uniform(0.5, rng.choice([3.0, 12.0]), len(angles))
        ring = rng.uniform(-15, 15, 2) + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
        ring = np.round(ring) if whole else ring
        if shapely.Polygon(ring).is_valid and len(np.unique(ring, axis=0)) == len(ring):
            rings.append(ring)
    return rings


def places(rng: np.random.Generator, rings: list[np.ndarray], whole: bool) -> np.ndarray:
    """Points around the polygons, their vertices and middles of edges among them."""
    free = rng.uniform(-30, 30, (200, 2))
    middles = np.concatenate([(ring + np.roll(ring, 1, axis=0)) / 2 for ring in rings])
    return np.concatenate([np.round(free * 2) / 2, *rings, middles]) if whole else free


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, whole=st.booleans())
def test_points_in_polygons_agree_with_shapely_on_edges_and_vertices_too(seed: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    maps = [stars(rng, int(rng.integers(1, 6)), whole) for _ in range(2)]
    grid = Grid.of([cells_of_polygons(Polygons.of(rings), NOWHERE) for rings in maps])
    first, count = len(maps[0]), sum(map(len, maps))
    is_member = torch.from_numpy(rng.random(count) < 0.7)
    layer = Layer.of(grid, is_member)
    found = [places(rng, rings, whole) for rings in maps]
    short = min(map(len, found))
    points = torch.from_numpy(np.stack([each[-short:] for each in found]))
    looked_up = Points.of(grid, points, torch.tensor([0, 1]))

    held = np.zeros((2 * short, count), dtype=bool)
    point, polygon = looked_up.holders(torch.ones(count, dtype=torch.bool))
    held[point, polygon] = True
    for scene, rings in enumerate(maps):
        for index, ring in enumerate(rings):
            x, y = points[scene].numpy().T
            expected = np.zeros((2, short), dtype=bool)
            expected[scene] = shapely.contains_xy(shapely.Polygon(ring), x, y)
            np.testing.assert_array_equal(held[:, scene * first + index], expected.ravel())
    np.testing.assert_array_equal(looked_up.in_any(layer).numpy(), held[:, is_member.numpy()].any(axis=1))


def test_an_edge_is_outside_and_a_layer_says_so_for_whole_cells() -> None:
    square = Polygons.of([np.array([[0.0, 0.0], [20.0, 0.0], [20.0, 20.0], [0.0, 20.0]])])
    grid = Grid.of([cells_of_polygons(square, NOWHERE)])
    layer = Layer.of(grid, torch.tensor([True]))
    points = torch.tensor([[[10.0, 10.0], [0.0, 10.0], [20.0, 20.0], [10.0, 0.0], [10.0, 1e-9], [-1.0, 5.0], [1e7, 5.0]]])
    inside = Points.of(grid, points.double(), torch.tensor([0])).in_any(layer)
    assert inside.tolist() == [True, False, False, False, True, False, False]
    assert layer.is_covered.sum() > 50
    assert not Points.of(grid, points.double(), torch.tensor([0])).in_any(Layer.of(grid, torch.tensor([False]))).any()


def test_a_far_vertex_makes_larger_cells_and_not_more() -> None:
    ring = np.array([[0.0, 0.0], [20_000.0, 0.0], [20_000.0, 10.0], [0.0, 10.0]])
    cells = cells_of_polygons(Polygons.of([ring]), NOWHERE)
    assert max(cells.shape) <= MAX_CELLS_A_SIDE
    assert cells.size > CELL_SIZE_M
    grid = Grid.of([cells])
    points = torch.tensor([[[19_999.0, 9.0], [19_999.0, 11.0]]], dtype=torch.float64)
    assert Points.of(grid, points, torch.tensor([0])).in_any(Layer.of(grid, torch.tensor([True]))).tolist() == [True, False]


def test_a_scene_without_shapes_holds_nothing() -> None:
    grid = Grid.of([cells_of_polygons(Polygons.of([]), NOWHERE)])
    layer = Layer.of(grid, torch.zeros(0, dtype=torch.bool))
    assert not Points.of(grid, torch.zeros(1, 3, 2, dtype=torch.float64), torch.tensor([0])).in_any(layer).any()


def boxes(rng: np.random.Generator, count: int, whole: bool) -> np.ndarray:
    """[N, 4, 2] around; ``whole`` gives boxes along the axes or diagonal, with corners on quarters."""
    half = rng.integers(1, 9, (count, 2)) / 4 if whole else rng.uniform(0.1, 3, (count, 2))
    local = half[:, None] * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    heading = rng.uniform(-np.pi, np.pi, count)
    turn = np.stack([np.stack([np.cos(heading), -np.sin(heading)], -1), np.stack([np.sin(heading), np.cos(heading)], -1)], -2)
    diagonal = np.array([[1.0, -1.0], [1.0, 1.0]])
    turn = np.where(rng.random((count, 1, 1)) < 0.5, np.eye(2), diagonal) if whole else turn
    shift = rng.uniform(-5, 5, (count, 1, 2))
    return local @ turn.transpose(0, 2, 1) + (np.round(shift * 4) / 4 if whole else shift)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, whole=st.booleans())
def test_boxes_meet_as_shapely_says_and_touching_counts(seed: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    corners = boxes(rng, 300, whole)
    length, width = 2.5, 1.25
    for low, high in (((-length, -width), (length, width)), ((length, -width), (length, width))):
        mine = shapely.box(*low, *high) if low[0] < high[0] else shapely.LineString([low, high])
        expected = shapely.intersects(mine, shapely.polygons(corners))
        np.testing.assert_array_equal(touches_box(*torch.from_numpy(corners).unbind(-1), low, high).numpy(), expected)
    if whole:
        assert shapely.touches(shapely.box(-length, -width, length, width), shapely.polygons(corners)).any()


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, whole=st.booleans())
def test_pieces_of_line_meet_a_box_as_shapely_says(seed: int, whole: bool) -> None:
    ends = np.random.default_rng(seed).uniform(-6, 6, (300, 2, 2))
    ends = np.round(ends * 4) / 4 if whole else ends
    expected = shapely.intersects(shapely.box(-2.5, -1.25, 2.5, 1.25), shapely.linestrings(ends))
    np.testing.assert_array_equal(touches_segment(*torch.from_numpy(ends).unbind(-1), 2.5, 1.25).numpy(), expected)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_lines_are_projected_on_and_kept_near_as_shapely_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = [np.cumsum(rng.normal(0, 1.5, (int(rng.integers(2, 40)), 2)), axis=0) for _ in range(2)]
    lines[0] = np.repeat(lines[0], 2, axis=0)
    points = rng.normal(0, 5, (2, 60, 2))
    given_points = torch.from_numpy(points)
    arc = Lines.of([torch.from_numpy(line) for line in lines]).project(given_points)
    grid = Grid.of([cells_of_line(line, NOWHERE, 0.5) for line in lines])
    near = Points.of(grid, given_points, torch.tensor([0, 1])).is_near(0.5).reshape(2, 60)
    for scene, line in enumerate(lines):
        expected, each = shapely.LineString(line), shapely.points(points[scene])
        np.testing.assert_allclose(arc[scene], shapely.line_locate_point(expected, each), atol=1e-9)
        np.testing.assert_array_equal(near[scene], shapely.distance(expected, each) <= 0.5)


def test_half_a_metre_beside_a_line_is_near_and_a_hair_more_is_not() -> None:
    grid = Grid.of([cells_of_line(np.array([[0.0, 0.0], [10.0, 0.0]]), NOWHERE, 0.5)])
    points = torch.tensor([[[4.0, 0.5], [4.0, 0.5 + 1e-9], [-0.5, 0.0], [10.5, 0.0], [10.5, 0.01]]], dtype=torch.float64)
    assert Points.of(grid, points, torch.tensor([0])).is_near(0.5).tolist() == [True, False, True, True, False]


def test_the_first_of_two_equally_near_places_counts() -> None:
    hairpin = torch.tensor([[0.0, 0.0], [10.0, 0.0], [10.0, 4.0], [0.0, 4.0]], dtype=torch.float64)
    assert Lines.of([hairpin]).project(torch.tensor([[[3.0, 2.0]]], dtype=torch.float64)).item() == 3.0
