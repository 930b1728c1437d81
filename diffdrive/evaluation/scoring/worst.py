"""Draw the scenes in which a planner scored worst, with the place where each sub-score was lost. Needs the extra ``viz``."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring.chunks import Place
from diffdrive.evaluation.scoring.entrants import AnyPlanner
from diffdrive.evaluation.scoring.frames import Answer, Failure, make_frame
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.judging import Judged, judge_layout
from diffdrive.evaluation.scoring.rows import SceneScore, SubScore
from diffdrive.evaluation.scoring.runner import one_thread
from diffdrive.geometry import box_corners, to_local
from diffdrive.scoring.rules import INTERVAL_S, rules_of
from diffdrive.scoring.scores import CORNERS
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.vehicle import PACIFICA

if TYPE_CHECKING:
    from diffdrive.viz.scored import Fault, ScoredOverlay, ScoreLine


def worst_rows(rows: Sequence[SceneScore], planner: str, metric: str, count: int) -> tuple[SceneScore, ...]:
    """The scored scenes with the lowest totals; of equal ones the first of each log, then the second of each.

    Many scenes score zero, and those of one drive often for the same reason: one picture of it is enough.
    """
    own = [row for row in rows if (row.planner, row.metric) == (planner, metric) and row.is_scored]
    seen: Counter[tuple[float, str]] = Counter()
    ranked: list[tuple[float, int, SceneScore]] = []
    for row in own:
        ranked.append((row.total, seen[row.total, row.log_name], row))
        seen[row.total, row.log_name] += 1
    return tuple(row for _, _, row in sorted(ranked, key=lambda item: item[:2])[:count])


def draw_worst(
    job: ScoringJob, rows: Sequence[SceneScore], planner: str, metric: str, count: int, folder: Path
) -> tuple[Path, ...]:
    """One PNG for each of the ``count`` worst scenes of one planner by one metric, worst first. Returns their paths.

    Raises ``InputError`` for a planner that the job does not have, and where matplotlib is missing.
    """
    from diffdrive.viz import save_figure
    from diffdrive.viz.scored import draw_scored_scene

    made: dict[str, AnyPlanner] = {entrant.name: entrant.make() for entrant in job.entrants if entrant.name == planner}
    if not made:
        raise InputError(f"The job has no planner '{planner}'. It has: {', '.join(each.name for each in job.entrants)}.")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for rank, row in enumerate(worst_rows(rows, planner, metric, count), start=1):
        judged = _judged(job, made, row)
        scene = job.source.load(row.token, sensors=False)
        figure = draw_scored_scene(
            scene,
            _overlay(judged, row),
            title=f"{planner}, {metric} {100 * row.total:.1f} %",
            subtitle=f"{row.token}   ·   {scene.location}   ·   {row.speed_mps or 0.0:.1f} m/s   ·   {row.command}",
        )
        name = re.sub(r"[^\w.-]+", "_", f"{metric}-{rank:02d}-{planner}-{row.token}.png")
        paths.append(save_figure(figure, folder / name))
    return tuple(paths)


def _judged(job: ScoringJob, planners: dict[str, AnyPlanner], row: SceneScore) -> Judged:
    """The scene scored once more, for the states that are not kept."""
    with one_thread():
        rules = rules_of(row.metric)
        frame = make_frame(job, planners, Place(row.token, row.log_name, row.timestamp_us))
        answer, prepared = frame.answers[row.planner, rules.protocol], frame.prepared[rules.protocol]
        for found in (answer, prepared):
            if isinstance(found, Failure):
                raise InputError(f"Scene '{row.token}' was scored and now {found.reason}. Have its files changed?")
        if not isinstance(answer, Answer):
            raise InputError(f"Scene '{row.token}' has no answer of '{row.planner}'.")
        layout = (answer.trajectory.num_poses, answer.trajectory.interval_s)
        return judge_layout([frame], rules, [row.planner], layout, human_filter=job.human_filter)


def _overlay(judged: Judged, row: SceneScore) -> ScoredOverlay:
    from diffdrive.viz.scored import ScoredOverlay

    scene = judged.scenes[0]
    answer = judged.frames[0].answers[row.planner, scene.protocol]
    if not isinstance(answer, Answer):
        raise InputError(f"Scene '{row.token}' has no answer of '{row.planner}'.")
    driven = to_local(judged.scores.states[0, 0, :, :3].numpy(), scene.ego_state[:3])
    faults: dict[tuple[int, str | None, str | None], Fault] = {}
    lines = [_line("total", row.total)]
    for name, sub in row.sub_scores.items():
        fault = _fault(sub, scene, driven, len(faults) + 1)
        if fault is not None and sub.step is not None:
            # Two sub-scores lost at one moment for one reason share a mark.
            fault = faults.setdefault((sub.step, sub.agent, sub.corner), fault)
        lines.append(_line(name, sub.value, _note(sub), fault.number if fault else None))
    return ScoredOverlay(trajectory=answer.trajectory, driven=driven, lines=tuple(lines), faults=tuple(faults.values()))


def _line(name: str, value: float, note: str = "", fault: int | None = None) -> ScoreLine:
    from diffdrive.viz.scored import ScoreLine

    return ScoreLine(name=name.replace("_", " ").replace("at fault", "at-fault"), value=value, note=note, fault=fault)


def _fault(sub: SubScore, scene: ScoringScene, driven: np.ndarray, number: int) -> Fault | None:
    """What can be pointed at, if anything."""
    from diffdrive.viz.scored import Fault

    if sub.step is None or not (sub.value < 1 or sub.is_forgiven):
        return None
    pose, agent, point = driven[sub.step], None, None
    if sub.agent is not None:
        track = scene.tracks.tokens.index(sub.agent)
        if scene.tracks.is_present[track, sub.step]:
            agent = to_local(scene.tracks.corners[track, sub.step], scene.ego_state[:3])
    if sub.corner is not None:
        point = _corner(pose, sub.corner)
    return Fault(number=number, time_s=sub.step * INTERVAL_S, pose=pose, agent=agent, point=point)


def _corner(pose: np.ndarray, name: str) -> np.ndarray:
    """[2] the named part of the ego's body."""
    box = PACIFICA.boxes(pose)
    front_left, front_right, rear_right, rear_left = box_corners(box)
    return dict(zip(CORNERS, (front_left, rear_left, rear_right, front_right, box[:2]), strict=True))[name]


def _note(sub: SubScore) -> str:
    if math.isnan(sub.value):
        return "no scene 0.5 s before"
    parts = [] if sub.step is None else [f"at {sub.step * INTERVAL_S:.1f} s"]
    if sub.agent is not None:
        parts.append(f"road user {sub.agent if len(sub.agent) <= 20 else sub.agent[:17] + '...'}")
    if sub.corner is not None:
        parts.append(f"{sub.corner} of the ego")
    if sub.is_forgiven:
        parts.append("forgiven: the human lost it too")
    return ", ".join(parts)
