"""Scores against official NAVSIM results: v1.1 and v2.2 on authored roads, and on real ones where those are at hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import parity_scoring
from golden_scoring import read_golden

from diffdrive.scoring.rules import EPDMS

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).resolve().parent / "data"
REAL = Path(os.environ.get("DIFFDRIVE_PARITY_DATA", ROOT.parent / "shared" / "parity")) / "av2"
AUTHORED = [("pdms_v1.json.gz", "pdms", 144), ("epdms_v2.json.gz", "epdms", 360)]
REAL_ROADS = [("pdms_v1_av2_near.json.gz", "pdms"), ("epdms_v2_av2_near.json.gz", "epdms")]


def _real(name: str) -> Path:
    if not (REAL / name).is_file():
        pytest.skip(f"official results on real roads are not here: {REAL / name} (set DIFFDRIVE_PARITY_DATA)")
    return REAL / name


@pytest.mark.parametrize(("name", "metric", "cases"), AUTHORED)
def test_every_official_result_on_authored_roads(name: str, metric: str, cases: int) -> None:
    found = parity_scoring.compare(DATA / name, metric, batch_size=6)
    assert found.num_cases == cases
    assert not found.examples, found.lines()
    assert found.verdict().startswith("EQUAL: ")
    assert found.compared["filter off", "no_at_fault_collisions"] == cases


@pytest.mark.parametrize(("name", "metric", "cases"), AUTHORED)
def test_the_readable_scorer_knows_authored_roads_too(name: str, metric: str, cases: int) -> None:
    found = parity_scoring.compare(DATA / name, metric, limit=4, oracle=True)
    assert found.verdict().startswith("EQUAL: "), found.lines()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "metric"), REAL_ROADS)
def test_every_official_result_on_real_roads(name: str, metric: str) -> None:
    found = parity_scoring.compare(_real(name), metric)
    assert found.num_cases == 1292
    assert found.verdict().startswith("EQUAL: "), found.lines()
    rows = {kind for kind, _ in found.compared}
    assert rows == {"filter off", "planner", "simulated"} | ({"filter on", "human"} if metric == "epdms" else set())


@pytest.mark.parametrize(("name", "metric"), REAL_ROADS)
def test_some_official_results_on_real_roads(name: str, metric: str) -> None:
    found = parity_scoring.compare(_real(name), metric, limit=8)
    assert found.verdict().startswith("EQUAL: "), found.lines()
    readers = parity_scoring.compare(_real(name), metric, limit=3, oracle=True)
    assert readers.verdict().startswith("EQUAL: "), readers.lines()
    if metric == "epdms":
        # The first scene of a log has no preceding one.
        assert 0 < found.compared["filter on", "extended_comfort"] < found.num_cases


def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One wrong verdict, one wrong state and one wrong total."""

    def spoiled(*arguments: object) -> list[object]:
        golden = read_golden(*arguments)[:1]
        case = golden[0].cases[0]
        case.expected["lane_keeping"] -= 0.5
        case.expected["total_without_ec"] += 1e-5
        case.states[3, 3] += 1e-8
        return golden

    monkeypatch.setattr(parity_scoring, "read_golden", spoiled)
    status = parity_scoring.main([str(DATA / "epdms_v2.json.gz"), "--metric", "epdms"])
    printed = capsys.readouterr().out.splitlines()
    assert status == 1
    assert printed[-1] == "DIFFERENT: 3 of 120 results of 12 cases differ"


def test_headings_are_compared_modulo_a_full_turn() -> None:
    found, states = parity_scoring.Comparison(), np.zeros((41, 11))
    turned = states.copy()
    turned[:, 2] = 2 * np.pi
    found._states(states, turned, "here")
    assert found.num_different == 0
    turned[7, 2] = 0.1
    found._states(states, turned, "here")
    assert found.num_different == 1


def test_golden_files_are_read_as_they_are() -> None:
    golden = read_golden(DATA / "epdms_v2.json.gz", EPDMS, 1)[0]
    scene = golden.scene
    assert (len(golden.cases), golden.has_timestamp, golden.expected_human) == (12, False, None)
    assert scene.tracks.tokens[0] == "lead"
    assert scene.tracks.corners.shape == (4, 41, 4, 2)
    np.testing.assert_allclose(scene.tracks.centroids[0, 0], scene.tracks.corners[0, 0].mean(axis=0), atol=1e-9)
    assert "total_without_ec" in golden.cases[0].expected
