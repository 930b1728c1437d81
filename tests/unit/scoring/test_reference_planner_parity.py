"""The official caches of real scenes, through the tool that compares everything; skipped where they are absent."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
REAL_ROADS = Path(os.environ.get("DIFFDRIVE_PARITY_DATA", ROOT.parent / "shared" / "parity")) / "av2"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_reference_planner", ROOT / "tools" / "parity_reference_planner.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_official_caches_are_reproduced(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two maps with corrected routes, red lights and PDM-Closed's leaks."""
    files = [REAL_ROADS / f"map_{variant}.json.gz" for variant in ("adcf7d18", "3bffdcff_alt")]
    if not all(file.is_file() for file in files):
        pytest.skip(f"official caches of real scenes are not here: {REAL_ROADS} (set DIFFDRIVE_PARITY_DATA)")
    monkeypatch.setattr(sys, "path", list(sys.path))
    status = tool().main([*map(str, files), "--limit", "2"])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert printed.splitlines()[-1].startswith("EQUAL")


def test_a_difference_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    comparison = tool().Comparison()
    comparison.equal("choice", 4, 3)
    comparison.close("route", [[0.0, 1.0]], [[0.0, 1.0]])
    comparison.close("route", [[0.0, 1.0]], [[0.0, 1.1]])
    comparison.close("shape", [0.0], [0.0, 0.0])
    comparison.close("turned", [[0.0, 0.0, 3.14159265]], [[0.0, 0.0, -3.14159265]], headings=[2])
    comparison.print()
    assert comparison.num_different == 3
    assert "1.0e-01" in capsys.readouterr().out
