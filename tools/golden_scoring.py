"""Read official NAVSIM results into scenes that can be scored and what the official scorer said about them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import EPDMS, PDMS, Protocol, Rules
from diffdrive.scoring.scoring_scene import DrivableMap, RedLights, ScoringScene, Tracks

SUB_SCORES = {"time_to_collision_within_bound": "time_to_collision", "two_frame_extended_comfort": "extended_comfort"}
"""Our name of a sub-score where it is not the official one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """One trajectory and its official results. Results have our names of sub-scores; a missing one is not in the mapping."""

    name: str
    poses: np.ndarray
    """[8, 3] in the ego frame."""

    reference: np.ndarray
    """[41, 3] in the scene's frame."""

    states: np.ndarray | None
    """[41, 11] simulated; None where the file has none."""

    expected: Mapping[str, float]
    """Without the human filter. Two totals: ``total``, and ``total_without_ec``, which knows no extended comfort."""

    expected_filtered: Mapping[str, float] | None
    """With the human filter; None where the file has none."""

    expected_planner: Mapping[str, float] | None
    """Of PDM-Closed's row in the same call; None where the file has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenScene:
    """One scene and its cases."""

    scene: ScoringScene
    cases: tuple[GoldenCase, ...]
    previous_token: str | None
    """The scene half a second earlier, whose case of the same name is the other half of extended comfort."""

    has_timestamp: bool
    """Without one the cases start from ``reference``, not from ``poses``."""

    planner_states: np.ndarray | None
    human_states: np.ndarray | None
    expected_human: Mapping[str, float] | None


Results = dict[str, np.ndarray]
"""[N] by sub-score or total; NaN where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """About one scene and its N cases."""

    states: np.ndarray
    """[N, 41, 11]."""

    unfiltered: Results
    filtered: Results | None
    planner: Results
    planner_states: np.ndarray
    human: Results | None
    human_states: np.ndarray | None


def read_golden(file: Path, rules: Rules, limit: int | None = None) -> list[GoldenScene]:
    """The first ``limit`` scenes of a golden file (``.json.gz``) that was written with the rules of ``rules``."""
    with gzip.open(file) as stream:
        data = json.load(stream)
    return [_scene(each, rules) for each in data[:limit]]


def rules_of_file(file: Path) -> Rules:
    """PDMS or EPDMS, by the file's name."""
    return PDMS if file.name.startswith("pdms") else EPDMS


def _scene(data: dict[str, Any], rules: Rules) -> GoldenScene:
    v2 = rules.protocol is Protocol.V2
    scene = ScoringScene(
        token=data["token"],
        log_name=data["log"],
        protocol=rules.protocol,
        timestamp_us=data.get("start_time_us", 0),
        ego_state=np.array(data["ego0"]),
        past_states=np.array(data["past"]) if v2 else np.zeros((0, 11)),
        tracks=_tracks(data["tracks"], data["first"]),
        drivable_map=DrivableMap(
            polygons=Polygons.of(np.array(ring) for ring in data["polys"]),
            types=np.array(data["poly_type"]),
            on_route=np.array(data["on_route"], dtype=bool),
        ),
        red_lights=_red_lights(data.get("red") if v2 else None, len(data["tracks"])),
        centerline=np.array(data["centerline"])[:, :2],
        reference=np.array(data["pdm_ref"]),
        human_reference=_array(data.get("human_ref")),
    )
    human = data.get("human_metrics")
    return GoldenScene(
        scene=scene,
        cases=tuple(_case(each) for each in data["trajs"]),
        previous_token=data.get("prev_token"),
        has_timestamp="start_time_us" in data,
        planner_states=_array(data.get("pdm_states")),
        human_states=_array(data.get("human_states")),
        expected_human=None if human is None else _results(human, stale=("pdm_score", "score")),
    )


def _tracks(steps: Sequence[Sequence[Any]], first: Mapping[str, Any]) -> Tracks:
    tokens = tuple(first)
    index = {token: i for i, token in enumerate(tokens)}
    corners = np.zeros((len(tokens), len(steps), 4, 2))
    is_present = np.zeros(corners.shape[:2], dtype=bool)
    for step, boxes in enumerate(steps):
        for token, box in boxes:
            corners[index[token], step] = box
            is_present[index[token], step] = True
    centroids = np.zeros((*is_present.shape, 2))
    centroids[is_present] = shapely.get_coordinates(shapely.centroid(shapely.polygons(corners[is_present])))
    return Tracks(
        tokens=tokens,
        corners=corners,
        is_present=is_present,
        centroids=centroids,
        # A file's "is_agent" says yes to everything; "agent" is the one.
        is_agent=np.array([first[token]["agent"] for token in tokens], dtype=bool),
        speeds=np.array([first[token]["speed"] for token in tokens], dtype=np.float64),
    )


def _red_lights(steps: Sequence[Sequence[Any]] | None, count: int) -> RedLights:
    """The files list polygons by step; here each polygon comes once."""
    rings: dict[str, list[int]] = {}
    for step, polygons in enumerate(steps or ()):
        for ring in polygons:
            rings.setdefault(json.dumps(ring), []).append(step)
    is_red = np.zeros((len(rings), count), dtype=bool)
    for row, red_steps in zip(is_red, rings.values(), strict=True):
        row[red_steps] = True
    return RedLights(polygons=Polygons.of(np.array(json.loads(ring)) for ring in rings), is_red=is_red)


def _case(data: dict[str, Any]) -> GoldenCase:
    filtered, planner = data.get("metrics_filtered"), data.get("pdm_metrics")
    return GoldenCase(
        name=data["name"],
        poses=np.array(data["poses"]),
        reference=np.array(data["ref"]),
        states=_array(data.get("states")),
        expected=_results(data["metrics"]),
        # The devkit does not compute its pdm_score again after the filter.
        expected_filtered=None if filtered is None else _results(filtered, stale=("pdm_score",)),
        expected_planner=None if planner is None else _results(planner, stale=("pdm_score", "score")),
    )


def _results(metrics: Mapping[str, float | None], stale: tuple[str, ...] = ()) -> dict[str, float]:
    found = {SUB_SCORES.get(name, name): value for name, value in metrics.items() if value is not None and name not in stale}
    names = {"pdm_score": "total_without_ec", "score": "total"}
    return {names.get(name, name): float(value) for name, value in found.items() if name != "multiplicative_metrics_prod"}


def _array(values: Any) -> np.ndarray | None:
    return None if values is None else np.array(values, dtype=np.float64)
