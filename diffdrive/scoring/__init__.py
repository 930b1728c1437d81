"""NAVSIM's scores without the devkit: PDMS (v1.1) and EPDMS (v2.2), batched, on the CPU or a GPU.

``prepare`` turns a scene into everything that judging needs (numpy and shapely; once a scene). ``score`` follows trajectories
with a simulated vehicle and judges them against it (torch only, as often as you like).
"""

from diffdrive.scoring.aggregate import with_extended_comfort
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.preparation import prepare, prepare_all
from diffdrive.scoring.rules import EPDMS, EPDMS_PREFIX, METRICS, PDMS, Protocol, Rules, rules_of
from diffdrive.scoring.score import score, score_references
from diffdrive.scoring.scores import CORNERS, NONE, Scores, Verdict
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.scoring.storage import PreparedScenes, load_scoring_scene, save_scoring_scene

__all__ = [
    "CORNERS",
    "EPDMS",
    "EPDMS_PREFIX",
    "METRICS",
    "NONE",
    "PDMS",
    "PreparedScenes",
    "Protocol",
    "Rules",
    "SceneBatch",
    "Scores",
    "ScoringScene",
    "Verdict",
    "load_scoring_scene",
    "prepare",
    "prepare_all",
    "rules_of",
    "save_scoring_scene",
    "score",
    "score_references",
    "with_extended_comfort",
]
