"""The static world: made from the map and a seed, with nothing on the road that does not belong there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_town import HALF, crossroads, scene

from diffdrive.contracts import InputError
from diffdrive.scene import AgentKind, LightState, TrafficLight, VectorMap
from diffdrive.world.render import Town, build_town, moving_mesh, town_seed
from diffdrive.world.render.actors import body_mesh
from diffdrive.world.render.mesh import Material
from diffdrive.world.render.signals import signals_mesh
from diffdrive.world.render.signs import BLACK, RED, speed_signs, stop_signs
from diffdrive.world.render.surfaces import CURB_M, PAINT_Z, YELLOW, surfaces_mesh

shapely = pytest.importorskip("shapely")
pytest.importorskip("embreex")


@pytest.fixture(scope="module", params=[True, False], ids=["walkways", "bare roads"])
def town(request: pytest.FixtureRequest) -> Town:
    return build_town("toy-town", crossroads(walkways=request.param), seed=1)


def test_nothing_tall_stands_on_road_or_walkway(town: Town) -> None:
    low = town.mesh.triangles[..., 2].min(axis=1)
    feet = town.mesh.triangles[(low < 0.05) & (town.mesh.triangles[..., 2].max(axis=1) > 0.5)]
    assert len(feet) > 500
    on_ground = feet.reshape(-1, 3)
    on_ground = on_ground[on_ground[:, 2] < 0.5]
    assert not shapely.intersects_xy(town.area.paved.buffer(-0.05), on_ground[:, 0], on_ground[:, 1]).any()


def test_road_is_drivable_at_zero_and_walkways_are_a_curb_higher(town: Town) -> None:
    assert town.area.drivable.contains(shapely.Point(*(scene(()).world_from_ego[:2] - town.origin)))
    flat = np.ptp(town.mesh.triangles[..., 2], axis=1) < 1e-6
    heights = {round(float(z), 3) for z in np.unique(town.mesh.triangles[flat][:, 0, 2]) if z < 1.0}
    assert {0.0, CURB_M, round(PAINT_Z, 3)} <= heights
    walk = town.mesh.triangles[flat & np.isclose(town.mesh.triangles[:, 0, 2], CURB_M)]
    middle = walk.mean(axis=1)
    assert len(walk) > 10
    assert not shapely.intersects_xy(town.area.drivable.buffer(-0.05), middle[:, 0], middle[:, 1]).any()
    road = town.mesh.triangles[flat & (town.mesh.triangles[:, 0, 2] == 0.0)]
    sides = road[:, 1:, :2] - road[:, :1, :2]
    area = np.abs(np.linalg.det(sides.astype(float))).sum() / 2
    assert np.isclose(area, town.area.drivable.area, rtol=1e-3)


def test_paint_lies_on_the_road(town: Town) -> None:
    mesh = surfaces_mesh(town.local_map, town.area, town.style)
    paint = np.isclose(mesh.triangles[:, :, 2], PAINT_Z, atol=0.004).all(axis=1)
    middles = mesh.triangles[paint].mean(axis=1)
    assert len(middles) > 200
    assert shapely.intersects_xy(town.area.drivable.buffer(0.3), middles[:, 0], middles[:, 1]).all()
    yellow = np.all(np.isclose(mesh.colours, YELLOW), axis=1) & paint
    assert yellow.any()


def test_lanes_get_paint_where_the_map_names_no_lines() -> None:
    bare = crossroads()
    bare = VectorMap(lanes=bare.lanes, areas=bare.areas)
    town = build_town("toy-town", bare, seed=1)
    assert np.all(np.isclose(town.mesh.colours, YELLOW), axis=1).any()


def test_a_town_repeats_and_another_seed_differs() -> None:
    first, again, other = (build_town("toy-town", crossroads(), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.mesh.triangles, again.mesh.triangles)
    assert len(first.mesh) != len(other.mesh) or not np.array_equal(first.mesh.triangles, other.mesh.triangles)
    assert town_seed("pittsburgh") == town_seed("pittsburgh") != town_seed("miami")


def test_a_map_without_roads_is_refused() -> None:
    with pytest.raises(InputError, match="at least one lane or drivable area"):
        build_town("void", VectorMap(), seed=0)


def test_signals_stand_off_the_road_and_face_their_traffic(town: Town) -> None:
    lights = [TrafficLight(lane_id=f"across-0-{k}", state=LightState.RED) for k in range(2)]
    mesh = signals_mesh(town, lights)
    lamps = mesh.triangles[mesh.materials == Material.LAMP]
    assert len(lamps) == 3 * 12, "two heads on the mast and one beside the stop line"
    # Traffic of arm 0 drives along +x: its far heads hang beyond the crossing, over the road's extension.
    assert (lamps[..., 0].max(axis=1) > 12).sum() == 24
    posts = mesh.triangles.reshape(-1, 3)
    feet = posts[posts[:, 2] < 0.5]
    assert len(feet)
    assert not shapely.intersects_xy(town.area.drivable, feet[:, 0], feet[:, 1]).any()


def _with_limits(*limits_mph: float) -> Town:
    """The crossroads, where one arm after the other goes out of the town at another limit."""
    plain = crossroads()
    lanes = []
    for lane in plain.lanes:
        kind, quarter, number = lane.lane_id.split("-")
        before = {"across": (f"in-{quarter}-{number}",), "out": (f"across-{quarter}-{number}",)}.get(kind, ())
        limit = 25.0 if kind == "in" else 17.3 if kind == "across" else limits_mph[int(quarter)]
        right = f"{kind}-{quarter}-1" if number == "0" else None
        lanes.append(replace(lane, predecessor_ids=before, speed_limit_mps=limit * 0.44704, right_lane_id=right))
    return build_town("toy-town", replace(plain, lanes=tuple(lanes)), seed=1)


def test_a_speed_sign_stands_where_the_limit_changes() -> None:
    town = _with_limits(25.0, 25.3, 35.0, 40.0)
    mesh = speed_signs(town.local_map, town.area)
    black = mesh.triangles[np.all(np.isclose(mesh.colours, BLACK), axis=1)].reshape(-1, 3)
    # Arms 2 and 3 lead west and south; what is spoken of inside the crossing does not count.
    assert (black[:, 0] < -HALF).any()
    assert (black[:, 1] < -HALF).any()
    assert (black[:, 0] < HALF).all()
    assert (black[:, 1] < HALF).all()
    assert not shapely.intersects_xy(town.area.drivable, black[:, 0], black[:, 1]).any()
    other = _with_limits(25.0, 25.0, 45.0, 40.0)
    assert len(speed_signs(other.local_map, other.area)) != len(mesh), "a number is drawn by its digits"
    same = _with_limits(25.0, 25.0, 25.0, 25.0)
    assert len(speed_signs(same.local_map, same.area)) == 0


def test_stop_signs_stand_where_no_light_governs_and_near_the_ego_only(town: Town) -> None:
    here = np.zeros(3)
    assert len(town.stops) == 4
    signs = stop_signs(town.stops, (), here)
    red = signs.triangles[np.all(np.isclose(signs.colours, RED), axis=1)].reshape(-1, 3)
    assert len(red) == 4 * 6 * 3
    assert not shapely.intersects_xy(town.area.drivable, red[:, 0], red[:, 1]).any()
    lit = [TrafficLight(lane_id="across-0-1", state=LightState.RED)]
    assert len(stop_signs(town.stops, lit, here)) == len(signs) * 3 // 4
    assert len(stop_signs(town.stops, (), np.array([500.0, 0.0, 0.0]))) == 0


def test_lights_of_unknown_lanes_are_left_out(town: Town) -> None:
    assert len(signals_mesh(town, [TrafficLight(lane_id="elsewhere", state=LightState.RED)])) == 0
    assert len(moving_mesh(town, scene(()))) > 0


@pytest.mark.parametrize("kind", list(AgentKind))
def test_bodies_stay_inside_and_span_their_box(kind: AgentKind) -> None:
    sizes = [(4.6, 1.9, 1.5), (0.6, 0.6, 1.7), (1.8, 0.7, 1.7), (11.0, 2.6, 3.2), (8.0, 2.5, 3.6), (0.3, 0.3, 0.4)]
    for length, width, height in sizes:
        for token in ("a", "b", "c"):
            corners = body_mesh(kind, token, length, width, height).triangles.reshape(-1, 3)
            assert np.all(np.abs(corners[:, 0]) <= length / 2 + 1e-5)
            assert np.all(np.abs(corners[:, 1]) <= width / 2 + 1e-5)
            assert np.all((corners[:, 2] >= -1e-5) & (corners[:, 2] <= height + 1e-5))
            assert corners[:, 2].max() > 0.9 * height


def test_one_track_keeps_its_colour_and_tracks_differ() -> None:
    colours = [body_mesh(AgentKind.VEHICLE, f"track-{k}", 4.6, 1.9, 1.5).colours[0].tolist() for k in range(8)]
    assert len({tuple(c) for c in colours}) > 4
    assert body_mesh(AgentKind.VEHICLE, "track-0", 4.6, 1.9, 1.6).colours[0].tolist() == colours[0]
