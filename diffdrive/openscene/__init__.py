"""NAVSIM's files: OpenScene log pickles, sensor blobs and nuPlan maps, written from values of ``diffdrive.scene``.

``format`` holds the names that writers and readers share. Written from the format's description and checked with the
unmodified devkits; no code of theirs is here. Maps need geopandas, pyogrio and pyproj (``pip install 'diffdrive[data]'``).
"""

from diffdrive.openscene.export import LogToExport, export_logs

__all__ = ["LogToExport", "export_logs"]
