"""Towns as SUMO builds them and as maps. Needs SUMO."""

import importlib.util
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import networkx
import numpy as np
import pytest
import shapely

from diffdrive.geometry import to_local
from diffdrive.scene import AreaKind, DrivingCommand, command_from_route
from diffdrive.world.roads import RoadNetwork, TownConfig, TownLayout, build_network, lay_out, plan_route, read_network
from diffdrive.world.roads.signals import conflicting_greens

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("sumolib") is None or importlib.util.find_spec("sumo") is None,
    reason="SUMO is not installed (pip install 'diffdrive[world]')",
)

TOWNS = [(0, 4), (5, 4), (3, 3)]


@dataclass(frozen=True, kw_only=True)
class Built:
    """A town in all its forms."""

    layout: TownLayout
    file: Path
    network: RoadNetwork


@pytest.fixture(scope="module", params=TOWNS, ids=lambda town: f"seed {town[0]}, {town[1]} a side")
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    seed, nodes = request.param
    layout = lay_out(seed, TownConfig(nodes_per_side=nodes))
    file = build_network(layout, tmp_path_factory.mktemp("town"))
    return Built(layout=layout, file=file, network=read_network(file))


def test_every_driving_lane_can_be_reached_from_every_other(town: Built) -> None:
    lanes = {lane.lane_id: lane for lane in town.network.vector_map.lanes if not lane.is_bike_lane}
    graph = networkx.DiGraph()
    for lane in lanes.values():
        onward = (*lane.successor_ids, lane.left_lane_id, lane.right_lane_id)
        graph.add_edges_from((lane.lane_id, name) for name in onward if name in lanes)
    assert set(graph) == set(lanes)
    assert networkx.is_strongly_connected(graph)


def test_links_between_lanes_hold_both_ways_and_ids_are_numbers(town: Built) -> None:
    lanes = {lane.lane_id: lane for lane in town.network.vector_map.lanes}
    for lane in lanes.values():
        assert lane.lane_id.isdigit() and str(lane.lane_group_id).isdigit()
        assert all(lane.lane_id in lanes[name].predecessor_ids for name in lane.successor_ids)
        assert all(lane.lane_id in lanes[name].successor_ids for name in lane.predecessor_ids)
        if lane.intersection_id is not None:
            assert len(lane.predecessor_ids) == len(lane.successor_ids) == 1
            ends = lanes[lane.predecessor_ids[0]].centerline[-1], lanes[lane.successor_ids[0]].centerline[0]
            np.testing.assert_allclose([lane.centerline[0], lane.centerline[-1]], ends, atol=0.01)
    assert set(town.network.lane_of.values()) == set(lanes)


def test_directions_and_kinds_are_those_of_the_plan(town: Built) -> None:
    approaches = town.network.approaches
    planned = {(street.start, street.end): street for street in town.layout.streets}
    ways = {*planned, *((b, a) for (a, b), street in planned.items() if not street.is_one_way)}
    assert set(approaches) == {f"{a}-{b}" for a, b in ways}
    for (start, end), street in planned.items():
        ahead = approaches[f"{start}-{end}"]
        assert (ahead.opposite_edge_id is None) == street.is_one_way
        assert ahead.num_lanes == street.lanes
        assert ahead.speed_limit == street.speed_limit
        assert bool(ahead.bike_lane_ids) == street.has_bike_lanes
        assert (ahead.parking_strip is not None) == street.has_parking
        assert ahead.is_trip_end == (street.kind.value in ("minor", "arterial"))
        if not street.has_sidewalks:
            assert not any(ahead.edge_id in other.walk_edge_ids for other in approaches.values())


def test_lights_never_let_crossing_traffic_go_at_once(town: Built) -> None:
    assert town.network.signals
    assert conflicting_greens(town.file) == []


def test_a_light_that_is_always_green_is_found_out(town: Built, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.net.xml"
    all_green = re.sub(r'state="([GgrySsuoO]+)"/>', lambda found: f'state="{"G" * len(found[1])}"/>', town.file.read_text())
    spoilt.write_text(all_green)
    assert conflicting_greens(spoilt)


def test_lanes_lie_on_the_drivable_area_and_walkways_beside_it(town: Built) -> None:
    vector_map = town.network.vector_map
    outlines = [shapely.Polygon(area.outline) for area in vector_map.areas_of(AreaKind.GENERIC_DRIVABLE, AreaKind.CARPARK)]
    drivable = shapely.union_all(outlines).buffer(0.03)
    for lane in vector_map.lanes:
        polygon = shapely.Polygon(lane.polygon)
        assert polygon.is_valid
        assert polygon.difference(drivable).area < 0.01, f"lane {lane.lane_id} leaves the road"
    walks = shapely.union_all([shapely.Polygon(area.outline) for area in vector_map.areas_of(AreaKind.WALKWAY)])
    assert walks.intersection(drivable).area < 0.01 * walks.area


def test_islands_of_roundabouts_and_medians_are_not_paved(town: Built) -> None:
    surface = shapely.union_all(
        [shapely.Polygon(area.outline) for area in town.network.vector_map.areas_of(AreaKind.GENERIC_DRIVABLE)]
    )
    for ring in town.layout.roundabouts:
        assert not surface.intersects(shapely.Point(ring.center).buffer(12.0))
    for name in ("bend1-bend2",) if "bend1-bend2" in town.network.approaches else ():
        middle = _lanes(town, name)[-1].left_boundary
        between = np.concatenate([middle[len(middle) // 2], [0.0]])[:2]
        back = min(
            (_lanes(town, e)[-1].left_boundary for e in ("leave-join", "join-join_end")), key=lambda b: _distance(b, between)
        )
        assert not surface.contains(shapely.Point((between + _nearest(back, between)) / 2))


def test_routes_lead_through_roundabouts(town: Built) -> None:
    for ring in town.layout.roundabouts:
        into = [a for a in town.network.approaches.values() if a.to_junction in ring.nodes and not a.is_ring]
        out_of = [a for a in town.network.approaches.values() if a.from_junction in ring.nodes and not a.is_ring]
        for start in into:
            for goal in out_of:
                edges = _path(town.network, start.edge_id, goal.edge_id)
                if goal.from_junction != start.to_junction:
                    assert all(town.network.approaches[edge].is_ring for edge in edges[1:-1]), "round the island, and no detour"
                line = plan_route(town.network, edges, start.lane_ids[0], beyond_m=0.0)
                _is_drivable(line)
                inside = np.hypot(*(line - ring.center).T)
                assert inside.min() > 14.0, "nobody drives over the island"
                commands = {_command(line, k) for k in range(0, len(line) - 30, 3)}
                # A roundabout is entered to the right.
                assert DrivingCommand.RIGHT in commands or DrivingCommand.LEFT in commands


def test_routes_lead_on_and_off_the_expressway(town: Built) -> None:
    if not town.layout.links:
        assert not any(approach.is_expressway for approach in town.network.approaches.values())
        return
    approaches = town.network.approaches
    on = next(edge for edge in approaches if edge.endswith("-join") and approaches[edge].is_ramp)
    off = next(edge for edge in approaches if edge.startswith("leave-") and approaches[edge].is_ramp)
    away = next(edge for edge in approaches[off].next_edge_ids if approaches[edge].is_trip_end)
    for edges in (
        [on, "join-join_end", _after(town.network, "join-join_end")],
        [_before(town.network, "leave_start-leave"), "leave_start-leave", off, away],
    ):
        line = plan_route(town.network, edges, approaches[edges[0]].lane_ids[-1], beyond_m=0.0)
        _is_drivable(line)
    assert approaches[on].from_junction == approaches[off].to_junction


def _lanes(town: Built, edge: str) -> list:
    lanes = {lane.lane_id: lane for lane in town.network.vector_map.lanes}
    return [lanes[name] for name in town.network.approaches[edge].lane_ids]


def _nearest(line: np.ndarray, point: np.ndarray) -> np.ndarray:
    nearest = shapely.LineString(line).interpolate(shapely.LineString(line).project(shapely.Point(point)))
    return np.array([nearest.x, nearest.y])


def _distance(line: np.ndarray, point: np.ndarray) -> float:
    return float(np.hypot(*(_nearest(line, point) - point)))


def _path(network: RoadNetwork, start: str, goal: str) -> list[str]:
    """The fewest streets from one to another."""
    before, waiting = {start: ""}, deque([start])
    while goal not in before or start == goal:
        edge = waiting.popleft()
        for onward in network.approaches[edge].next_edge_ids:
            if onward not in before:
                before[onward] = edge
                waiting.append(onward)
    path = [goal]
    while before[path[-1]]:
        path.append(before[path[-1]])
    return path[::-1]


def _after(network: RoadNetwork, edge: str) -> str:
    return network.approaches[edge].next_edge_ids[0]


def _before(network: RoadNetwork, edge: str) -> str:
    return next(name for name, approach in network.approaches.items() if edge in approach.next_edge_ids)


def _is_drivable(line: np.ndarray) -> None:
    """No jumps, and no bend that a car cannot take."""
    steps = np.diff(line, axis=0)
    assert np.hypot(*steps.T).max() < 1.2
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    assert np.abs(headings[4:] - headings[:-4]).max() < 1.0


def _command(line: np.ndarray, k: int) -> DrivingCommand:
    ahead = line[k + 1] - line[k]
    pose = np.array([*line[k], np.arctan2(ahead[1], ahead[0])])
    return command_from_route(to_local(line[k:], pose))
