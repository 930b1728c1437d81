"""With nuPlan's own layers the semantic map holds what the public targets hold."""

from __future__ import annotations

import numpy as np
import pytest

from diffdrive.features.targets import BevClass, build_bev_semantic
from diffdrive.features.targets.map_square import MapSquare
from diffdrive.scene import (
    Agents,
    Area,
    AreaKind,
    DrivingCommand,
    EgoState,
    Lane,
    MapConvention,
    Observation,
    Scene,
    VectorMap,
)
from diffdrive.tensors import TargetLayout

LAYOUT = TargetLayout()
BOX = np.array([[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]])


def lane(name: str, y: float, *, intersection_id: str | None = None, x: float = 5.0) -> Lane:
    line = np.array([[x, y], [x + 20.0, y]])
    return Lane(
        lane_id=name,
        centerline=line,
        left_boundary=line + [0, 2],
        right_boundary=line - [0, 2],
        intersection_id=intersection_id,
        outline=np.concatenate([line + [0, 2.5], (line - [0, 2.5])[::-1]]),
    )


def drawn(
    *lanes: Lane, areas: tuple[Area, ...] = (), heading: float = 0.0, convention: MapConvention = MapConvention.NUPLAN
) -> np.ndarray:
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.zeros(2), acceleration=np.zeros(2))
    scene = Scene(
        token="t",
        log_name="log",
        location="city",
        world_from_ego=np.array([4e5, 3e6, heading]),
        observation=Observation(ego_history=(ego,), command=DrivingCommand.STRAIGHT),
        agents=Agents.none(),
        vector_map=VectorMap(lanes=lanes, areas=areas, convention=convention),
    )
    return build_bev_semantic(scene, LAYOUT).numpy()


def cell(grid: np.ndarray, x: float, y: float) -> BevClass:
    return BevClass(int(grid[int(x / LAYOUT.bev_pixel_m), int(y / LAYOUT.bev_pixel_m + LAYOUT.bev_columns / 2)]))


def test_a_connector_has_a_centreline_and_is_no_road() -> None:
    grid = drawn(lane("lane", 10.0), lane("connector", -10.0, intersection_id=""))
    assert [cell(grid, 15.0, y) for y in (10.1, 12.1)] == [BevClass.CENTERLINE, BevClass.ROAD]
    assert [cell(grid, 15.0, y) for y in (-9.9, -7.9)] == [BevClass.CENTERLINE, BevClass.NOTHING]


def test_a_map_that_meets_edge_to_edge_is_drawn_as_before() -> None:
    grid = drawn(lane("connector", -10.0, intersection_id="i"), convention=MapConvention.EDGE_TO_EDGE)
    assert cell(grid, 15.0, -7.9) is BevClass.ROAD


def test_an_intersection_is_road_and_a_walkway_lies_over_it() -> None:
    areas = (
        Area(area_id="i", kind=AreaKind.INTERSECTION, outline=BOX + [10.0, 0.0]),
        Area(area_id="w", kind=AreaKind.WALKWAY, outline=BOX / 2 + [10.0, 0.0]),
        Area(area_id="p", kind=AreaKind.CARPARK, outline=BOX + [20.0, 0.0]),
    )
    grid = drawn(areas=areas)
    assert [cell(grid, x, 0.1) for x in (8.5, 10.1, 20.1)] == [BevClass.ROAD, BevClass.WALKWAY, BevClass.NOTHING]


@pytest.mark.parametrize(("heading", "expected"), [(0.0, BevClass.WALKWAY), (np.pi / 4, BevClass.NOTHING)])
def test_what_does_not_meet_the_square_along_the_world_s_axes_is_not_drawn(heading: float, expected: BevClass) -> None:
    corner = Area(area_id="w", kind=AreaKind.WALKWAY, outline=BOX + [28.0, 28.0])
    assert cell(drawn(areas=(corner,), heading=heading), 28.1, 28.1) is expected


SQUARE = MapSquare(10.0, 0.3)


def turned(points: np.ndarray) -> np.ndarray:
    """From the world's axes to the ego frame of ``SQUARE``."""
    c, s = np.cos(0.3), np.sin(0.3)
    return points @ np.array([[c, -s], [s, c]])


@pytest.mark.parametrize("seed", range(6))
def test_meeting_the_square_is_what_shapely_calls_intersecting(seed: int) -> None:
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(seed)
    box = shapely.box(-10.0, -10.0, 10.0, 10.0)
    seen = set()
    for _ in range(200):
        points = rng.normal(scale=rng.choice([3.0, 30.0]), size=(rng.integers(3, 7), 2)) + rng.uniform(-25, 25, size=2)
        polygon, line = shapely.Polygon(points).convex_hull, shapely.LineString(points)
        outline = np.array(polygon.exterior.coords)[:-1]
        assert SQUARE.meets_area(turned(outline)) == polygon.intersects(box)
        assert SQUARE.meets_line(turned(points)) == line.intersects(box)
        seen.add((polygon.intersects(box), line.intersects(box)))
    assert len(seen) == 3


def test_a_polygon_around_the_square_meets_it_and_its_border_does_not() -> None:
    ring = turned(BOX * 20)
    assert SQUARE.meets_area(ring)
    assert not SQUARE.meets_line(np.concatenate([ring, ring[:1]]))
    assert SQUARE.meets_line(turned(np.array([[0.0, -50.0], [0.0, 50.0]])))
    assert not SQUARE.meets_area(turned(BOX + [0.0, 13.0]))
