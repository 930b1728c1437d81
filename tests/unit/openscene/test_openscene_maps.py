"""The GeoPackages: what the devkit asks of them, read back with pyogrio."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hand_made_town import lane, log, town

from diffdrive.openscene import export_logs
from diffdrive.openscene.city_map import GAP_M, layers_of, sheets_of
from diffdrive.openscene.format import CITIES, LAYERS, MAP_FILE, MAP_INDEX, NO_OBJECT
from diffdrive.openscene.outlines import SPACING_M, polygon_of, with_vertices
from diffdrive.scene import AreaKind, VectorMap

pyogrio = pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

CITY = "us-pa-pittsburgh-hazelwood"


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two logs on one map and one on another."""
    folder = tmp_path_factory.mktemp("maps") / "out"
    other = VectorMap(lanes=(lane("a", 0, 30), lane("b", 0, 30, 9)))
    export_logs([log("one"), log("two"), log("three", vector_map=other)], folder, city=CITY, sensors=False)
    return folder / "maps"


@pytest.fixture(scope="module")
def layers(maps: Path) -> dict[str, Any]:
    path = maps / CITY / CITIES[CITY].version / MAP_FILE
    return {name: pyogrio.read_dataframe(path, layer=name, fid_as_index=True) for name in LAYERS}


def test_all_four_cities_are_there_and_named(maps: Path) -> None:
    index = json.loads((maps / MAP_INDEX).read_text())
    assert set(index) == set(CITIES)
    for city, values in index.items():
        path = maps / city / values["version"] / MAP_FILE
        assert {"meta", "lane_connectors"} <= set(pyogrio.list_layers(path)[:, 0])
        meta = pyogrio.read_dataframe(path, layer="meta")
        assert meta[meta["key"] == "projectedCoordSystem"]["value"].iloc[0] == f"epsg:{CITIES[city].epsg}"


def test_every_layer_lies_in_the_city_s_zone_with_its_columns(layers: dict[str, Any]) -> None:
    for name, layer in LAYERS.items():
        frame = layers[name]
        assert frame.crs.to_epsg() == CITIES[CITY].epsg
        assert set(layer.columns) <= set(frame.columns)
        assert (frame.geometry.geom_type == layer.geometry).all()
        for column, kind in layer.columns.items():
            if len(frame) and kind == "int64":
                assert frame[column].dtype == np.int64, f"{name}.{column} must not become floating point"


def test_ids_are_whole_numbers_used_once_in_the_whole_map(layers: dict[str, Any]) -> None:
    fids = np.concatenate([frame.index.to_numpy() for frame in layers.values()])
    assert fids.dtype == np.int64
    assert len(np.unique(fids)) == len(fids) > 75
    assert fids.min() > NO_OBJECT


def test_references_lead_to_objects_that_are_there(layers: dict[str, Any]) -> None:
    lanes, connectors = layers["lanes_polygons"], layers["lane_connectors"]
    blocks, links = layers["lane_groups_polygons"], layers["lane_group_connectors"]
    assert len(connectors) == 4
    assert set(lanes["lane_group_fid"]) == set(blocks.index)
    assert set(connectors["exit_lane_fid"]) | set(connectors["entry_lane_fid"]) <= set(lanes.index)
    assert set(connectors["lane_group_connector_fid"]) == set(links.index)
    assert set(links["from_lane_group_fid"]) | set(links["to_lane_group_fid"]) <= set(blocks.index)
    assert set(connectors["intersection_fid"]) <= {*layers["intersections"].index, NO_OBJECT}
    shapes = layers["gen_lane_connectors_scaled_width_polygons"]
    assert sorted(shapes["lane_connector_fid"]) == sorted(connectors.index)
    sides = {
        *lanes["left_boundary_fid"],
        *lanes["right_boundary_fid"],
        *shapes["left_boundary_fid"],
        *shapes["right_boundary_fid"],
    }
    assert sides == set(layers["boundaries"].index)
    lines = layers["baseline_paths"]
    assert sorted(lines["lane_fid"].dropna()) == sorted(lanes.index)
    assert sorted(lines["lane_connector_fid"].dropna()) == sorted(connectors.index)


def test_lanes_of_a_block_are_counted_from_the_left(layers: dict[str, Any]) -> None:
    lanes = layers["lanes_polygons"].set_index("source_id")
    pair = lanes[lanes["lane_group_fid"] == lanes.loc["a2", "lane_group_fid"]]
    assert pair["lane_index"].to_dict() == {"a": 1, "a2": 0}


def test_limits_are_the_map_s_and_zero_is_none(layers: dict[str, Any]) -> None:
    limits = layers["lanes_polygons"].groupby("source_id")["speed_limit_mps"].first()
    assert layers["lanes_polygons"]["speed_limit_mps"].max() == 12.0
    assert np.isnan(limits["x"])


def test_centrelines_have_a_vertex_every_metre_and_pass_through_the_old_ones(layers: dict[str, Any]) -> None:
    for line in layers["baseline_paths"].geometry:
        steps = np.hypot(*np.diff(shapely.get_coordinates(line), axis=0).T)
        assert steps.min() > 0
        assert steps.max() <= SPACING_M + 1e-6
    dense = with_vertices(np.array([[0.0, 0], [2.5, 0], [2.5, 0.7]]))
    np.testing.assert_allclose(dense[[0, 3, 4]], [[0, 0], [2.5, 0], [2.5, 0.7]])


def test_signals_make_stop_lines_of_lights(layers: dict[str, Any]) -> None:
    stops = layers["stop_polygons"].set_index(layers["stop_polygons"].index)
    assert sorted(stops["stop_polygon_type_fid"]) == [1, 2]
    light = stops.index[stops["stop_polygon_type_fid"] == 2][0]
    lines = layers["lane_connectors"].set_index("source_id")["traffic_light_stop_line_fids"]
    assert lines["x"] == str(light)
    assert not lines["y"]


def ground(rows: dict[str, list[Any]]) -> shapely.Geometry:
    names = ("lane_groups_polygons", "intersections", "carpark_areas")
    return shapely.union_all([shape for name in names for shape, _ in rows[name]])


def test_ground_that_touches_overlaps_so_that_no_corner_falls_between() -> None:
    (sheet,), left = sheets_of([town()], CITIES[CITY])
    rows = layers_of(sheet, left)
    source = [polygon_of(piece.polygon) for piece in town().lanes]
    source += [
        polygon_of(a.outline) for a in town().areas_of(AreaKind.INTERSECTION, AreaKind.CARPARK, AreaKind.GENERIC_DRIVABLE)
    ]
    old = shapely.transform(shapely.union_all(source), lambda points: points + sheet.shift)
    assert ground(rows).buffer(1e-6).contains(old)
    # Where block meets crossing, a point on the seam is inside both, with room to spare.
    seam = shapely.Point(*(np.array([80.0, 0.0]) + sheet.shift)).buffer(0.04)
    parts = [shape for name in ("lane_groups_polygons", "intersections") for shape, _ in rows[name]]
    assert sum(bool(part.contains(seam)) for part in parts) >= 2
    assert shapely.get_num_interior_rings(max(shapely.get_parts(ground(rows)), key=lambda part: part.area)) == 0


def test_other_drivable_ground_counts_as_car_park_too() -> None:
    (sheet,), left = sheets_of([town()], CITIES[CITY])
    rows = layers_of(sheet, left)
    assert (len(rows["carpark_areas"]), len(rows["generic_drivable_areas"])) == (2, 1)


def test_maps_lie_apart_and_logs_of_one_map_share_it(maps: Path, layers: dict[str, Any]) -> None:
    record = json.loads((maps.parent / "export.json").read_text())["logs"]
    assert record["one"]["shift_m"] == record["two"]["shift_m"] != record["three"]["shift_m"]
    assert (layers["lanes_polygons"]["source_id"] == "c").sum() == 1
    sheets, left = sheets_of([town()] * 5, CITIES[CITY])
    grounds = [ground(layers_of(sheet, left)) for sheet in sheets]
    for first, second in itertools.combinations(grounds, 2):
        assert first.distance(second) > GAP_M - 1
