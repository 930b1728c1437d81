"""Score planners in many scenes: PDMS and EPDMS of every planner in every scene, on one core or on a cluster.

job = ScoringJob(source=source, entrants=entrants(names, checkpoint), tokens=source.tokens)
scored = score_planners(job, executor=ProcessExecutor(), folder=Path("out/scores"))
"""

from importlib.util import find_spec

from diffdrive.contracts import InputError

if find_spec("shapely") is None:
    raise InputError("Scenes are prepared with shapely, which is not installed. Get it with: pip install 'diffdrive[data]'")

from diffdrive.evaluation.scoring.entrants import Entrant, NetworkOptions, entrants
from diffdrive.evaluation.scoring.executors import ChunkOutcome, Executor, ProcessExecutor, RayExecutor, SerialExecutor
from diffdrive.evaluation.scoring.folder import read_scene_scores
from diffdrive.evaluation.scoring.job import DEFAULT_METRICS, ScoringJob, future_needed_s
from diffdrive.evaluation.scoring.rows import SceneScore, SubScore
from diffdrive.evaluation.scoring.score_planners import Progress, ScoredScenes, score_planners
from diffdrive.evaluation.scoring.summary import Difference, ScoreSummary, Summaries, summarise_scores
from diffdrive.evaluation.scoring.worst import draw_worst, worst_rows

__all__ = [
    "DEFAULT_METRICS",
    "ChunkOutcome",
    "Difference",
    "Entrant",
    "Executor",
    "NetworkOptions",
    "ProcessExecutor",
    "Progress",
    "RayExecutor",
    "SceneScore",
    "ScoreSummary",
    "ScoredScenes",
    "ScoringJob",
    "SerialExecutor",
    "SubScore",
    "Summaries",
    "draw_worst",
    "entrants",
    "future_needed_s",
    "read_scene_scores",
    "score_planners",
    "summarise_scores",
    "worst_rows",
]
