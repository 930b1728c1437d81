"""The command ``diffdrive world generate``, without making a town."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("py123d", reason="py123d is not installed (pip install 'diffdrive[data]')")

from diffdrive.cli.main import main
from diffdrive.world import generate
from diffdrive.world.generate import TownReport, WorldConfig

TOWN = {"location": "town0005", "logs": ["a", "b"], "frames": 40, "boxes_per_frame": 12.5, "seconds": 3.0}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asked for; a town is made up."""
    calls: dict[str, Any] = {}

    def fake(seeds: Any, config: WorldConfig, root: Path, *, tell: Any, **rest: Any) -> list[TownReport]:
        calls.update(seeds=list(seeds), config=config, root=root, **rest)
        reports = [TownReport(seed=k, manifest=TOWN) if k != 13 else TownReport(seed=k, error="no drive") for k in seeds]
        for report in reports:
            tell(report)
        return reports

    monkeypatch.setattr(generate, "generate_world", fake)
    return calls


def test_seeds_count_on_and_overrides_arrive(asked: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    recipe = tmp_path / "busy.yaml"
    recipe.write_text("traffic: {cars_per_lane_km: 3.5}\n")
    words = ["world", "generate", "--out", str(tmp_path / "out"), "--towns", "3", "--seed", "5", "--split", "val"]
    assert main([*words, "--config", str(recipe), "--set", "curation.logs_per_town=4", "--workers", "2"]) == 0
    assert asked["seeds"] == [5, 6, 7] and asked["split"] == "val" and asked["workers"] == 2
    assert asked["config"].traffic.cars_per_lane_km == 3.5 and asked["config"].curation.logs_per_town == 4
    assert "6 logs of 3 towns (val)" in capsys.readouterr().out


def test_a_town_that_fails_is_told_and_changes_the_status(
    asked: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["world", "generate", "--out", str(tmp_path), "--towns", "2", "--seed", "12"]) == 1
    told = capsys.readouterr()
    assert "2 logs of 1 towns" in told.out and "[1/2" in told.out
    assert "seed 13 failed: no drive" in told.err and "1 of 2 towns could not be made: 13" in told.err


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--towns", "0"], "--towns must be at least 1"),
        (["--set", "traffic.cars=3"], "no key 'cars'"),
        (["--set", "town.nodes_per_side=2"], "at least 3"),
        (["--config", "nowhere.yaml"], "does not exist"),
        (["--benchmark", "test", "--split", "test"], "--seed and --split"),
        (["--benchmark", "test", "--towns", "1"], "--seed and --split"),
        (["--benchmark", "test", "--set", "traffic.cars_per_lane_km=3"], "--seed and --split"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    words: list[str], rule: str, asked: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["world", "generate", "--out", str(tmp_path / "out"), *words]) == 2
    complaint = capsys.readouterr().err
    assert rule in complaint and complaint.count("\n") == 1
    assert not asked and not (tmp_path / "out").exists()
