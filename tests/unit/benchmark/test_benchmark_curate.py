"""From a data root to a split and back to scored planners: two towns with one short drive each, renamed from shipped ones."""

import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("py123d") is None:
    pytest.skip("py123d is not installed (pip install 'diffdrive[data]')", allow_module_level=True)

from benchmark_data import change_json, write_town_manifest, write_towns

from diffdrive.benchmark.candidates import script_of
from diffdrive.benchmark.config import BenchmarkConfig, split_called
from diffdrive.benchmark.curate import TownProgress, curate, judge_towns, towns_of
from diffdrive.benchmark.drivers import DRIVERS
from diffdrive.benchmark.manifest import Benchmark, load_benchmark, save_benchmark
from diffdrive.benchmark.tags import EventTag, SceneTags, ScriptedEvent, tag_scene
from diffdrive.cli.main import main
from diffdrive.contracts import InputError
from diffdrive.evaluation.names import PlannerName
from diffdrive.evaluation.scoring import ScoringJob, entrants, score_planners
from diffdrive.scene import Scene
from diffdrive.sources import Arrow123dSource

TEST = split_called("test")
# The point here is the way through, not the choice: everything that can be scored may be chosen.
OPEN = BenchmarkConfig(
    min_expert=0.0,
    min_mean_expert=0.0,
    max_solved_share=1.0,
    max_standing_share=1.0,
    max_mean_constant_velocity=1.0,
    max_mean_constant_turn_rate=1.0,
    max_mean_blind=1.0,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towns(tmp_path_factory.mktemp("towns"))


@pytest.fixture(scope="module")
def benchmark(root: Path) -> Benchmark:
    return curate(root, TEST, OPEN)


@pytest.fixture
def copy(root: Path, benchmark: Benchmark, tmp_path: Path) -> Path:
    """The data root with its judged towns, for a test to spoil."""
    return Path(shutil.copytree(root, tmp_path / "copy"))


def test_scenes_are_judged_as_the_scorer_judges_them(root: Path, benchmark: Benchmark) -> None:
    assert [scene.token.partition("-")[0] for scene in benchmark.scenes].count("town6000") >= 1
    assert set(benchmark.towns) == {6000, 6001}
    source = Arrow123dSource(root, future_s=5.0)
    names = [PlannerName(name) for name in DRIVERS if name != "blind"]
    job = ScoringJob(source=source, entrants=entrants(names, Path()), tokens=benchmark.tokens, metrics=("pdms",))
    scored = {(row.token, row.planner): row.total for row in score_planners(job).rows}
    for scene in benchmark.scenes:
        for name in names:
            assert scene.scores[name.kind] == pytest.approx(scored[scene.token, name.kind], abs=5.1e-4)


def test_what_was_judged_is_not_judged_again(copy: Path, benchmark: Benchmark) -> None:
    file = copy / "candidates" / "town6000.json"
    values = json.loads(file.read_text())
    for row in values["candidates"]:
        row["scores"]["blind"] = 0.125
    file.write_text(json.dumps(values))
    told: list[TownProgress] = []
    again = curate(copy, TEST, OPEN, on_progress=told.append)
    assert {scene.scores["blind"] for scene in again.scenes if scene.location == "town6000"} == {0.125}
    assert (told[-1].num_done, told[-1].num_kept) == (2, 2)
    assert [scene for scene in again.scenes if scene.location == "town6001"] == [
        scene for scene in benchmark.scenes if scene.location == "town6001"
    ]


@pytest.mark.parametrize("spoil", ["damaged", "other content", "other scoring"])
def test_what_is_damaged_or_of_other_rules_is_judged_again(copy: Path, benchmark: Benchmark, spoil: str) -> None:
    file = copy / "candidates" / "town6001.json"
    if spoil == "damaged":
        file.write_text(file.read_text()[:200])
    elif spoil == "other content":
        change_json(copy / "manifests" / "town6001.json", content="changed")
    else:
        change_json(file, key=json.loads(file.read_text())["key"] | {"scoring": "older"})
    told: list[TownProgress] = []
    again = curate(copy, TEST, OPEN, on_progress=told.append)
    assert again.scenes == benchmark.scenes
    assert told[-1].num_kept == 1 and told[-1].num_done == 2


@pytest.mark.slow
def test_two_processes_give_the_same(root: Path, benchmark: Benchmark, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(root, tmp_path / "bare", ignore=shutil.ignore_patterns("candidates")))
    assert curate(bare, TEST, OPEN, workers=2) == benchmark


def test_one_broken_log_is_an_error_and_one_broken_scene_is_not(
    copy: Path, benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copy / "candidates")
    lost = [scene.token for scene in benchmark.scenes if scene.location == "town6001"]

    def fails(scene: Scene, script: Sequence[ScriptedEvent]) -> SceneTags:
        if scene.location == "town6001":
            raise ZeroDivisionError("a corner nobody thought of")
        return tag_scene(scene, script)

    monkeypatch.setattr("diffdrive.benchmark.candidates.tag_scene", fails)
    again = curate(copy, TEST, OPEN)
    assert again.dropped["cannot be judged"] >= len(lost) >= 1
    assert list(again.scenes) == [scene for scene in benchmark.scenes if scene.token not in lost]
    shutil.rmtree(copy / "candidates")
    shutil.rmtree(copy / "logs" / "drivetown_test" / "town6001-log00")
    with pytest.raises(InputError, match="town6001-log00"):
        curate(copy, TEST, OPEN)


def test_towns_that_do_not_belong_together_are_refused(copy: Path) -> None:
    with pytest.raises(InputError, match=r"no complete town of split 'val' \(seeds 5000 to 5999\)"):
        towns_of(copy, split_called("val"))
    write_town_manifest(copy, 6001, config={})
    with pytest.raises(InputError, match="6000 and 6001 were generated with another config"):
        curate(copy, TEST, OPEN)
    write_town_manifest(copy, 6001, versions={"generator": "another", "libsumo": "1"})
    with pytest.raises(InputError, match="another generator"):
        curate(copy, TEST, OPEN)
    write_town_manifest(copy, 6001, content="")
    with pytest.raises(InputError, match="town 6001 has no content hash"):
        towns_of(copy, TEST)
    write_town_manifest(copy, 6001, split="val")
    with pytest.raises(InputError, match="generated as 'val'"):
        towns_of(copy, TEST)


def test_the_script_of_a_town_becomes_tags_of_its_scenes(copy: Path) -> None:
    source = Arrow123dSource(copy, future_s=5.0, stride_s=1.0)
    first = source.load(source.tokens[0], sensors=False)
    boxes = first.agents.boxes
    near = np.flatnonzero((boxes[:, 0] > 3.0) & (np.hypot(boxes[:, 0], boxes[:, 1]) < 35.0))
    assert len(near), "somebody has to be there to act"
    actor, now = first.agents.track_tokens[near[0]], first.observation.ego.timestamp_us
    event = {"kind": "double_parked", "tokens": [actor], "first_us": now - 5_000_000, "last_us": now + 1_000}
    change_json(copy / "manifests" / f"{first.location}.json", events={first.log_name: [event]})
    found = judge_towns(copy, towns_of(copy, TEST), OPEN.stride_s)[first.location]
    tagged = [EventTag.DOUBLE_PARKED in candidate.tags.events for candidate in found if candidate.tags is not None]
    assert tagged[0] and not any(tagged[1:]), "over a millisecond after the first scene"
    with pytest.raises(InputError, match="does not state its events"):
        script_of({"seed": 1, "events": {"log": [{"kind": "flood"}]}}, "log")


def test_from_the_command_line(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "mine.json.gz"
    rules = [f"--set={name}={getattr(OPEN, name)}" for name in OPEN.__slots__ if name.startswith(("min_e", "min_m", "max"))]
    assert main(["world", "curate", str(copy), "--split", "test", "--scenes", "2", "--out", str(manifest), *rules]) == 0
    assert "2 of 2 towns" in capsys.readouterr().err
    chosen = load_benchmark(manifest)
    assert len(chosen.scenes) == 2
    picture = tmp_path / "mine.png"
    assert main(["world", "stats", str(manifest), "--draw", str(picture)]) == 0
    assert chosen.digest in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    evaluate = ["evaluate", "--benchmark", str(manifest), "--metric", "pdms", "--planner", "constant_velocity", "--json"]
    assert main([*evaluate, "--data", str(copy), "--executor", "serial"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["scores"]
    assert result["num_scenes"] == 2
    mean = np.mean([scene.scores["constant_velocity"] for scene in chosen.scenes])
    assert result["total"] == pytest.approx(mean, abs=1e-3)


def test_evaluating_where_the_scenes_are_not_says_how_to_make_them(
    copy: Path, benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "mine.json.gz"
    save_benchmark(benchmark, manifest)
    evaluate = ["evaluate", "--benchmark", str(manifest), "--planner", "constant_velocity"]
    assert main(evaluate) == 2
    assert "--data DIR" in capsys.readouterr().err
    change_json(copy / "manifests" / "town6000.json", content="another town")
    assert main([*evaluate, "--data", str(copy)]) == 2
    assert "another town" in capsys.readouterr().err
    shutil.rmtree(copy / "logs" / "drivetown_test" / "town6001-log00")
    assert main([*evaluate, "--data", str(copy)]) == 2
    assert "world generate --benchmark" in capsys.readouterr().err


def test_more_scenes_than_there_are_is_told(benchmark: Benchmark, copy: Path) -> None:
    few = curate(copy, replace(TEST, num_scenes=1), OPEN)
    assert len(few.scenes) == 1 and few.num_candidates == benchmark.num_candidates
