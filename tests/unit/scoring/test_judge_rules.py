"""Each rule on a road made by hand: what is lost, where, and what just is not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from plain_scene import plain_scene

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.judge import Judgement, judge
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import Protocol
from diffdrive.scoring.scores import CORNERS, NONE, Verdict
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap, RedLights, ScoringScene, Tracks

FRONT, HALF_WIDTH = 4.049, 2.297 / 2
EMPTY = {"corners": np.zeros((0, 41, 4, 2)), "is_present": np.zeros((0, 41), bool), "centroids": np.zeros((0, 41, 2))}
NOBODY = Tracks(tokens=(), **EMPTY, is_agent=np.zeros(0, bool), speeds=np.zeros(0))


def strip(x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def a_map(*areas: tuple[np.ndarray, AreaType, bool]) -> DrivableMap:
    rings, types, on_route = zip(*areas, strict=True)
    return DrivableMap(polygons=Polygons.of(rings), types=np.array(types), on_route=np.array(on_route))


TWO_LANES = (
    (strip(-50, 150, -1.75, 5.25), AreaType.ROADBLOCK, False),
    (strip(-50, 150, -1.75, 1.75), AreaType.LANE, True),
    (strip(-50, 150, 1.75, 5.25), AreaType.LANE, False),
)


def track(
    x: float, y: float, *, speed: float = 0.0, heading: float = 0.0, is_agent: bool = True, steps: int = 41, first_step: int = 0
) -> dict[str, Any]:
    """A box 4.5 x 1.9 m on its way from x, y, there from ``first_step`` on."""
    way = speed * 0.1 * np.arange(steps)
    poses = np.stack([x + way * np.cos(heading), y + way * np.sin(heading), np.full(steps, heading)], axis=1)
    boxes = np.concatenate([poses, np.tile([4.5, 1.9], (steps, 1))], axis=1)
    present = np.arange(steps) >= first_step
    box = {"corners": box_corners(boxes), "is_present": present, "centroids": poses[:, :2]}
    return {**box, "is_agent": is_agent, "speeds": speed}


def tracks(*them: dict[str, Any]) -> Tracks:
    fields = {name: np.stack([np.asarray(each[name]) for each in them]) for name in them[0]}
    return Tracks(tokens=tuple(str(i) for i in range(len(them))), **fields)


def road(*them: dict[str, Any], protocol: Protocol = Protocol.V2, **changes: Any) -> ScoringScene:
    """Two lanes along x; the left one is not of the route."""
    found = tracks(*them) if them else NOBODY
    return plain_scene(protocol, **{"tracks": found, "drivable_map": a_map(*TWO_LANES), **changes})


def drive(speed: float = 10.0, y: float | np.ndarray = 0.0, heading: float = 0.0, x: float = 0.0) -> np.ndarray:
    """[41, 11] straight on."""
    states = np.zeros((41, 11))
    states[:, 0] = x + speed * 0.1 * np.arange(41) * np.cos(heading)
    states[:, 1] = y + speed * 0.1 * np.arange(41) * np.sin(heading)
    states[:, 2], states[:, 3] = heading, speed
    return states


def judged(scene: ScoringScene, *drives: np.ndarray) -> Judgement:
    return judge(SceneBatch.of([scene]), torch.from_numpy(np.stack(drives))[None])


def reason(verdict: Verdict, row: int = 0) -> tuple[float, int, int, int]:
    """Value, step, agent, corner."""
    return tuple(part[0, row].item() for part in (verdict.value, verdict.step, verdict.agent, verdict.corner))  # type: ignore


CLEAN = (1.0, NONE, NONE, NONE)


def test_driving_on_in_the_lane_loses_nothing() -> None:
    found = judged(road(), drive())
    assert {name: reason(verdict) for name, verdict in found.verdicts.items()} == dict.fromkeys(found.verdicts, CLEAN)
    assert found.progress.item() == pytest.approx(40.0)


@pytest.mark.parametrize(("is_agent", "value"), [(True, 0.0), (False, 0.5)])
def test_running_into_what_stands_costs_by_its_kind(is_agent: bool, value: float) -> None:
    found = judged(road(track(60, 3.5), track(20, 0, is_agent=is_agent)), drive())
    # The front reaches the rear of the box, 17.75 m away, at step 14 (14 m + 4.049 m).
    assert reason(found.verdicts["no_at_fault_collisions"]) == (value, 14, 1, NONE)
    # 0.9 s earlier it would: 5 m + 4.049 m + 9 m.
    assert reason(found.verdicts["time_to_collision"]) == (0.0, 5, 1, NONE)


def test_the_worse_of_two_faults_decides() -> None:
    found = judged(road(track(12, 0, is_agent=False), track(25, 0)), drive())
    assert reason(found.verdicts["no_at_fault_collisions"])[::2] == (0.0, 1)


def test_being_hit_from_behind_is_not_the_egos_fault_even_when_the_track_gets_in_front() -> None:
    found = judged(road(track(-12, 0, speed=14.0)), drive(5.0))
    assert reason(found.verdicts["no_at_fault_collisions"]) == CLEAN


def test_a_standing_ego_is_not_to_blame() -> None:
    ahead = track(12, 0, speed=10.0, heading=np.pi)
    assert reason(judged(road(ahead), drive(0.0)).verdicts["no_at_fault_collisions"]) == CLEAN
    assert reason(judged(road(ahead), drive(0.1)).verdicts["no_at_fault_collisions"])[0] == 0.0


def test_a_hit_at_the_side_counts_only_outside_of_ones_lane() -> None:
    from_the_left = track(1.0, 12, speed=5.0, heading=-np.pi / 2)
    within = judged(road(from_the_left), drive(1.0))
    assert reason(within.verdicts["no_at_fault_collisions"]) == CLEAN
    across = judged(road(from_the_left), drive(1.0, y=1.0))
    assert reason(across.verdicts["no_at_fault_collisions"])[0] == 0.0
    off_the_road = judged(road(from_the_left), drive(1.0, y=-1.0))
    assert reason(off_the_road.verdicts["no_at_fault_collisions"])[0] == 0.0


def test_touching_is_hitting() -> None:
    start = 9.75 - FRONT
    touching, apart = track(12.0, 0, first_step=40), track(12.0 + 1e-6, 0, first_step=40)
    states = drive(1.0, x=start - 4.0)
    states[-1, 0] = start
    assert states[-1, 0] + 1.461 + 5.176 / 2 == 9.75
    assert reason(judged(road(touching), states).verdicts["no_at_fault_collisions"])[:2] == (0.0, 40)
    assert reason(judged(road(apart), states).verdicts["no_at_fault_collisions"]) == CLEAN


def test_time_to_collision_looks_beside_only_outside_of_ones_lane_or_in_an_intersection() -> None:
    from_the_left = track(1.0, 12, speed=5.0, heading=-np.pi / 2)
    junction = (strip(-50, 3, -1.75, 5.25), AreaType.INTERSECTION, False)
    in_lane = judged(road(from_the_left), drive(1.0)).verdicts["time_to_collision"]
    across = judged(road(from_the_left), drive(1.0, y=1.0)).verdicts["time_to_collision"]
    in_junction = judged(road(from_the_left, drivable_map=a_map(*TWO_LANES, junction)), drive(1.0))
    assert reason(in_lane) == CLEAN
    assert reason(across)[0] == 0.0
    assert reason(in_junction.verdicts["time_to_collision"])[0] == 0.0


def test_a_bearing_that_is_no_number_is_neither_ahead_nor_behind() -> None:
    """Straight ahead at this heading the cosine rounds to more than one."""
    heading, scene = _unlucky()
    ahead = judged(scene, drive(5.0, heading=heading))
    assert reason(ahead.verdicts["time_to_collision"]) == CLEAN
    clamped = judged(replace(scene, corrected=True), drive(5.0, heading=heading))
    assert reason(clamped.verdicts["time_to_collision"])[0] == 0.0
    everywhere = a_map((strip(-80, 80, -80, 80), AreaType.INTERSECTION, False))
    exposed = judged(replace(scene, drivable_map=everywhere), drive(5.0, heading=heading))
    assert reason(exposed.verdicts["time_to_collision"])[0] == 0.0


def _unlucky() -> tuple[float, ScoringScene]:
    wide = a_map((strip(-80, 80, -80, 80), AreaType.ROADBLOCK, False), (strip(-80, 80, -80, 80), AreaType.LANE, True))
    for heading in np.linspace(0.1, 1.4, 300):
        direction = np.array([np.cos(heading), np.sin(heading)])
        angle = torch.tensor(heading, dtype=torch.float64)
        cosine, sine = angle.cos(), angle.sin()
        x, y = torch.from_numpy(10.0 * direction)
        norm = (x * x + y * y).sqrt()
        if (cosine * (x / norm) + sine * (y / norm)).item() > 1:
            box = track(*(10.0 * direction), heading=heading, first_step=0)
            box["is_present"] = np.arange(41) == 9
            return heading, plain_scene(tracks=tracks(box), drivable_map=wide)
    raise AssertionError("no heading of the sweep rounds up")


def test_v1_looks_at_all_steps_and_v2_leaves_the_last_ones_out() -> None:
    late = {protocol: track(48.2, 0, steps=51 if protocol is Protocol.V1 else 41) for protocol in Protocol}
    found = {p: judged(road(box, protocol=p), drive()).verdicts["time_to_collision"] for p, box in late.items()}
    # It comes within 0.9 s at step 33.
    assert reason(found[Protocol.V1]) == (0.0, 33, 0, NONE)
    assert reason(found[Protocol.V2]) == CLEAN


def test_leaving_the_drivable_area_names_the_first_corner() -> None:
    left_edge = 5.25 - HALF_WIDTH
    on_edge = judged(road(), drive(y=left_edge), drive(y=left_edge - 1e-9), drive(heading=-0.02, y=-0.58))
    verdict = on_edge.verdicts["drivable_area_compliance"]
    assert reason(verdict, 0) == (0.0, 0, NONE, CORNERS.index("front left"))
    assert reason(verdict, 1) == CLEAN
    assert reason(verdict, 2)[0] == 0.0
    assert reason(verdict, 2)[3] == CORNERS.index("front right")


def test_lanes_alone_are_not_drivable_but_carparks_are() -> None:
    lane_only, carpark = (a_map((strip(-50, 150, -5, 5), kind, True)) for kind in (AreaType.LANE, AreaType.CARPARK))
    assert reason(judged(road(drivable_map=lane_only), drive()).verdicts["drivable_area_compliance"])[0] == 0.0
    assert reason(judged(road(drivable_map=carpark), drive()).verdicts["drivable_area_compliance"]) == CLEAN


@pytest.mark.parametrize(("speed", "value"), [(1.9 / 1.1, 1.0), (2.1 / 1.1, 0.5), (5.9 / 1.1, 0.5), (6.1 / 1.1, 0.0)])
def test_driving_beside_the_route_counts_metres_within_eleven_steps(speed: float, value: float) -> None:
    found = judged(road(), drive(speed, y=3.5)).verdicts["driving_direction_compliance"]
    assert reason(found)[0] == value
    if value == 0.0:
        assert reason(found) == (0.0, 11, NONE, CORNERS.index("centre"))


def test_intersections_spare_the_direction_in_v2_only() -> None:
    junction = a_map(*TWO_LANES, (strip(-50, 150, -1.75, 5.25), AreaType.INTERSECTION, False))
    for protocol, value in ((Protocol.V1, 0.0), (Protocol.V2, 1.0)):
        found = judged(road(protocol=protocol, drivable_map=junction), drive(y=3.5))
        assert reason(found.verdicts["driving_direction_compliance"])[0] == value


def lights(is_red: np.ndarray, x0: float = 20.0, x1: float = 30.0) -> RedLights:
    return RedLights(polygons=Polygons.of([strip(x0, x1, -1.75, 1.75)]), is_red=is_red[None])


def test_a_red_connector_costs_from_the_first_touch_while_it_is_red() -> None:
    always, never, late = np.ones(41, bool), np.zeros(41, bool), np.arange(41) >= 35
    # The front is at 20.049 m at step 16, the rear leaves 30 m at step 32.
    assert reason(judged(road(red_lights=lights(always)), drive()).verdicts["traffic_light_compliance"]) == (0, 16, NONE, NONE)
    assert reason(judged(road(red_lights=lights(never)), drive()).verdicts["traffic_light_compliance"]) == CLEAN
    assert reason(judged(road(red_lights=lights(late)), drive()).verdicts["traffic_light_compliance"]) == CLEAN
    inside = judged(road(red_lights=lights(late, -100, 100)), drive())
    assert reason(inside.verdicts["traffic_light_compliance"])[:2] == (0.0, 35)
    within_the_body = judged(road(red_lights=lights(always, 20.0, 20.5)), drive())
    assert reason(within_the_body.verdicts["traffic_light_compliance"])[:2] == (0.0, 16)
    for gap, value in ((1e-9, 1.0), (-1e-9, 0.0)):
        before = drive(1.0, x=20.0 - FRONT - 4.0 - gap)
        assert reason(judged(road(red_lights=lights(always)), before).verdicts["traffic_light_compliance"])[0] == value


def test_lane_keeping_counts_twenty_steps_in_a_row() -> None:
    def away(*ranges: tuple[int, int]) -> np.ndarray:
        y = np.zeros(41)
        for begin, end in ranges:
            y[begin:end] = 0.6
        return drive(1.0, y=y)

    found = judged(road(), away((5, 24)), away((5, 25)), away((0, 19), (20, 39)), drive(1.0, y=0.5)).verdicts["lane_keeping"]
    assert reason(found, 0) == CLEAN
    assert reason(found, 1) == (0.0, 24, NONE, CORNERS.index("centre"))
    assert reason(found, 2) == CLEAN
    assert reason(found, 3) == CLEAN


def test_an_intersection_stops_the_count_and_does_not_reset_it() -> None:
    junction = a_map(*TWO_LANES, (strip(2.461 - 0.001, 3.461 + 0.001, -1.75, 5.25), AreaType.INTERSECTION, False))
    # The centre is in the intersection at steps 10..20, on the line or not.
    away = drive(1.0, y=np.where(np.arange(41) < 10, 0.6, np.where(np.arange(41) <= 20, 0.0, 0.6)))
    found = judged(road(drivable_map=junction), away).verdicts["lane_keeping"]
    assert reason(found)[:2] == (0.0, 30)


def test_progress_is_never_negative_and_ends_with_the_centreline() -> None:
    found = judged(road(), drive(-1.0), drive(50.0), drive(10.0, y=3.0)).progress
    assert found[0].tolist() == pytest.approx([0.0, 120 - 1.461, 40.0])


def test_an_empty_map_and_nobody_around_can_be_judged() -> None:
    empty = DrivableMap(polygons=Polygons.of([]), types=np.zeros(0), on_route=np.zeros(0, bool))
    found = judged(road(drivable_map=empty), drive(), drive(1.0))
    values = {name: verdict.value[0].tolist() for name, verdict in found.verdicts.items()}
    assert values["drivable_area_compliance"] == [0.0, 0.0]
    assert values["no_at_fault_collisions"] == values["time_to_collision"] == [1.0, 1.0]


def test_states_of_another_shape_are_refused() -> None:
    batch = SceneBatch.of([road()])
    with pytest.raises(InputError, match=r"\[1, R, 41, 11\]"):
        judge(batch, torch.zeros(1, 2, 40, 11, dtype=torch.float64))


def beside(x: float, y: float, speed: float, at: int = 5) -> dict[str, Any]:
    """A box along the lane that is seen at one step only."""
    box = track(x, y, speed=speed)
    box["corners"], box["centroids"] = box["corners"] - [0.1 * at * speed, 0.0], box["centroids"] - [0.1 * at * speed, 0.0]
    box["is_present"] = np.arange(41) == at
    return box


def test_at_the_side_of_what_stands_the_ego_is_to_blame() -> None:
    standing, moving = (judged(road(beside(1.5, 2.0, speed)), drive(1.0)) for speed in (0.0, 0.1))
    assert reason(standing.verdicts["no_at_fault_collisions"]) == (0.0, 5, 0, NONE)
    assert reason(moving.verdicts["no_at_fault_collisions"]) == CLEAN


def test_behind_is_more_than_150_degrees() -> None:
    # The rear axle is at (0.5, 1) when the box appears at 160 and at 140 degrees; the ego is across two lanes.
    behind, side = (judged(road(beside(0.5 + x, 1.0 + y, 3.0)), drive(1.0, y=1.0)) for x, y in ((-3.0, 1.09), (-2.0, 1.68)))
    assert reason(behind.verdicts["no_at_fault_collisions"]) == CLEAN
    assert reason(side.verdicts["no_at_fault_collisions"])[:2] == (0.0, 5)


def test_one_lane_that_holds_all_corners_is_enough_and_one_lane_is_not_many() -> None:
    from_the_left = track(1.0, 12, speed=5.0, heading=-np.pi / 2)
    overlapping = a_map(*TWO_LANES, (strip(-50, 150, 0.5, 3.0), AreaType.LANE_CONNECTOR, True))
    single = a_map((strip(-50, 150, -5, 5), AreaType.ROADBLOCK, False), (strip(-50, 150, -1.75, 1.75), AreaType.LANE, True))
    for drivable_map, y in ((overlapping, 0.0), (single, 1.0)):
        found = judged(road(from_the_left, drivable_map=drivable_map), drive(1.0, y=y))
        assert reason(found.verdicts["no_at_fault_collisions"]) == CLEAN


def test_a_step_that_v2_leaves_out_is_left_out() -> None:
    states = drive(0.0)
    states[32:, 3] = 1.0
    box = track(6.0, 0.0)
    found = {p: judged(road(box_of(p, box), protocol=p), states).verdicts["time_to_collision"] for p in Protocol}
    assert reason(found[Protocol.V1])[:2] == (0.0, 32)
    assert reason(found[Protocol.V2]) == CLEAN


def box_of(protocol: Protocol, box: dict[str, Any]) -> dict[str, Any]:
    """The same standing box for as many steps as the protocol observes."""
    return track(*box["centroids"][0], steps=51 if protocol is Protocol.V1 else 41)


def test_the_rear_corners_are_where_the_rear_is() -> None:
    for begin, expected in ((-1.0, (0.0, 0, NONE, CORNERS.index("rear left"))), (-1.2, CLEAN)):
        short = a_map((strip(begin, 150, -5, 5), AreaType.ROADBLOCK, False))
        assert reason(judged(road(drivable_map=short), drive()).verdicts["drivable_area_compliance"]) == expected


def test_a_near_miss_first_and_a_hit_later_is_a_hit() -> None:
    """Along the ego's axes the turned box overlaps the ego's for some steps before it really touches."""
    turned = track(9.0, 2.6, heading=np.pi / 4)
    found = judged(road(turned), drive(2.0))
    verdict = found.verdicts["no_at_fault_collisions"]
    front = 2.0 * 0.1 * np.arange(41) + FRONT
    low = turned["corners"][0].min(axis=0)
    assert low[1] < HALF_WIDTH
    first_overlap = int(np.argmax(front >= low[0]))
    assert reason(verdict)[0] == 0.0
    assert verdict.step.item() > first_overlap
