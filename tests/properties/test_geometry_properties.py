"""What must hold for any pose, box and polyline."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diffdrive.geometry import (
    Polyline,
    box_corners,
    invert_transform,
    points_in_box,
    to_local,
    to_world,
    transform_from_pose,
    transform_points,
    wrap_angle,
)

finite = st.floats(-1e4, 1e4)
angle = st.floats(-np.pi + 1e-9, np.pi)
pose = st.tuples(finite, finite, angle).map(np.array)


@given(st.floats(-1e6, 1e6))
def test_wrapped_angle_points_the_same_way_and_lies_in_the_interval(value: float) -> None:
    wrapped = float(wrap_angle(value))
    assert -np.pi < wrapped <= np.pi
    assert np.isclose(np.cos(wrapped), np.cos(value), atol=1e-6)
    assert np.isclose(np.sin(wrapped), np.sin(value), atol=1e-6)


@given(pose, pose)
def test_to_world_undoes_to_local(value: np.ndarray, origin: np.ndarray) -> None:
    back = to_world(to_local(value, origin), origin)
    np.testing.assert_allclose(back[:2], value[:2], atol=1e-7)
    assert abs(float(wrap_angle(back[2] - value[2]))) < 1e-9


@given(pose, pose)
def test_planar_and_spatial_transforms_agree(value: np.ndarray, origin: np.ndarray) -> None:
    spatial = transform_points(invert_transform(transform_from_pose(origin)), np.array([value[0], value[1], 1.5]))
    np.testing.assert_allclose(spatial, [*to_local(value, origin)[:2], 1.5], atol=1e-7)


@given(pose, st.floats(0.1, 30), st.floats(0.1, 5))
def test_box_corners_lie_on_the_box(center: np.ndarray, length: float, width: float) -> None:
    box = np.array([*center, length, width])
    corners = box_corners(box)
    assert points_in_box(corners, box, margin=1e-6).all()
    assert not points_in_box(corners, box, margin=-0.01).any()
    local = to_local(corners, center)
    # Front left first, then clockwise.
    np.testing.assert_allclose(np.sign(local), [[1, 1], [1, -1], [-1, -1], [-1, 1]])


@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=8, unique=True), st.floats(0, 1))
def test_a_point_of_a_polyline_projects_onto_itself(points: list[tuple[float, float]], share: float) -> None:
    line = Polyline(np.array(points))
    there = line.interpolate(share * line.length)
    _, distance = line.project(there[:2])
    assert abs(distance) < 1e-5


def test_polyline_left_is_positive() -> None:
    line = Polyline(np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 0.0], [10.0, 10.0]]))
    assert line.length == 20.0
    assert line.project(np.array([4.0, 1.0])) == (4.0, 1.0)
    assert line.project(np.array([12.0, 5.0])) == (15.0, -2.0)
    np.testing.assert_allclose(line.interpolate(15.0), [10.0, 5.0, np.pi / 2])
