"""Open logs in py123d's viewer: a small web server that shows boxes, map, ego, and the sensors that a log holds.

The viewer shows no signals, and renders nothing: what a log does not hold is not there.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.log123d.read import LogReader

HOST = "localhost"
_LAYERS = ("LANE", "LANE_GROUP", "INTERSECTION", "WALKWAY", "CROSSWALK", "CARPARK", "GENERIC_DRIVABLE", "STOP_ZONE")


def serve_viser(folders: Sequence[Path], root: Path, *, port: int = 8080) -> None:
    """Serve the logs in ``folders``, all below ``root``/logs, at http://localhost:``port`` until interrupted.

    The first log opens; a slider leads to the others. Raises ``InputError`` for no logs, a damaged log and a port in use.
    """
    if not folders:
        raise InputError("The viewer needs at least one log, got none.")
    _check_port(port)
    for folder in folders:
        LogReader(folder, root)
    try:
        from py123d.api.scene.arrow.arrow_scene_api import ArrowSceneAPI
        from py123d.api.scene.scene_api import SceneAPI
        from py123d.datatypes import MapLayer
        from py123d.visualization.viser.elements.map_element import MapConfig
        from py123d.visualization.viser.playback_controller import PlaybackConfig
        from py123d.visualization.viser.viser_config import ServerConfig, ThemeConfig, ViserConfig
        from py123d.visualization.viser.viser_viewer import ViserViewer
    except ImportError as error:
        raise ImportError("The viewer needs py123d and viser. Install them with: pip install 'diffdrive[data]'") from error

    scenes: list[SceneAPI] = [ArrowSceneAPI(folder, None, Path(root) / "maps") for folder in folders]
    config = ViserConfig(
        server=ServerConfig(host=HOST, port=port, label="diffdrive", verbose=False),
        theme=ThemeConfig(show_share_button=False),
        playback=PlaybackConfig(follow_ego=True),
        map=MapConfig(visible_layers=[MapLayer[name] for name in _LAYERS]),
    )
    ViserViewer(scenes, config)


def _check_port(port: int) -> None:
    """Viser would quietly take another port, and the address that the user was told would lead nowhere."""
    if not 0 < port < 65536:
        raise InputError(f"A port lies between 1 and 65535, got {port}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(f"Port {port} cannot be used ({error.strerror}). Choose another one.") from error
