"""City maps read back: as the exporter wrote them, and as strangely as others may store them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hand_made_town import log

from diffdrive.contracts import InputError
from diffdrive.openscene import export_logs
from diffdrive.openscene.city_map import Row, layers_of, sheets_of
from diffdrive.openscene.format import CITIES, LAYERS, MAP_FILE, MAP_INDEX, NO_OBJECT
from diffdrive.openscene.map_layers import id_text, read_layers
from diffdrive.openscene.read_map import city_map, outline_sides
from diffdrive.scene import AreaKind, Lane, MapConvention, VectorMap
from diffdrive.scoring.preparation.drivable_map import flat_polygons
from diffdrive.scoring.preparation.vector_map_graph import lane_graph_of

pyogrio = pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

CITY = "sg-one-north"
FILE = Path(CITY, CITIES[CITY].version, MAP_FILE)
Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read") / "out"
    export_logs([log()], folder, city=CITY, sensors=False)
    return folder / "maps"


@pytest.fixture(scope="module")
def found(maps: Path) -> VectorMap:
    return city_map(maps, CITY)


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    """What the exporter put into each layer."""
    (sheet,), numbers = sheets_of([log().vector_map], CITIES[CITY])
    sheet.signals.add("x")
    return layers_of(sheet, numbers)


def rewritten(maps: Path, folder: Path, changes: Mapping[str, Change]) -> Path:
    """The same maps, some layers of the city changed."""
    shutil.copytree(maps, folder)
    for name, change in changes.items():
        frame = pyogrio.read_dataframe(maps / FILE, layer=name, fid_as_index=True)
        pyogrio.write_dataframe(change(frame.assign(fid=frame.index)), folder / FILE, layer=name, driver="GPKG")
    return folder


def ring(shape: Any) -> np.ndarray:
    return np.array(shape.exterior.coords)[:-1]


def named(lanes: tuple[Lane, ...]) -> dict[str, Lane]:
    return {lane.lane_id: lane for lane in lanes}


def test_lanes_and_connectors_are_read_as_they_were_written(found: VectorMap, rows: dict[str, list[Row]]) -> None:
    assert found.convention is MapConvention.NUPLAN
    lanes, boundaries = named(found.lanes), {row["fid"]: shape for shape, row in rows["boundaries"]}
    assert list(lanes) == [str(row["fid"]) for name in ("lanes_polygons", "lane_connectors") for _, row in rows[name]]
    grounds = {row["lane_connector_fid"]: (shape, row) for shape, row in rows["gen_lane_connectors_scaled_width_polygons"]}
    grounds |= {row["fid"]: (shape, row) for shape, row in rows["lanes_polygons"]}
    for line, row in rows["baseline_paths"]:
        fid = int(row["lane_fid"] if row["lane_fid"] == row["lane_fid"] else row["lane_connector_fid"])
        lane, (shape, ground) = lanes[str(fid)], grounds[fid]
        np.testing.assert_array_equal(lane.centerline, np.array(line.coords))
        np.testing.assert_array_equal(lane.polygon, ring(shape))
        np.testing.assert_array_equal(lane.left_boundary, np.array(boundaries[ground["left_boundary_fid"]].coords))
        np.testing.assert_array_equal(lane.right_boundary, np.array(boundaries[ground["right_boundary_fid"]].coords))


def test_links_groups_neighbours_and_limits_are_read(found: VectorMap, rows: dict[str, list[Row]]) -> None:
    lanes = named(found.lanes)
    for _, row in rows["lane_connectors"]:
        connector = lanes[str(row["fid"])]
        assert connector.predecessor_ids == (str(row["exit_lane_fid"]),)
        assert connector.successor_ids == (str(row["entry_lane_fid"]),)
        assert connector.lane_id in lanes[str(row["exit_lane_fid"])].successor_ids
        assert connector.lane_id in lanes[str(row["entry_lane_fid"])].predecessor_ids
        assert connector.lane_group_id == str(row["lane_group_connector_fid"])
        place = row["intersection_fid"]
        assert connector.intersection_id == ("" if place == NO_OBJECT else str(place))
    assert {connector.intersection_id == "" for connector in found.lanes if connector.intersection_id is not None} == {
        True,
        False,
    }
    by_source = {row["source_id"]: lanes[str(row["fid"])] for _, row in rows["lanes_polygons"]}
    assert by_source["a"].lane_group_id == by_source["a2"].lane_group_id
    assert by_source["a"].left_lane_id == by_source["a2"].lane_id
    assert by_source["a2"].right_lane_id == by_source["a"].lane_id
    assert by_source["a"].right_lane_id is None
    assert (by_source["a"].speed_limit_mps, by_source["b"].speed_limit_mps) == (12.0, None)


def test_areas_are_read_with_their_kind(found: VectorMap, rows: dict[str, list[Row]]) -> None:
    layers = {
        AreaKind.LANE_GROUP: ("lane_groups_polygons", "lane_group_connectors"),
        AreaKind.INTERSECTION: ("intersections",),
        AreaKind.CROSSWALK: ("crosswalks",),
        AreaKind.WALKWAY: ("walkways",),
        AreaKind.CARPARK: ("carpark_areas",),
        AreaKind.GENERIC_DRIVABLE: ("generic_drivable_areas",),
        AreaKind.STOP_ZONE: ("stop_polygons",),
    }
    assert set(layers) == set(AreaKind)
    for kind, names in layers.items():
        written = [(str(row["fid"]), shape) for name in names for shape, row in rows[name]]
        areas = found.areas_of(kind)
        assert [area.area_id for area in areas] == [fid for fid, _ in written] != []
        for area, (_, shape) in zip(areas, written, strict=True):
            np.testing.assert_array_equal(area.outline, ring(shape))
    stopped = [area.lane_ids for area in found.areas_of(AreaKind.STOP_ZONE)]
    assert any(stopped)
    assert {named(found.lanes)[i].intersection_id is not None for ids in stopped for i in ids} == {True}


def same(first: VectorMap, second: VectorMap, tolerance_m: float) -> None:
    for one, other in zip(first.lanes, second.lanes, strict=True):
        for name in ("lane_id", "predecessor_ids", "successor_ids", "left_lane_id", "lane_group_id", "intersection_id"):
            assert getattr(one, name) == getattr(other, name)
        assert one.speed_limit_mps == other.speed_limit_mps
        for name in ("centerline", "left_boundary", "right_boundary", "polygon"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=tolerance_m)
    for area, twin in zip(first.areas, second.areas, strict=True):
        assert (area.area_id, area.kind, area.lane_ids) == (twin.area_id, twin.kind, twin.lane_ids)
        np.testing.assert_allclose(area.outline, twin.outline, rtol=0, atol=tolerance_m)


def test_it_may_be_stored_in_degrees_with_heights_and_ids_of_any_type(maps: Path, found: VectorMap, tmp_path: Path) -> None:
    def strange(frame: Any) -> Any:
        frame = frame.to_crs(4326)
        frame["geometry"] = shapely.force_3d(frame.geometry.to_numpy(), 7.0)
        for place, column in enumerate(column for column in frame.columns if column.endswith("_fid")):
            frame[column] = frame[column].astype(float) if place % 2 else frame[column].astype(str)
        return frame.assign(creator_id="someone")

    same(city_map(rewritten(maps, tmp_path / "maps", dict.fromkeys(LAYERS, strange)), CITY), found, 1e-6)


def test_areas_in_several_parts_are_several_areas_and_a_lane_keeps_the_largest(
    maps: Path, found: VectorMap, tmp_path: Path
) -> None:
    def doubled(frame: Any) -> Any:
        far = shapely.transform(frame.geometry.to_numpy(), lambda points: points * 0.5)
        return frame.set_geometry([shapely.MultiPolygon(pair) for pair in zip(far, frame.geometry, strict=True)], crs=frame.crs)

    twice = city_map(rewritten(maps, tmp_path / "maps", {"walkways": doubled, "lanes_polygons": doubled}), CITY)
    walkways = twice.areas_of(AreaKind.WALKWAY)
    assert [area.area_id for area in walkways] == [i.area_id for i in found.areas_of(AreaKind.WALKWAY) for _ in range(2)]
    np.testing.assert_array_equal(twice.lanes[0].polygon, found.lanes[0].polygon)


def test_nobody_is_inside_of_a_hole_of_drivable_ground(maps: Path, tmp_path: Path) -> None:
    def with_holes(frame: Any) -> Any:
        cut = [
            shape.difference(shapely.MultiPoint([shape.centroid, shape.centroid.coords[0] + np.array([1.2, 1.2])]).buffer(0.4))
            for shape in frame.geometry
        ]
        assert max(len(shape.interiors) for shape in cut) == 2
        return frame.set_geometry(cut, crs=frame.crs)

    names = ("intersections", "carpark_areas", "lane_groups_polygons", "walkways")
    holed = city_map(rewritten(maps, tmp_path / "maps", dict.fromkeys(names, with_holes)), CITY)
    layers = read_layers(tmp_path / "maps" / FILE)
    rng = np.random.default_rng(0)
    for kind, name in zip((AreaKind.INTERSECTION, AreaKind.CARPARK, AreaKind.LANE_GROUP, AreaKind.WALKWAY), names, strict=True):
        for area, shape in zip(holed.areas_of(kind), layers[name].shapes, strict=False):
            low, high = area.outline.min(axis=0), area.outline.max(axis=0)
            points = rng.uniform(low, high, size=(300, 2))
            meant = shape if kind is not AreaKind.WALKWAY else shapely.Polygon(shape.exterior)
            np.testing.assert_array_equal(_even_odd(area.outline, points), shapely.contains_xy(meant, points))
    drivable = flat_polygons(np.array(list(lane_graph_of(holed).intersections.values())))
    assert len(drivable.vertices) == sum(len(area.outline) for area in holed.areas_of(AreaKind.INTERSECTION))


def _even_odd(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """As NAVSIM's areas are looked up: every edge on the way to the point changes the side."""
    start, end = outline[:, None], np.roll(outline, -1, axis=0)[:, None]
    crosses = (start[..., 1] > points[:, 1]) != (end[..., 1] > points[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = start[..., 0] + (points[:, 1] - start[..., 1]) / (end[..., 1] - start[..., 1]) * (end[..., 0] - start[..., 0])
    return (crosses & (points[:, 0] < at)).sum(axis=0) % 2 == 1


def test_without_boundaries_the_sides_are_those_of_the_outline(maps: Path, found: VectorMap, tmp_path: Path) -> None:
    changes: dict[str, Change] = {
        "lanes_polygons": lambda frame: frame.assign(left_boundary_fid=np.nan, right_boundary_fid=987654321),
        "gen_lane_connectors_scaled_width_polygons": lambda frame: frame.drop(columns="left_boundary_fid"),
    }
    bare = city_map(rewritten(maps, tmp_path / "maps", changes), CITY)
    for lane, drawn in zip(bare.lanes, found.lanes, strict=True):
        ground = shapely.Polygon(np.concatenate([lane.left_boundary, lane.right_boundary[::-1]]))
        assert ground.symmetric_difference(shapely.Polygon(drawn.polygon)).area < 1e-6
        middle = lane.centerline[len(lane.centerline) // 2]
        ahead = lane.centerline[-1] - lane.centerline[0]
        for side, sign in ((lane.left_boundary, 1), (lane.right_boundary, -1)):
            beside = side.mean(axis=0) - middle
            assert sign * (ahead[0] * beside[1] - ahead[1] * beside[0]) > 0


@pytest.mark.parametrize("turned", [False, True])
def test_the_sides_of_an_outline_run_along_the_baseline(turned: bool) -> None:
    outline = np.array([[0.0, -2.0], [20.0, -2.0], [20.0, 2.0], [10.0, 3.0], [0.0, 2.0]])
    left, right = outline_sides(outline[::-1] if turned else outline, np.array([[0.0, -0.1], [20.0, -0.1]]))
    np.testing.assert_array_equal(right, [[0.0, -2.0], [20.0, -2.0]])
    np.testing.assert_array_equal(left, [[0.0, 2.0], [10.0, 3.0], [20.0, 2.0]])


@pytest.mark.parametrize(
    ("given", "expected"), [("12", "12"), ("12.0", "12"), (" 7 ", "7"), ("nan", ""), ("None", ""), ("<NA>", ""), ("a-1", "a-1")]
)
def test_ids_are_text_without_a_decimal_point(given: str, expected: str) -> None:
    assert id_text(given) == expected


def test_a_lane_without_a_baseline_is_left_out(maps: Path, found: VectorMap, tmp_path: Path) -> None:
    folder = rewritten(maps, tmp_path / "maps", {"baseline_paths": lambda frame: frame.iloc[1:]})
    assert len(city_map(folder, CITY).lanes) == len(found.lanes) - 1


def test_a_folder_without_maps_is_refused(maps: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no map index.*{MAP_INDEX}"):
        city_map(tmp_path, CITY)
    (tmp_path / MAP_INDEX).write_text("[1]")
    with pytest.raises(InputError, match="is no map index"):
        city_map(tmp_path, CITY)
    (tmp_path / MAP_INDEX).write_text(json.dumps({CITY: {"version": "1"}}))
    with pytest.raises(InputError, match="has no city 'us-ma-boston'; it has sg-one-north"):
        city_map(tmp_path, "us-ma-boston")
    with pytest.raises(InputError, match=r"is not there.*map\.gpkg"):
        city_map(tmp_path, CITY)
    with pytest.raises(InputError, match="has no layer lane_groups_polygons, lanes_polygons"):
        city_map(maps, "us-ma-boston")


def test_a_file_that_is_no_map_is_refused(maps: Path, tmp_path: Path) -> None:
    shutil.copytree(maps, tmp_path / "maps")
    (tmp_path / "maps" / FILE).write_bytes((maps / FILE).read_bytes()[:5000])
    with pytest.raises(InputError, match=r"map\.gpkg.*(cannot be read|has no layer)"):
        city_map(tmp_path / "maps", CITY)


CONNECTOR_IDS: dict[str, Change] = {
    "lane_connectors": lambda frame: frame.assign(fid=range(1, len(frame) + 1)),
    "gen_lane_connectors_scaled_width_polygons": lambda frame: frame.assign(lane_connector_fid=range(1, len(frame) + 1)),
    "baseline_paths": lambda frame: frame.assign(lane_connector_fid=frame["lane_connector_fid"].rank()),
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meta": lambda frame: frame.assign(key="other")}, "has no 'projectedCoordSystem'"),
        ({"meta": lambda frame: frame.assign(value="epsg:0")}, "names the coordinate system 'epsg:0'"),
        (
            {"lane_connectors": lambda frame: frame.drop(columns="entry_lane_fid")},
            "'lane_connectors'.*no column entry_lane_fid",
        ),
        (
            {"walkways": lambda frame: frame.set_crs(None, allow_override=True)},
            "'walkways'.*does not say its coordinate system",
        ),
        (CONNECTOR_IDS, "of a lane and of a lane connector"),
    ],
)
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_map_that_cannot_be_understood_is_refused(
    maps: Path, tmp_path: Path, changes: dict[str, Change], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        city_map(rewritten(maps, tmp_path / "maps", changes), CITY)
