"""Whole scenes: by hand, the shipped ones of the embedded world, and real ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch

from diffdrive.assets import LOGS
from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    EgoState,
    Future,
    Lane,
    LightState,
    Observation,
    Scene,
    TrafficLight,
    Trajectory,
    VectorMap,
)
from diffdrive.scoring.preparation import prepare, prepare_all
from diffdrive.scoring.rules import Protocol
from diffdrive.scoring.score import score
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap
from diffdrive.vehicle import PACIFICA

NOW_US = 1_600_000_000_000_000
SPEED = 8.0


def road(lane_id: str, x: float, length: float, successors: tuple[str, ...] = (), intersection: str | None = None) -> Lane:
    at = np.array([x, x + length])
    return Lane(
        lane_id=lane_id,
        centerline=np.column_stack([at, np.zeros(2)]),
        left_boundary=np.column_stack([at, np.full(2, 2.0)]),
        right_boundary=np.column_stack([at, np.full(2, -2.0)]),
        successor_ids=successors,
        intersection_id=intersection,
        speed_limit_mps=10.0,
    )


MAP = VectorMap(
    lanes=(road("a", -50, 70, ("x",)), road("x", 20, 10, ("b",), "i"), road("b", 30, 170)),
    areas=(Area(area_id="i", kind=AreaKind.INTERSECTION, outline=np.array([[20.0, -9], [30, -9], [30, 9], [20, 9]])),),
)


def car(x: float) -> Agents:
    return Agents(
        track_tokens=("car",),
        kinds=(AgentKind.VEHICLE,),
        boxes=np.array([[x, 0.0, 0.0, 4.0, 2.0]]),
        vertical=np.ones((1, 2)),
        velocities=np.array([[5.0, 0.0]]),
    )


def ego(offset_s: float) -> EgoState:
    return EgoState(
        timestamp_us=NOW_US + round(offset_s * 1e6),
        pose=np.array([SPEED * offset_s, 0.0, 0.0]),
        velocity=np.array([SPEED, 0.0]),
        acceleration=np.zeros(2),
    )


def drive_scene(interval_s: float = 0.5, horizon_s: float = 4.0, **changes: Any) -> Scene:
    """The ego at 8 m/s behind a car 60 m ahead at 5 m/s, with a light that turns red at 2 s."""
    times = np.arange(1, round(horizon_s / interval_s) + 1) * interval_s
    lights = tuple((TrafficLight(lane_id="x", state=LightState.RED if t > 1.99 else LightState.GREEN),) for t in times)
    scene = Scene(
        token="by hand",
        log_name="log",
        location="nowhere",
        world_from_ego=np.array([100.0, 200.0, 0.3]),
        observation=Observation(ego_history=tuple(ego(t) for t in (-1.5, -1.0, -0.5, 0.0))),
        agents=car(60),
        vector_map=MAP,
        traffic_lights=(TrafficLight(lane_id="x", state=LightState.GREEN),),
        future=Future(
            ego=Trajectory(np.column_stack([SPEED * times, np.zeros((len(times), 2))]), interval_s),
            agents=tuple(car(60 + 5 * t) for t in times),
            traffic_lights=lights,
        ),
    )
    return replace(scene, **changes)


def test_a_scene_becomes_all_that_judging_needs() -> None:
    ready = prepare(drive_scene())
    assert (ready.token, ready.log_name, ready.protocol, ready.corrected) == ("by hand", "log", Protocol.V2, False)
    assert ready.timestamp_us == NOW_US
    assert ready.ego_state[:5].tolist() == [0, 0, 0, SPEED, 0]
    assert ready.past_states.shape == (14, 11)
    assert ready.tracks.tokens == ("car",)
    np.testing.assert_allclose(ready.tracks.centroids[0, [0, 40], 0], [60, 80])
    assert np.flatnonzero(ready.red_lights.is_red[0]).tolist() == list(range(20, 41))
    assert ready.centerline[0].tolist() == [-50, 0]
    assert ready.centerline[-1].tolist() == [200, 0]
    assert ready.human_reference is not None
    np.testing.assert_allclose(ready.human_reference[:, 0], SPEED * 0.1 * np.arange(41), atol=2e-5)
    assert ready.reference[0, 0] == pytest.approx(0, abs=1e-5)
    assert set(ready.drivable_map.types.tolist()) == {
        AreaType.ROADBLOCK,
        AreaType.LANE,
        AreaType.LANE_CONNECTOR,
        AreaType.INTERSECTION,
    }
    assert ready.drivable_map.on_route.sum() == 3


def test_pdms_looks_a_second_further_and_has_no_past() -> None:
    ready = prepare(drive_scene(horizon_s=5.0), "pdms")
    assert ready.protocol is Protocol.V1
    assert ready.tracks.corners.shape[1] == 51
    assert ready.past_states.shape == (0, 11)


@pytest.mark.parametrize(("metric", "horizon_s", "way_out"), [("epdms", 3.5, "future_s=4"), ("pdms", 4.0, "future_s=5")])
def test_too_short_a_future_names_the_way_out(metric: str, horizon_s: float, way_out: str) -> None:
    with pytest.raises(InputError, match=way_out):
        prepare(drive_scene(horizon_s=horizon_s), metric)
    with pytest.raises(InputError, match=way_out):
        prepare(drive_scene(future=None), metric)


def test_unknown_metrics_and_maps_without_lanes_are_refused() -> None:
    with pytest.raises(InputError, match="no metric"):
        prepare(drive_scene(), "speed")
    with pytest.raises(InputError, match="map"):
        prepare(drive_scene(vector_map=VectorMap()))


def test_a_finer_future_is_thinned() -> None:
    coarse, fine = prepare(drive_scene(0.5)), prepare(drive_scene(0.1))
    np.testing.assert_array_equal(coarse.red_lights.is_red, fine.red_lights.is_red)
    np.testing.assert_allclose(coarse.tracks.corners, fine.tracks.corners)
    np.testing.assert_allclose(coarse.human_reference, fine.human_reference)


def test_metrics_of_one_protocol_share_a_scene() -> None:
    ready = prepare_all(drive_scene(horizon_s=5.0), ["epdms", "epdms_prefix", "pdms"])
    assert ready["epdms"] is ready["epdms_prefix"]
    assert ready["pdms"].drivable_map is ready["epdms"].drivable_map
    alone = prepare(drive_scene(horizon_s=5.0), "pdms")
    np.testing.assert_array_equal(ready["pdms"].reference, alone.reference)


def test_a_planned_route_beats_the_driven_path() -> None:
    lanes = (*MAP.lanes[:1], road("x", 20, 10, ("b",), "i"), road("b", 30, 170))
    turn = Lane(
        lane_id="l",
        centerline=np.array([[20.0, 0], [26, 2], [28, 8]]),
        left_boundary=np.array([[20.0, 2], [24, 3], [26, 8]]),
        right_boundary=np.array([[20.0, -2], [28, 0], [30, 8]]),
        intersection_id="i",
    )
    scene = drive_scene(vector_map=replace(MAP, lanes=(replace(lanes[0], successor_ids=("x", "l")), *lanes[1:], turn)))
    np.testing.assert_array_equal(prepare(scene).centerline[-1], [200, 0])
    planned = replace(scene, route=np.array([[-10.0, 0], [20, 0], [26, 2], [28, 8]]))
    np.testing.assert_array_equal(prepare(planned).centerline[-1], [28, 8])


def test_the_crop_lies_along_the_axes_of_the_world() -> None:
    """130 m away at 15 degrees: a corner of the world's square points there where the ego heads 30 degrees, not -30."""
    at = 130 * np.array([np.cos(np.pi / 12), np.sin(np.pi / 12)])
    outline = at + np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    carpark = Area(area_id="c", kind=AreaKind.CARPARK, outline=outline)
    scene = drive_scene(vector_map=replace(MAP, areas=(*MAP.areas, carpark)))
    seen = {
        heading: AreaType.CARPARK in prepare(replace(scene, world_from_ego=np.array([0.0, 0.0, heading]))).drivable_map.types
        for heading in (-np.pi / 6, 0.0, np.pi / 6)
    }
    assert list(seen.values()) == [False, False, True]


def test_lights_of_the_listed_route_are_judged_and_those_of_the_corrected_one_heeded() -> None:
    """Navigation begins behind the connector; the correction puts the connector before it."""
    red = TrafficLight(lane_id="x", state=LightState.RED)
    scene = drive_scene(route=np.array([[31.0, 0], [150, 0]]))
    scene = replace(scene, traffic_lights=(red,), future=replace(scene.future, traffic_lights=((red,),) * 8))
    ready = prepare(scene)
    assert len(ready.red_lights.polygons) == 0
    assert ready.drivable_map.on_route.sum() == 3
    assert ready.reference[-1, 0] + 4.049 < 20
    listed = prepare(replace(scene, route=np.array([[0.0, 0], [150, 0]])))
    assert len(listed.red_lights.polygons) == 1


def test_corrected_changes_the_past_and_the_yardstick() -> None:
    official, corrected = prepare(drive_scene()), prepare(drive_scene(), corrected=True)
    assert corrected.corrected
    assert len(corrected.past_states) == 15
    assert corrected.reference[-1, 0] > official.reference[-1, 0] + 0.1


def test_what_touches_the_ego_at_first_is_left_out_by_v2_alone() -> None:
    scene = drive_scene(horizon_s=5.0)
    touching = replace(scene, agents=car(5), future=replace(scene.future, agents=(car(5),) * 10))
    assert len(prepare(touching, "epdms").tracks) == 0
    assert len(prepare(touching, "pdms").tracks) == 1


def test_the_human_of_a_plain_scene_scores_well() -> None:
    scene = drive_scene()
    scene = replace(scene, future=replace(scene.future, traffic_lights=()))
    found = score(prepare(scene), torch.from_numpy(scene.future.ego.poses.copy())[None])
    assert found.total[0, 0] > 0.8


def drivable_share(drivable: DrivableMap, poses: np.ndarray) -> float:
    """Of the corners of the ego's body at ``poses`` [T, 3]."""
    kinds = (AreaType.ROADBLOCK, AreaType.INTERSECTION, AreaType.CARPARK)
    rings = [shapely.Polygon(drivable.polygons.ring(i)) for i, kind in enumerate(drivable.types) if kind in kinds]
    corners = shapely.points(box_corners(PACIFICA.boxes(poses)).reshape(-1, 2))
    return float(shapely.contains(shapely.union_all(rings), corners).mean())


def check_scenes(source: Any, tokens: list[str]) -> None:
    """They prepare, their human stays on what counts as drivable, and the centreline runs along the road they drive."""
    shares, offsets = [], []
    for token in tokens:
        scene = source.load(token, sensors=False)
        ready = prepare(scene)
        assert ready.human_reference is not None
        shares.append(drivable_share(ready.drivable_map, ready.human_reference))
        line = shapely.LineString(ready.centerline)
        offsets.append(shapely.distance(line, shapely.points(ready.human_reference[:, :2])).max())
        assert line.length - line.project(shapely.Point(0, 0)) > 50
        assert ready.reference[0, :2] == pytest.approx([0, 0], abs=3)
    assert np.mean(np.array(shares) == 1) > 0.9
    assert np.median(offsets) < 1.0


def test_shipped_scenes_prepare() -> None:
    pytest.importorskip("py123d")
    from diffdrive.world.source import WorldSource

    source = WorldSource(LOGS, logs=["town9000-log00", "town9001-log02", "town9002-log04"])
    check_scenes(source, list(source.tokens[::8]))


def test_real_scenes_prepare(av2_root: Path) -> None:
    pytest.importorskip("py123d")
    from diffdrive.sources.arrow123d import Arrow123dSource

    source = Arrow123dSource(av2_root)
    check_scenes(source, list(source.tokens[::6]))
