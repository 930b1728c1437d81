"""Official trajectories on the logs they were recorded for."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import score_real_logs
from golden_scoring import read_golden

from diffdrive.assets import LOGS
from diffdrive.scoring import EPDMS
from diffdrive.sources import Arrow123dSource

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(os.environ.get("DIFFDRIVE_PARITY_DATA", ROOT.parent / "shared" / "parity")) / "av2" / "epdms_v2_av2_near.json.gz"
REAL = Path(os.environ.get("DIFFDRIVE_REAL_DATA", ROOT.parent / "shared" / "real")) / "av2"


def test_what_depends_on_recorded_facts_alone_is_official() -> None:
    if not GOLDEN.is_file() or not REAL.is_dir():
        pytest.skip(f"needs official results and their logs: {GOLDEN}, {REAL}")
    found = score_real_logs.scored_scenes(read_golden(GOLDEN, EPDMS, 4), Arrow123dSource(REAL), EPDMS, corrected=False)
    means, agreement, scenes = score_real_logs.compare(found, EPDMS)
    assert scenes == 4 and len(means.rows) == 18
    share = {row[0]: float(row[2].split()[0]) for row in agreement.rows}
    assert share["no_at_fault_collisions"] == share["history_comfort"] == 100.0
    assert share["time_to_collision"] > 95


def test_logs_without_these_scenes_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    file = ROOT / "tests" / "parity" / "data" / "epdms_v2.json.gz"
    assert score_real_logs.main([str(file), "--logs", str(LOGS)]) == 2
    assert "No scene of" in capsys.readouterr().err
