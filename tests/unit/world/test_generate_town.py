"""One small town, simulated twice: written, read back, and plausible. Needs SUMO."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from diffdrive.configuration import build
from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline
from diffdrive.log123d.read import LogReader
from diffdrive.scene import AgentKind, AreaKind, LightState, VectorMap
from diffdrive.vehicle import PACIFICA
from diffdrive.world import generate
from diffdrive.world.events import EventKind
from diffdrive.world.generate import WorldConfig, generate_town, generate_world, simulate_town
from diffdrive.world.plausibility import boxes_overlap

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("libsumo") is None, reason="SUMO is not installed (pip install 'diffdrive[world]')"
    ),
    pytest.mark.skipif(importlib.util.find_spec("py123d") is None, reason="py123d is not installed"),
]

SMALL = {
    "town": {"nodes_per_side": 3, "spacing_min": 80.0, "spacing_max": 95.0, "signal_share": 1.0},
    "traffic": {"duration_s": 75.0, "warm_up_s": 25.0},
    "curation": {"logs_per_town": 2, "log_s": 9.0, "min_travel_m": 25.0},
    "box_radius_m": 60.0,
}
SEED = 8001


@pytest.fixture(scope="module")
def config() -> WorldConfig:
    return build(WorldConfig, SMALL)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, config: WorldConfig) -> Path:
    folder = tmp_path_factory.mktemp("world")
    generate_town(SEED, config, folder, split="val")
    return folder


@pytest.fixture(scope="module")
def logs(root: Path) -> list[LogReader]:
    return [LogReader(folder, root) for folder in sorted((root / "logs" / "drivetown_val").iterdir())]


@pytest.fixture(scope="module")
def town_map(logs: list[LogReader]) -> VectorMap:
    return logs[0].vector_map()


def test_lanes_connect_both_ways_and_meet_end_to_end(town_map: VectorMap) -> None:
    lanes = {lane.lane_id: lane for lane in town_map.lanes}
    connectors = [lane for lane in town_map.lanes if lane.intersection_id is not None]
    assert connectors
    for lane in town_map.lanes:
        for name in lane.successor_ids:
            assert lane.lane_id in lanes[name].predecessor_ids
            gap = np.hypot(*(lane.centerline[-1] - lanes[name].centerline[0]))
            assert gap < 0.01, f"lanes {lane.lane_id} and {name} are {gap:.2f} m apart"
    assert all(len(lane.predecessor_ids) == len(lane.successor_ids) == 1 for lane in connectors)
    assert {lane.intersection_id for lane in connectors} <= {a.area_id for a in town_map.areas_of(AreaKind.INTERSECTION)}


def test_lane_surfaces_lie_on_the_drivable_area(town_map: VectorMap) -> None:
    drivable = shapely.union_all([shapely.Polygon(area.outline) for area in town_map.areas_of(AreaKind.GENERIC_DRIVABLE)])
    for lane in town_map.lanes:
        band = shapely.LineString(lane.centerline).buffer(0.7 if lane.is_bike_lane else 1.2, cap_style="flat")
        assert shapely.Polygon(lane.polygon).is_valid
        assert band.difference(drivable.buffer(0.05)).area < 0.1, f"lane {lane.lane_id} leaves the road"
    walks = shapely.union_all([shapely.Polygon(area.outline) for area in town_map.areas_of(AreaKind.WALKWAY)])
    assert walks.intersection(drivable).area < 0.01 * walks.area


def test_neighbours_are_beside_each_other(town_map: VectorMap) -> None:
    lanes = {lane.lane_id: lane for lane in town_map.lanes}
    pairs = [(lane, lanes[lane.left_lane_id]) for lane in town_map.lanes if lane.left_lane_id is not None]
    assert pairs
    for right, left in pairs:
        assert left.right_lane_id == right.lane_id
        _, offset = Polyline(right.centerline).project(left.centerline[len(left.centerline) // 2])
        assert 3.0 < offset < 4.0


def test_stop_zones_lie_where_their_connectors_begin(town_map: VectorMap) -> None:
    lanes = {lane.lane_id: lane for lane in town_map.lanes}
    zones = town_map.areas_of(AreaKind.STOP_ZONE)
    assert zones
    for zone in zones:
        for name in zone.lane_ids:
            assert shapely.Polygon(zone.outline).distance(shapely.Point(lanes[name].centerline[0])) < 0.1


def test_lights_name_connectors_of_the_map(logs: list[LogReader], town_map: VectorMap) -> None:
    connectors = {lane.lane_id for lane in town_map.lanes if lane.intersection_id is not None}
    seen = {(light.lane_id, light.state) for log in logs for k in range(0, len(log), 10) for light in log.traffic_lights(k)}
    assert {name for name, _ in seen} <= connectors
    assert {LightState.RED, LightState.GREEN} <= {state for _, state in seen}


def test_ego_begins_on_its_planned_route(logs: list[LogReader]) -> None:
    for log in logs:
        route = log.provided_route
        assert route is not None
        line, last = Polyline(route), log.ego(len(log) - 1).pose
        assert abs(line.project(log.ego(0).pose[:2])[1]) < 2.0
        assert line.length - line.project(last[:2])[0] >= 60.0, "the route goes on well beyond the log"


def test_written_again_it_is_the_same_to_the_bit(
    config: WorldConfig, logs: list[LogReader], root: Path, tmp_path: Path
) -> None:
    first_time = json.loads((root / "manifests" / "town8001.json").read_text())
    second_time = generate_town(SEED, config, tmp_path, split="val")
    assert all(first_time[name] == second_time[name] for name in ("content", "events", "manoeuvres", "demand"))
    again = [LogReader(folder, tmp_path) for folder in sorted((tmp_path / "logs" / "drivetown_val").iterdir())]
    assert len(again) == len(logs) == 2
    for first, second in zip(logs, again, strict=True):
        assert np.array_equal(first.provided_route, second.provided_route)
        for k in range(0, len(first), 7):
            assert np.array_equal(first.ego(k).pose, second.ego(k).pose)
            assert np.array_equal(first.agents(k).boxes, second.agents(k).boxes)
            assert first.agents(k).track_tokens == second.agents(k).track_tokens
            assert first.traffic_lights(k) == second.traffic_lights(k)
    maps = [(folder / "maps" / "drivetown" / "drivetown_town8001.arrow").read_bytes() for folder in (root, tmp_path)]
    assert maps[0] == maps[1]


def test_manifest_tells_what_is_there_and_a_finished_town_is_left_alone(config: WorldConfig, root: Path) -> None:
    path = root / "manifests" / "town8001.json"
    values = json.loads(path.read_text())
    assert values["seed"] == SEED and values["split"] == "val" and len(values["logs"]) == 2
    assert values["versions"]["libsumo"] != "-"
    before = path.stat().st_mtime_ns
    assert generate_town(SEED, config, root, split="val") == values
    assert path.stat().st_mtime_ns == before


def test_manifest_tells_demand_stages_and_events(root: Path) -> None:
    values = json.loads((root / "manifests" / "town8001.json").read_text())
    assert values["demand"] in ("quiet", "normal", "busy")
    assert set(values["stage_seconds"]) == {"roads", "simulation", "curation", "records", "writing"}
    assert set(values["events"]) <= set(values["logs"])
    for told in (event for events in values["events"].values() for event in events):
        assert EventKind(told["kind"]) and told["tokens"] and told["first_us"] <= told["last_us"]


def test_nobody_is_in_anybody_and_nobody_comes_out_of_nowhere(logs: list[LogReader]) -> None:
    looked_at = 0
    for log in logs:
        inner = set[str]()
        for k in range(0, len(log), 3):
            agents, ego = log.agents(k), PACIFICA.boxes(log.ego(k).pose)
            boxes = np.concatenate([ego[None], agents.boxes])
            walks = np.array([False, *(kind is AgentKind.PEDESTRIAN for kind in agents.kinds)])
            moves = np.concatenate([[True], np.hypot(*agents.velocities.T) > 1e-3])
            first, second = np.triu_indices(len(boxes), 1)
            asked = ~(walks[first] & walks[second]) & (moves[first] | moves[second])
            assert not boxes_overlap(boxes[first[asked]], boxes[second[asked]]).any(), f"{log.name} frame {k}"
            looked_at += int(asked.sum())
            near = {
                token
                for token, box in zip(agents.track_tokens, agents.boxes, strict=True)
                if np.hypot(*(box[:2] - ego[:2])) < 50.0
            }
            # Who is well within the radius now was seen a moment before, farther out at most.
            assert k == 0 or near <= inner, f"{log.name} frame {k}: {near - inner}"
            inner = set(agents.track_tokens)
    assert looked_at > 1000


def test_a_seed_that_fails_does_not_stop_the_others_and_asking_again_goes_on(
    config: WorldConfig, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def simulate(seed: int, *rest: object) -> None:
        raise (InputError if seed == 8003 else ZeroDivisionError)(f"nothing for {seed}")

    monkeypatch.setattr(generate, "simulate_town", simulate)
    reports = generate_world([8003, 8001, 8004], config, root, split="val", tell=lambda report: told.append(report.seed))
    assert told == [8003, 8001, 8004]
    assert [report.manifest is not None for report in reports] == [False, True, False], "the finished town is left alone"
    assert reports[0].error == "nothing for 8003" and reports[2].error == "ZeroDivisionError: nothing for 8004"
    assert not (root / "manifests" / "town8003.json").exists()
    with pytest.raises(InputError, match="split is one of"):
        generate_world([8001], config, root, split="dev")


def test_the_same_town_from_another_recipe_is_refused(config: WorldConfig, root: Path) -> None:
    with pytest.raises(InputError, match="another split"):
        generate_town(SEED, config, root, split="train")
    with pytest.raises(InputError, match="another config"):
        generate_town(SEED, WorldConfig(), root, split="val")


def test_nothing_unfinished_is_left_behind(root: Path) -> None:
    assert not list(root.rglob(".*"))


def test_wrong_seeds_and_splits_are_refused_before_anything_runs(config: WorldConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="split is one of"):
        generate_town(1, config, tmp_path, split="dev")
    with pytest.raises(InputError, match="must not be negative"):
        simulate_town(-1, config)
    assert not list(tmp_path.iterdir())
