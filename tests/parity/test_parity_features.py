"""The sensor features equal those of the public implementation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

GOLDEN = Path(__file__).parent / "data" / "features_a.npz"
TOOL = Path(__file__).parents[2] / "tools" / "parity_features.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_features", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["parity_features"] = module
    spec.loader.exec_module(module)
    return module


def test_every_feature_equals_the_public_implementation(tool):
    with np.load(GOLDEN) as golden:
        results = {result.name: result.max_difference for result in tool.compare(dict(golden), "a")}
    # Tighter than the tool's tolerance: the picture is equal in every pixel, not only within one step.
    assert results["camera_uint8_chw_sub4"] < 1e-4
    assert results["camera_mean"] < 1e-6
    assert results["lidar_count"] < 1e-5
    assert results["status"] == 0.0
    assert len(results) == 4


def test_the_tool_exits_by_verdict(tool, tmp_path, capsys):
    assert tool.main([str(GOLDEN)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS: 4 of 4 arrays agree"
    with np.load(GOLDEN) as archive:
        arrays = dict(archive)
    arrays["lidar_count"] = arrays["lidar_count"].copy()
    arrays["lidar_count"][0, 100, 100] += 1
    np.savez(tmp_path / "wrong.npz", **arrays)
    assert tool.main([str(tmp_path / "wrong.npz")]) == 1
    assert "FAIL lidar_count" in capsys.readouterr().out
    np.savez(tmp_path / "other.npz", nothing=np.zeros(3))
    assert tool.main([str(tmp_path / "other.npz")]) == 2
    assert tool.main([str(tmp_path / "absent.npz")]) == 2
