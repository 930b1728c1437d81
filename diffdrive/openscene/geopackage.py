"""Write the maps of the devkit's four cities: GeoPackages, and the index that names them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.files import written_aside
from diffdrive.openscene.city_map import Row
from diffdrive.openscene.format import CITIES, LAYERS, MAP_FILE, MAP_INDEX, META_CRS_KEY, META_LAYER

_STUB_LAYERS = ("lane_connectors",)


def write_maps(folder: Path, city: str, layers: Mapping[str, Sequence[Row]]) -> None:
    """The map of ``city`` below ``folder``, and for the other cities what the devkit opens whatever it works on.

    ``layers``: the rows of each layer, in the city's UTM zone. Raises ``ImportError`` without geopandas.
    """
    for name, place in CITIES.items():
        here = layers if name == city else {layer: [] for layer in _STUB_LAYERS}
        with written_aside(folder / name / place.version / MAP_FILE) as aside:
            _write_city(aside, place.epsg, here)
    index = {name: {"version": place.version, "layers": {}} for name, place in CITIES.items()}
    with written_aside(folder / MAP_INDEX) as aside:
        aside.write_text(json.dumps(index, indent=1) + "\n")


def require_writers() -> tuple[Any, Any, Any]:
    """geopandas, pandas and pyogrio. Raises ``ImportError`` that names the extra."""
    try:
        import geopandas
        import pandas  # type: ignore[import-untyped,unused-ignore]
        import pyogrio
    except ImportError as error:
        raise ImportError(
            "Writing NAVSIM maps needs geopandas, pyogrio and pyproj. Install them with: pip install 'diffdrive[data]'"
        ) from error
    return geopandas, pandas, pyogrio


def _write_city(path: Path, epsg: int, layers: Mapping[str, Sequence[Row]]) -> None:
    geopandas, pandas, pyogrio = require_writers()
    crs = f"epsg:{epsg}"
    pyogrio.write_dataframe(pandas.DataFrame({"key": [META_CRS_KEY], "value": [crs]}), path, layer=META_LAYER, driver="GPKG")
    for name, rows in layers.items():
        kinds = {"fid": "int64", **LAYERS[name].columns}
        columns = {key: np.array([values[key] for _, values in rows], dtype=kind) for key, kind in kinds.items()}
        frame = geopandas.GeoDataFrame(columns, geometry=[shape for shape, _ in rows], crs=crs)
        pyogrio.write_dataframe(frame, path, layer=name, driver="GPKG", geometry_type=LAYERS[name].geometry, append=False)
