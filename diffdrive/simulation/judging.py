"""Judge a drive by the rules of NAVSIM: who is to blame, where is road, is it comfortable. The project's own scoring decides.

Scoring knows scenes of four seconds, so a drive is cut into windows as long; each is judged in the frame of its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from diffdrive.geometry import to_local
from diffdrive.scene import Agents
from diffdrive.scoring import SceneBatch, ScoringScene
from diffdrive.scoring.areas import Areas
from diffdrive.scoring.judge import judge
from diffdrive.scoring.metrics.history_comfort import history_comfort
from diffdrive.scoring.motion import Motion
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.preparation.prepare import road_of
from diffdrive.scoring.reference_planner.boxes import box_rings, ring_centroids
from diffdrive.scoring.reference_planner.forecast import STATIC_KINDS
from diffdrive.scoring.rules import NUM_STEPS, Protocol
from diffdrive.scoring.scoring_scene import RedLights, Tracks
from diffdrive.simulation.stage import HISTORY_STEPS
from diffdrive.simulation.trace import Trace
from diffdrive.simulation.view import View
from diffdrive.vehicle.state import STATE_SIZE

WINDOW = NUM_STEPS - 1
"""Steps from the first to the last state of a window."""

_BEHIND_M = 8.0
_NEAR_M = 60.0
"""Others farther from the ego than this have nothing to do with it within a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a drive was driven, apart from what it hit."""

    off_road_share: float
    """Of the way, 0..1: with a corner outside of roads, intersections and car parks."""

    wrong_way_share: float
    """Of the way, 0..1: on the road, with the centre in no lane of the route's direction, intersections apart."""

    comfort: float
    """Share of the windows that EPDMS's history comfort lets pass."""

    time_to_collision: float
    """Share of the windows that the rule of that name lets pass."""


def is_to_blame(trace: Trace, view: View, token: str) -> bool:
    """Whether the ego is at fault for touching ``token`` at the present step, by the rule of no_at_fault_collisions."""
    now = trace.step
    rows, scenes = _window(trace, view, now - WINDOW, frame_step=now, only=token)
    verdict = judge(SceneBatch.of([scenes]), torch.from_numpy(rows[None, None])).verdicts["no_at_fault_collisions"]
    return float(verdict.value[0, 0]) < 1.0


def conduct_of(trace: Trace, view: View) -> Conduct:
    """Judge the whole drive up to the present step."""
    firsts = window_starts(trace.step)
    middles = [max(0, min(first + WINDOW // 2, trace.step)) for first in firsts]
    windows = [_window(trace, view, first, frame_step=middle) for first, middle in zip(firsts, middles, strict=True)]
    batch = SceneBatch.of([scene for _, scene in windows])
    states = torch.from_numpy(np.stack([rows for rows, _ in windows])[:, None])
    areas = Areas.of(batch.areas, Motion.of(states, batch.origins))
    off_road = _by_step(areas.is_nondrivable.numpy(), firsts, trace.step)
    # Beside the road there is no direction to be wrong.
    against = areas.is_oncoming & ~areas.is_centre_in_intersection & ~areas.is_nondrivable
    wrong_way = _by_step(against.numpy(), firsts, trace.step)
    ways = np.hypot(*np.diff(trace.states(0, trace.step)[:, :2], axis=0).T)
    past = np.stack(
        [_local(trace.states(k - HISTORY_STEPS, k - 1), trace.ego(m).pose) for k, m in zip(firsts, middles, strict=True)]
    )
    lengths = torch.full((len(firsts),), HISTORY_STEPS)
    comfort = history_comfort(states, torch.from_numpy(past), lengths, corrected=True)
    return Conduct(
        off_road_share=_share(ways, off_road[1:]),
        wrong_way_share=_share(ways, wrong_way[1:]),
        comfort=float(comfort.value.mean()),
        time_to_collision=float(judge(batch, states).verdicts["time_to_collision"].value.mean()),
    )


def window_starts(last: int) -> list[int]:
    """First steps of windows that cover the steps 0 .. ``last``; the last one ends there, and may begin before 0."""
    return [*range(0, last - WINDOW, WINDOW), last - WINDOW]


def _share(ways: np.ndarray, marked: np.ndarray) -> float:
    total = float(ways.sum())
    return float(ways[marked].sum()) / total if total > 0.1 else 0.0


def _by_step(flags: np.ndarray, firsts: list[int], last: int) -> np.ndarray:
    """[last + 1] from flags [S, 41] of windows that begin at ``firsts``."""
    found = np.zeros(last + 1, dtype=bool)
    for first, row in zip(firsts, flags, strict=True):
        begin = max(first, 0)
        found[begin : first + NUM_STEPS] = row[begin - first :]
    return found


def _window(
    trace: Trace, view: View, first: int, *, frame_step: int, only: str | None = None
) -> tuple[np.ndarray, ScoringScene]:
    """States [41, 11] from step ``first`` on and the scene to judge them in, both in the frame of step ``frame_step``."""
    # Whatever the ego is on in the window, and not only what lies ahead of its middle, is on its route.
    scene = view.scene(trace, frame_step, route_from=max(trace.arcs[max(first, 0)] - _BEHIND_M, 0.0))
    origin, road = scene.world_from_ego, road_of(scene)
    steps = [min(max(step, 0), trace.step) for step in range(first, first + NUM_STEPS)]
    states = _local(trace.states(first, first + WINDOW), origin)
    return states, ScoringScene(
        token=scene.token,
        log_name=scene.log_name,
        protocol=Protocol.V2,
        corrected=True,
        timestamp_us=scene.observation.ego.timestamp_us,
        ego_state=states[0],
        past_states=np.zeros((0, STATE_SIZE)),
        tracks=_tracks(
            [_seen(trace.agents[step], trace.ego(step).pose, origin, only) for step in steps], at_end=only is not None
        ),
        drivable_map=road.drivable_map,
        red_lights=RedLights(polygons=Polygons.of(()), is_red=np.zeros((0, NUM_STEPS), dtype=bool)),
        centerline=road.centerline[:, :2],
        reference=np.zeros((NUM_STEPS, 3)),
    )


def _local(states: np.ndarray, origin: np.ndarray) -> np.ndarray:
    moved = states.copy()
    moved[:, :3] = to_local(states[:, :3], origin)
    return moved


def _seen(agents: Agents, ego: np.ndarray, origin: np.ndarray, only: str | None) -> Agents:
    near = np.hypot(*(agents.boxes[:, :2] - ego[:2]).T) <= _NEAR_M
    if only is not None:
        near = np.array([token == only for token in agents.track_tokens], dtype=bool)
    kept = agents.select(near)
    return Agents(
        track_tokens=kept.track_tokens,
        kinds=kept.kinds,
        boxes=np.column_stack([to_local(kept.boxes[:, :3], origin), kept.boxes[:, 3:]]),
        vertical=kept.vertical,
        velocities=kept.velocities,
    )


def _tracks(frames: list[Agents], *, at_end: bool) -> Tracks:
    """Tracks over steps of 0.1 s. Whether one moves is told by its speed when first seen, or (``at_end``) when last seen."""
    tokens = tuple(dict.fromkeys(token for frame in frames for token in frame.track_tokens))
    row_of = {token: row for row, token in enumerate(tokens)}
    boxes, is_present = np.zeros((len(tokens), len(frames), 5)), np.zeros((len(tokens), len(frames)), dtype=bool)
    boxes[..., 3:] = 1.0
    speeds, is_agent = np.zeros(len(tokens)), np.zeros(len(tokens), dtype=bool)
    for column in range(len(frames)) if at_end else reversed(range(len(frames))):
        frame = frames[column]
        rows = np.array([row_of[token] for token in frame.track_tokens], dtype=np.int64)
        boxes[rows, column], is_present[rows, column] = frame.boxes, True
        moves = np.array([kind not in STATIC_KINDS for kind in frame.kinds], dtype=bool)
        is_agent[rows], speeds[rows] = moves, np.where(moves, np.hypot(*frame.velocities.T), 0.0)
    corners = box_rings(boxes)
    return Tracks(
        tokens=tokens,
        corners=corners,
        is_present=is_present,
        centroids=ring_centroids(corners),
        is_agent=is_agent,
        speeds=speeds,
    )
