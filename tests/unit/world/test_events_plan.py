"""A seed and a map become places of events."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline, box_corners
from diffdrive.scene import AgentKind, Lane, VectorMap
from diffdrive.world.events import EventKind
from diffdrive.world.roads import Approach, RoadNetwork
from diffdrive.world.traffic import Track, lift_vehicle
from diffdrive.world.traffic.clearing import without_blockers
from diffdrive.world.traffic.events import EventConfig, plan_events, read_plan, write_plan
from diffdrive.world.traffic.events.aftermath import shifted_front

LENGTH_M, WIDTH_M = 150.0, 3.3
NOTHING = EventConfig(**dict.fromkeys((field.name for field in fields(EventConfig)), 0.0))
MUCH = replace(NOTHING, jaywalkers_per_km=4.0, double_parked_per_km=4.0, work_zones_per_km=4.0)


def _town(count: int = 6, **changes: object) -> RoadNetwork:
    """Streets one above the other, 60 m apart, one lane each way, slightly curved."""
    lanes, streets = [], {}
    x = np.linspace(0.0, LENGTH_M, 40)
    for k in range(count):
        middle = np.column_stack([x, 60.0 * k + 3.0 * np.sin(np.pi * x / LENGTH_M)])
        for name, side, points in (("a", -1.0, middle), ("b", 1.0, middle[::-1])):
            center = points + [0.0, side * WIDTH_M / 2]
            half = np.array([0.0, -side * WIDTH_M / 2])
            lanes.append(
                Lane(
                    lane_id=f"{k}{name}",
                    centerline=center,
                    left_boundary=center + half,
                    right_boundary=center - half,
                    lane_group_id=f"{k}{name}",
                )
            )
            values = {
                "edge_id": f"{k}{name}",
                "lane_ids": (f"{k}{name}",),
                "bike_lane_ids": (),
                "next_edge_ids": (),
                "walk_edge_ids": (),
                "length": LENGTH_M,
                "from_junction": "x",
                "to_junction": "y",
                "opposite_edge_id": f"{k}{'b' if name == 'a' else 'a'}",
                "speed_limit": 11.11,
                "parking_strip": None,
            }
            streets[f"{k}{name}"] = Approach(**{**values, **changes})  # type: ignore[arg-type]
    return RoadNetwork(vector_map=VectorMap(lanes=tuple(lanes)), approaches=streets, lane_of={}, signals={})


def test_plan_is_a_function_of_its_seed_and_survives_writing(tmp_path: Path) -> None:
    network = _town()
    plan = plan_events(network, 3, MUCH)
    assert plan == plan_events(network, 3, MUCH)
    assert plan != plan_events(network, 4, MUCH)
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan


def test_rates_set_the_numbers_and_no_street_has_two_events() -> None:
    network = _town(12)
    plan = plan_events(network, 3, replace(NOTHING, jaywalkers_per_km=2.0, double_parked_per_km=1.0, work_zones_per_km=1.0))
    kinds = [site.kind for site in plan.bottlenecks]
    # 1.8 km of street.
    assert kinds.count(EventKind.WORK_ZONE) in (1, 2) and kinds.count(EventKind.DOUBLE_PARKED) in (1, 2)
    assert len(plan.crossings) in (3, 4)
    places = [site.ahead.edge_id[:-1] for site in plan.bottlenecks] + [site.gates[0].edge_id[:-1] for site in plan.crossings]
    assert len(set(places)) == len(places)
    nothing = plan_events(network, 3, NOTHING)
    assert nothing.bottlenecks == () and nothing.crossings == ()


@pytest.mark.parametrize("change", [{"is_ring": True}, {"is_ramp": True}, {"is_expressway": True}, {"opposite_edge_id": None}])
def test_nothing_is_planned_on_rings_ramps_expressways_and_one_way_streets(change: dict[str, Any]) -> None:
    plan = plan_events(_town(**change), 3, MUCH)
    assert plan.bottlenecks == () and plan.crossings == ()


def test_lines_leave_room_for_a_bus_on_either_side() -> None:
    for site in plan_events(_town(12), 5, MUCH).bottlenecks:
        assert site.ahead.stop_m > 12.0 and site.oncoming.stop_m > 12.0
        assert site.ahead.stop_m + 15.0 < site.first_m
        assert site.ahead.end_m > site.last_m + 10.0
        assert site.ahead.length_m - site.ahead.end_m > 24.0, "a place for who has passed"


def test_what_blocks_a_lane_stands_in_it_and_leaves_the_rest_free() -> None:
    network = _town(12)
    for site in plan_events(network, 5, MUCH).bottlenecks:
        lane = next(lane for lane in network.vector_map.lanes if lane.lane_id == site.lane_id)
        line = Polyline(lane.centerline)
        corners = box_corners(np.array([[*prop.pose, *prop.size[:2]] for prop in site.props])).reshape(-1, 2)
        along = np.array([line.project(corner) for corner in corners])
        assert along[:, 0].min() > site.first_m - 0.1 and along[:, 0].max() < site.last_m + 0.1
        assert along[:, 1].max() < site.left_m + 0.05 and along[:, 1].min() > -WIDTH_M / 2 - 0.05
        if site.kind is EventKind.WORK_ZONE:
            assert {prop.kind for prop in site.props} == {AgentKind.TRAFFIC_CONE, AgentKind.BARRIER, AgentKind.CZONE_SIGN}


def test_people_walk_straight_across_both_lanes() -> None:
    for site in plan_events(_town(12), 5, MUCH).crossings:
        width = np.hypot(*np.subtract(site.end, site.start))
        assert width == pytest.approx(2 * WIDTH_M + 2.0, abs=0.1)
        assert 0.2 < site.brink_m < min(site.spans[0]) + 0.7
        (near, near_end), (far, far_end) = site.spans
        assert 0.0 < near < far < near_end < far_end < width
        ahead, back = site.gates
        assert ahead.end_m + back.end_m == pytest.approx(LENGTH_M, abs=0.5)


@pytest.mark.parametrize(("length", "width"), [(5.176, 2.297), (11.5, 2.55), (1.8, 0.65)])
def test_lifted_path_clears_the_obstacle_and_is_a_path_of_a_car(length: float, width: float) -> None:
    network = _town(12)
    for site in plan_events(network, 5, MUCH).bottlenecks:
        line = Polyline(next(lane.centerline for lane in network.vector_map.lanes if lane.lane_id == site.lane_id))
        straight = line.interpolate(np.arange(0.0, line.length, 0.65))
        # Off the middle of the lane, as SUMO's drivers are.
        front = straight[:, :2] + 0.3 * np.column_stack([np.sin(straight[:, 2]), -np.cos(straight[:, 2])])
        moved = shifted_front(front, site, line, length=length, width=width)
        assert np.abs(moved[:5] - front[:5]).max() < 1e-6 and np.abs(moved[-5:] - front[-5:]).max() < 1e-6
        poses = lift_vehicle(moved, straight[:, 2], length=length, rear_axle_to_center=0.28 * length, interval_s=0.1)
        boxes = np.column_stack([poses, np.full(len(poses), length), np.full(len(poses), width)])
        props = np.array([[*prop.pose, *prop.size[:2]] for prop in site.props])
        apart = shapely.distance(shapely.polygons(box_corners(boxes))[:, None], shapely.polygons(box_corners(props)))
        assert apart.min() > 0.6
        speed = np.hypot(*np.gradient(poses[:, :2], 0.1, axis=0).T)
        sideways = speed * np.gradient(poses[:, 2], 0.1)
        assert np.abs(sideways[10:-10]).max() < 3.0


def _standing(token: str, x: float, y: float, kind: AgentKind, size: tuple[float, float, float]) -> Track:
    return Track(token=token, type_name="", kind=kind, first_step=0, poses=np.broadcast_to([x, y, 0.0], (8, 3)), size=size)


def test_no_car_is_parked_where_somebody_walks() -> None:
    cars = [_standing(f"s{k}", 6.0 * k, 0.0, AgentKind.VEHICLE, (4.7, 1.9, 1.5)) for k in range(4)]
    walk = np.column_stack([np.full(8, 6.0), np.linspace(-3.0, 3.0, 8), np.full(8, np.pi / 2)])
    walker = Track(token="j0", type_name="walker", kind=AgentKind.PEDESTRIAN, first_step=0, poses=walk, size=(0.5, 0.6, 1.7))
    cone = _standing("w0", 20.4, 0.0, AgentKind.TRAFFIC_CONE, (0.4, 0.4, 0.8))
    assert [car.token for car in without_blockers(cars, [walker])] == ["s0", "s2", "s3"]
    assert [car.token for car in without_blockers(cars, [walker, cone])] == ["s0", "s2"]
    assert len(without_blockers(cars, [])) == 4


def test_wrong_rates_say_the_rule() -> None:
    with pytest.raises(InputError, match=r"cut_in_share is a share between 0 and 1, got 1\.5"):
        EventConfig(cut_in_share=1.5)
    with pytest.raises(InputError, match="jaywalkers_per_km is between 0 and 20"):
        EventConfig(jaywalkers_per_km=-1.0)
