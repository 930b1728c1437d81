"""Every colour, line width and text size of every picture, once.

The qualitative colours are those of Okabe and Ito, which stay apart under the common colour-vision deficiencies; what must
never be confused also differs in shape, width or dash. Line widths and text sizes are in points.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from matplotlib.colors import LinearSegmentedColormap

from diffdrive.scene import AgentKind, AreaKind, LightState, LineKind

Look = dict[str, Any]
"""Keyword arguments of a matplotlib artist."""

INK: Final = "#1b1f24"
FAINT_INK: Final = "#68707a"
PAPER: Final = "#ffffff"

# What the planner offers, what it takes, and what was driven.
CHOSEN: Final = "#d55e00"
HUMAN: Final = "#009e73"
ROUTE: Final = "#f0e442"
EGO: Final = "#1b1f24"
PROPOSALS: Final = LinearSegmentedColormap.from_list("proposals", ["#d9cdec", "#a78fd0", "#6f4fb0", "#35186e"])
BASELINES: Final[tuple[tuple[str, Any], ...]] = (
    ("#0072b2", (0, (4, 1.6))),
    ("#000000", (0, (1, 1.4))),
    ("#8a5a00", (0, (5, 1.4, 1, 1.4))),
    ("#cc79a7", (0, (2.5, 1.2))),
)
"""Colour and dash of each baseline in turn."""

GROUND: Final = "#f6f6f3"
ROAD: Final = "#d9dce1"
CENTERLINE: Final = "#b3b9c2"
LANE_EDGE: Final = "#eef0f2"
LIDAR: Final = "#4d5762"
ZEBRA: Final = "#fbfbfb"

AREAS: Final = MappingProxyType(
    {
        AreaKind.WALKWAY: "#e9e2d3",
        AreaKind.CARPARK: "#e3e6ea",
        AreaKind.GENERIC_DRIVABLE: ROAD,
        AreaKind.LANE_GROUP: ROAD,
        AreaKind.INTERSECTION: ROAD,
        AreaKind.CROSSWALK: "#c4c9d0",
    }
)
"""Fill of each area kind, in painting order; stop zones are drawn as outlines."""

STOP_ZONE: Final = "#b04a5a"

LINES: Final = MappingProxyType(
    {
        LineKind.ROAD_EDGE: ("#8c949e", 0.9, "-"),
        LineKind.SOLID_WHITE: ("#ffffff", 0.9, "-"),
        LineKind.DASHED_WHITE: ("#ffffff", 0.9, (0, (4, 4))),
        LineKind.SOLID_YELLOW: ("#d9a521", 0.9, "-"),
        LineKind.DASHED_YELLOW: ("#d9a521", 0.9, (0, (4, 4))),
    }
)
"""Colour, width and dash of painted lines; other kinds are not drawn."""

AGENTS: Final = MappingProxyType(
    {
        AgentKind.VEHICLE: ("vehicle", "#56b4e9"),
        AgentKind.PEDESTRIAN: ("pedestrian", "#cc79a7"),
        AgentKind.BICYCLE: ("bicycle", "#e69f00"),
        AgentKind.TRAFFIC_CONE: ("cone, barrier, sign", "#ff7a1a"),
        AgentKind.BARRIER: ("cone, barrier, sign", "#ff7a1a"),
        AgentKind.CZONE_SIGN: ("cone, barrier, sign", "#ff7a1a"),
        AgentKind.GENERIC_OBJECT: ("other object", "#8a6f4d"),
    }
)
"""Legend entry and fill of each agent kind."""

LIGHTS: Final = MappingProxyType(
    {
        LightState.RED: ("#c1121f", "s"),
        LightState.YELLOW: ("#f4a300", "^"),
        LightState.GREEN: ("#00966b", "o"),
        LightState.OFF: ("#5c6670", "x"),
        LightState.UNKNOWN: ("#98a1ab", "x"),
    }
)
"""Colour and marker of each signal state: the marker tells them apart without the colour."""

TEXT_PT: Final = 7.0
SMALL_TEXT_PT: Final = 6.0
TITLE_PT: Final = 8.5


def shade(score: float) -> tuple[float, float, float, float]:
    """RGBA of a proposal with a score scaled to 0..1: the better, the darker."""
    red, green, blue, alpha = PROPOSALS(score)
    return float(red), float(green), float(blue), float(alpha)
