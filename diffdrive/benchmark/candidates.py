"""Judge every scene of a town: its tags, and what each driver scores in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.benchmark.drivers import DRIVERS, trajectories_of
from diffdrive.benchmark.tags import EventTag, SceneTags, ScriptedEvent, tag_scene
from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring.pdm_closed import PdmClosed
from diffdrive.evaluation.scoring.runner import one_thread
from diffdrive.runtime.errors import describe
from diffdrive.scene import Scene
from diffdrive.scoring import ScoringScene, prepare, score
from diffdrive.scoring.rules import INTERVAL_S, MAP_RADIUS_M, PDMS
from diffdrive.sources import Arrow123dSource

METRIC = PDMS.name
FUTURE_S = (PDMS.observation_steps - 1) * INTERVAL_S
_TOGETHER = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A scene that may become part of the benchmark."""

    token: str
    log_name: str
    location: str
    timestamp_us: int
    tags: SceneTags | None = None
    scores: Mapping[str, float] | None = None
    """By driver, 0..1, rounded to three digits: what is published is what was chosen by."""

    error: str = ""
    """Why the scene could not be judged; then it has neither tags nor scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A scene that waits to be scored with others."""

    candidate: Candidate
    prepared: ScoringScene
    poses: np.ndarray
    """[D, 8, 3] one trajectory a driver."""


def open_logs(root: Path, names: Sequence[str], *, stride_s: float) -> Arrow123dSource:
    """Scenes of these logs, every ``stride_s``, with all the future that scoring needs."""
    return Arrow123dSource(root, logs=names, future_s=FUTURE_S, stride_s=stride_s, map_radius_m=MAP_RADIUS_M)


def judge_town(source: Arrow123dSource, town: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """Every scene of a town's logs in the order of logs and times. ``town`` is its manifest.

    A scene that cannot be judged comes back with an error. Raises ``InputError`` where the manifest states no proper events.
    """
    scripts = {name: script_of(town, name) for name in town["logs"]}
    tokens = [info.token for log in source.logs if log.log_name in scripts for info in log.scenes]
    found: list[Candidate] = []
    with one_thread():
        for start in range(0, len(tokens), _TOGETHER):
            judged = [_judge(source, token, scripts) for token in tokens[start : start + _TOGETHER]]
            ready = iter(_scored([each for each in judged if isinstance(each, _Ready)]))
            found += [next(ready) if isinstance(each, _Ready) else each for each in judged]
    return tuple(found)


def script_of(town: Mapping[str, Any], log_name: str) -> tuple[ScriptedEvent, ...]:
    """The scripted events near the ego of a log. Raises ``InputError`` for a manifest that states them in another way."""
    try:
        return tuple(
            ScriptedEvent(
                kind=EventTag(event["kind"]),
                tokens=frozenset(event["tokens"]),
                first_us=int(event["first_us"]),
                last_us=int(event["last_us"]),
            )
            for event in town.get("events", {}).get(log_name, ())
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"The manifest of town {town.get('seed')} does not state its events: {error!r}. Make it again."
        ) from error


def _judge(source: Arrow123dSource, token: str, scripts: Mapping[str, Sequence[ScriptedEvent]]) -> _Ready | Candidate:
    info = source.info(token)
    place = Candidate(token=token, log_name=info.log_name, location=info.location, timestamp_us=info.timestamp_us)
    try:
        scene = source.load(token, sensors=False)
        return _made_ready(scene, replace(place, tags=tag_scene(scene, scripts[info.log_name])))
    except Exception as error:  # any: one scene must not end the town
        return replace(place, error=describe(error))


def _made_ready(scene: Scene, candidate: Candidate) -> _Ready:
    prepared = prepare(scene, METRIC)
    driven = trajectories_of(scene, PdmClosed().plan_prepared(prepared))
    return _Ready(candidate=candidate, prepared=prepared, poses=np.stack([driven[name].poses for name in DRIVERS]))


def _scored(ready: Sequence[_Ready]) -> Iterator[Candidate]:
    if not ready:
        return
    scores = score(
        [each.prepared for each in ready], np.stack([each.poses for each in ready]), metric=METRIC, on_invalid="zero"
    )
    for each, totals in zip(ready, scores.total.tolist(), strict=True):
        scores_by_name = {name: round(total, 3) for name, total in zip(DRIVERS, totals, strict=True)}
        yield replace(each.candidate, scores=scores_by_name)
