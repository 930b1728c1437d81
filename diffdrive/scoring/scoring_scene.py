"""Everything that judging a scene needs, as plain arrays: the hand-over between ``prepare`` and ``score``.

All coordinates are metres in one planar frame of the scene's choice (``prepare`` uses the ego frame at t = 0).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import NUM_STEPS, Protocol


class AreaType(enum.IntEnum):
    """What a polygon of the drivable map is. The numbers are those of nuPlan's map layers."""

    LANE = 0
    INTERSECTION = 1
    LANE_CONNECTOR = 11
    CARPARK = 15
    ROADBLOCK = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivableMap:
    """The polygons around the ego."""

    polygons: Polygons
    types: np.ndarray
    """[P] values of ``AreaType``."""

    on_route: np.ndarray
    """[P] true for lanes and lane connectors of the route (after its correction)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", frozen_array(self.types, np.int64))
        object.__setattr__(self, "on_route", frozen_array(self.on_route, bool))
        if not len(self.polygons) == len(self.types) == len(self.on_route):
            raise InputError(
                f"DrivableMap needs a type and a route flag for each of its {len(self.polygons)} polygons, "
                f"got {len(self.types)} and {len(self.on_route)}."
            )
        if unknown := set(self.types.tolist()) - set(AreaType):
            raise InputError(
                f"DrivableMap.types must be values of AreaType {[int(t) for t in AreaType]}, got {sorted(unknown)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """Other road users over time: A tracks at O steps of 0.1 s from t = 0."""

    tokens: tuple[str, ...]
    corners: np.ndarray
    """[A, O, 4, 2] of each box, in order around it; anything where ``is_present`` is false."""

    is_present: np.ndarray
    """[A, O]."""

    centroids: np.ndarray
    """[A, O, 2] of each box."""

    is_agent: np.ndarray
    """[A] true for vehicles, pedestrians and bicycles; false for what cannot move."""

    speeds: np.ndarray
    """[A] m/s when first seen: a track counts as standing or moving for good."""

    def __post_init__(self) -> None:
        axes = Axes("Tracks")
        contracts = {
            "corners": ("A O 4 2", np.float64),
            "is_present": ("A O", bool),
            "centroids": ("A O 2", np.float64),
            "is_agent": ("A", bool),
            "speeds": ("A", np.float64),
        }
        for name, (contract, dtype) in contracts.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))
            axes.check(name, getattr(self, name), contract, finite=True)
        if len(self.tokens) != len(self.speeds):
            raise InputError(f"Tracks needs one token a track: {len(self.speeds)} tracks, {len(self.tokens)} tokens.")

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedLights:
    """Lane connectors of the route that are red at some step."""

    polygons: Polygons
    is_red: np.ndarray
    """[R, O] whether each polygon is red at each step."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_red", frozen_array(self.is_red, bool))
        if len(self.is_red) != len(self.polygons):
            raise InputError(f"RedLights needs one row of is_red a polygon: {len(self.polygons)}, got {len(self.is_red)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringScene:
    """One scene, ready to be scored by the rules of one protocol."""

    token: str
    log_name: str
    protocol: Protocol
    corrected: bool = False
    """Judge without the devkit's known mistakes; then the score is comparable with no published one."""

    timestamp_us: int
    """Of t = 0: the devkit's sampling times depend on it by a microsecond."""

    ego_state: np.ndarray
    """[11] at t = 0, columns as in ``diffdrive.vehicle.state``."""

    past_states: np.ndarray
    """[H, 11] before t = 0, sampled every 0.1 s; none in ``Protocol.V1``."""

    tracks: Tracks
    drivable_map: DrivableMap
    red_lights: RedLights
    centerline: np.ndarray
    """[K, 2] of the route, to measure progress along."""

    reference: np.ndarray
    """[41, 3] poses of PDM-Closed, whose progress is the yardstick of ``ego_progress``."""

    human_reference: np.ndarray | None = None
    """[41, 3] poses of the human, for the human filter; None where the future is not known."""

    def __post_init__(self) -> None:
        axes = Axes(f"ScoringScene '{self.token}'")
        contracts = {
            "ego_state": "11",
            "past_states": "H 11",
            "centerline": "K 2",
            "reference": f"{NUM_STEPS} 3",
            "human_reference": f"{NUM_STEPS} 3",
        }
        for name, contract in contracts.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))
                axes.check(name, getattr(self, name), contract, finite=True)
        if len(self.centerline) < 2:
            raise InputError(f"Scene '{self.token}' needs a centreline of two points or more to measure progress along.")
        if self.tracks.corners.shape[1] != self.red_lights.is_red.shape[1] and len(self.red_lights.polygons):
            raise InputError(f"Scene '{self.token}': tracks and red lights must cover the same steps.")
