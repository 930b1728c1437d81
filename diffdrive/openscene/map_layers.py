"""The layers of a nuPlan map as plain columns: a GeoPackage brought into its city's UTM zone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.openscene.format import LAYERS, MAP_FILE, MAP_INDEX, META_CRS_KEY, META_LAYER

_NEEDED = {
    "lanes_polygons": ("lane_group_fid",),
    "lane_connectors": ("exit_lane_fid", "entry_lane_fid", "lane_group_connector_fid"),
    "gen_lane_connectors_scaled_width_polygons": ("lane_connector_fid",),
    "baseline_paths": ("lane_fid", "lane_connector_fid"),
}
"""Columns without which a layer says nothing. Others count as empty where a map lacks them."""

_DIMENSIONS = {"LineString": 1, "Polygon": 2}
_UNREAD = ("road_segments",)
_WAY_OUT = "Fetch the maps again, as NAVSIM's installation guide says."


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayer:
    """One layer: N objects."""

    ids: list[str]
    """[N] object ids."""

    shapes: np.ndarray
    """[N] shapely geometries in the city's UTM zone; never missing."""

    columns: Mapping[str, np.ndarray]

    def references(self, name: str) -> list[str]:
        """[N] ids of other objects, empty where there is none. Maps write them as whole numbers, as 12.0 or as text."""
        if name not in self.columns:
            return [""] * len(self.ids)
        values, back = np.unique(self.columns[name].astype(str), return_inverse=True)
        names = [id_text(value) for value in values.tolist()]
        return [names[i] for i in back.tolist()]

    def numbers(self, name: str) -> np.ndarray:
        """[N] float64, NaN where there is none."""
        return np.array([_number(text) for text in self.references(name)], dtype=np.float64)


def id_text(value: str) -> str:
    """An id as the format's logs write it: "12.0" and " 12" are "12"; no value is ""."""
    text = value.strip()
    if text.lower() in ("", "nan", "none", "<na>"):
        return ""
    number = _number(text)
    return str(int(number)) if number.is_integer() else text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def map_file(maps_root: Path, city: str) -> Path:
    """The GeoPackage of ``city``. Raises ``InputError`` without an index, for a city that it lacks, and without the file."""
    index = maps_root / MAP_INDEX
    if not index.is_file():
        raise InputError(
            f"There is no map index '{index}'. Give the folder that holds {MAP_INDEX} and one folder for each city "
            "(NUPLAN_MAPS_ROOT)."
        )
    try:
        cities = json.loads(index.read_text())
        versions = {name: str(values["version"]) for name, values in cities.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"'{index}' is no map index: {error!r}. {_WAY_OUT}") from error
    if city not in versions:
        raise InputError(f"The map index '{index}' has no city '{city}'; it has {', '.join(sorted(versions))}. {_WAY_OUT}")
    path = maps_root / city / versions[city] / MAP_FILE
    if not path.is_file():
        raise InputError(f"The map of '{city}' is not there: '{path}', as '{index}' names it. {_WAY_OUT}")
    return path


def read_layers(path: Path) -> dict[str, MapLayer]:
    """Every layer of a city's GeoPackage, by name, in the UTM zone that its ``meta`` layer names.

    Objects without a geometry of their layer's kind are left out. Raises ``InputError`` for a file that cannot be read, that
    lacks a layer or a column, or that does not say where it lies; ``ImportError`` without geopandas.
    """
    pyogrio, read = _require_readers()
    try:
        there = {str(name) for name, _ in pyogrio.list_layers(path)}
        names = [name for name in LAYERS if name not in _UNREAD]
        if lacking := [name for name in (*names, META_LAYER) if name not in there]:
            raise InputError(f"The map '{path}' has no layer {', '.join(lacking)}. {_WAY_OUT}")
        zone = _zone(path, read(path, layer=META_LAYER))
        return {name: _layer(path, name, read, zone) for name in names}
    except pyogrio.errors.DataSourceError as error:
        raise InputError(f"The map '{path}' cannot be read as a GeoPackage: {error}. {_WAY_OUT}") from error


def _require_readers() -> tuple[Any, Callable[..., Any]]:
    try:
        import geopandas  # noqa: F401
        import pyogrio
    except ImportError as error:
        raise ImportError(
            "Reading nuPlan maps needs geopandas, pyogrio and pyproj. Install them with: pip install 'diffdrive[data]'"
        ) from error
    return pyogrio, pyogrio.read_dataframe


def _zone(path: Path, meta: Any) -> str:
    try:
        return str(dict(zip(meta["key"], meta["value"], strict=True))[META_CRS_KEY])
    except KeyError as error:
        raise InputError(
            f"The layer '{META_LAYER}' of the map '{path}' has no {error} to say its UTM zone. {_WAY_OUT}"
        ) from error


def _layer(path: Path, name: str, read: Callable[..., Any], zone: str) -> MapLayer:
    from pyproj.exceptions import CRSError

    frame = read(
        path, layer=name, fid_as_index=True, columns=[column for column in LAYERS[name].columns if column != "source_id"]
    )
    if lacking := [column for column in _NEEDED.get(name, ()) if column not in frame.columns]:
        raise InputError(f"The layer '{name}' of the map '{path}' has no column {', '.join(lacking)}. {_WAY_OUT}")
    if frame.crs is None:
        raise InputError(f"The layer '{name}' of the map '{path}' does not say its coordinate system. {_WAY_OUT}")
    try:
        frame = frame.to_crs(zone)
    except CRSError as error:
        raise InputError(f"The map '{path}' names the coordinate system '{zone}', which is none: {error}.") from error
    shapes = frame.geometry.to_numpy()
    kept = (shapely.get_dimensions(shapes) == _DIMENSIONS[LAYERS[name].geometry]) & ~shapely.is_empty(shapes)
    return MapLayer(
        ids=[str(fid) for fid in frame.index[kept]],
        shapes=shapes[kept],
        columns={column: frame[column].to_numpy()[kept] for column in frame.columns if column != "geometry"},
    )
