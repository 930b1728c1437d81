"""Manifests: written and read back, changed and refused; the fingerprint of the generator sees code and nothing else."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_data import random_candidates

from diffdrive.benchmark.choice import choose
from diffdrive.benchmark.config import SPLITS, BenchmarkConfig, split_called
from diffdrive.benchmark.data import check_generator, check_town, tokens_in
from diffdrive.benchmark.manifest import Benchmark, BenchmarkScene, load_benchmark, save_benchmark, shipped
from diffdrive.benchmark.statistics import TAGS, counts, statistics_text
from diffdrive.contracts import InputError
from diffdrive.world.fingerprint import code_of, generator_fingerprint
from diffdrive.world.generate import WorldConfig
from diffdrive.world.manifest import versions

SHIPPED = [name for name in SPLITS if shipped(name).is_file()]


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    everything = random_candidates(200)
    choice = choose(everything, replace(split_called("test"), num_scenes=30), BenchmarkConfig())
    return Benchmark(
        split="test",
        generator=generator_fingerprint(),
        sumo=versions()["libsumo"],
        world=WorldConfig(box_radius_m=90.0),
        rules=BenchmarkConfig(min_expert=0.79),
        towns={6000: "abc", 6003: "def"},
        scenes=tuple(BenchmarkScene(token=each.token, tags=each.tags, scores=each.scores) for each in choice.scenes),
        num_candidates=len(everything),
        dropped=choice.dropped,
    )


@pytest.fixture
def path(benchmark: Benchmark, tmp_path: Path) -> Path:
    file = tmp_path / "mine.json.gz"
    save_benchmark(benchmark, file)
    return file


def test_read_back_it_is_the_same_and_written_again_too(benchmark: Benchmark, path: Path) -> None:
    again = load_benchmark(path)
    assert again == benchmark and again.digest == benchmark.digest
    before = path.read_bytes()
    save_benchmark(again, path)
    assert path.read_bytes() == before


def test_any_change_changes_the_hash(benchmark: Benchmark) -> None:
    digests = {benchmark.digest}
    digests.add(replace(benchmark, generator="0" * 16).digest)
    digests.add(replace(benchmark, sumo="1.0").digest)
    digests.add(replace(benchmark, world=WorldConfig()).digest)
    digests.add(replace(benchmark, rules=BenchmarkConfig()).digest)
    digests.add(replace(benchmark, towns=benchmark.towns | {6000: "xyz"}).digest)
    first = benchmark.scenes[0]
    other = replace(first, scores={**first.scores, "blind": 0.123})
    digests.add(replace(benchmark, scenes=(other, *benchmark.scenes[1:])).digest)
    assert len(digests) == 7


def test_a_file_that_was_edited_is_refused(path: Path) -> None:
    values = json.loads(gzip.decompress(path.read_bytes()))
    values["scenes"][0][-1] = 0.5
    path.write_bytes(gzip.compress(json.dumps(values).encode()))
    with pytest.raises(InputError, match="changed after it was written"):
        load_benchmark(path)


def test_files_that_are_no_manifests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_benchmark(tmp_path / "none.json.gz")
    for content in (b"nothing", gzip.compress(b"[]"), gzip.compress(b"{}"), gzip.compress(b'{"format": 1}')):
        file = tmp_path / "bad.json.gz"
        file.write_bytes(content)
        with pytest.raises(InputError, match="no benchmark manifest"):
            load_benchmark(file)
    file.write_bytes(gzip.compress(b'{"format": 99, "hash": ""}'))
    with pytest.raises(InputError, match="format 99"):
        load_benchmark(file)
    with pytest.raises(InputError, match=r"NAME\.json\.gz"):
        save_benchmark(None, tmp_path / "wrong.json")  # type: ignore[arg-type]


def test_what_cannot_be_true_is_refused(benchmark: Benchmark) -> None:
    with pytest.raises(InputError, match="every scene once"):
        replace(benchmark, scenes=(*benchmark.scenes, benchmark.scenes[0]))
    with pytest.raises(InputError, match=r"got \[5000\].*other splits"):
        replace(benchmark, towns=benchmark.towns | {5000: "abc"})
    with pytest.raises(InputError, match="town6000, which are none of its towns"):
        replace(benchmark, towns={6003: "def"})
    with pytest.raises(InputError, match="counts 1 candidates"):
        replace(benchmark, num_candidates=1)


def test_another_generator_or_sumo_is_refused(benchmark: Benchmark) -> None:
    check_generator(benchmark)
    with pytest.raises(InputError, match="was made by generator"):
        check_generator(replace(benchmark, generator="0" * 16))
    with pytest.raises(InputError, match=r"pip install eclipse-sumo==0\.9"):
        check_generator(replace(benchmark, sumo="0.9"))


def test_towns_and_scenes_that_are_not_the_benchmarks_are_refused(benchmark: Benchmark, tmp_path: Path) -> None:
    check_town(benchmark, {"seed": 6000, "content": "abc"}, tmp_path)
    with pytest.raises(InputError, match=r"Town 6000 .* is xyz, .* needs abc"):
        check_town(benchmark, {"seed": 6000, "content": "xyz"}, tmp_path)
    with pytest.raises(InputError, match="none of benchmark"):
        check_town(benchmark, {"seed": 6001, "content": "abc"}, tmp_path)
    with pytest.raises(InputError, match=r"lacks 1 of 30 scenes .*world generate --benchmark test"):
        tokens_in(benchmark, tmp_path, benchmark.tokens[1:])


def test_statistics_count_every_scene_once_and_events_as_often_as_they_occur(benchmark: Benchmark) -> None:
    for kind in ("manoeuvre", "density", "light"):
        assert sum(counts(benchmark, kind).values()) == len(benchmark.scenes)
    events = sum(max(1, len(scene.tags.events)) for scene in benchmark.scenes)
    assert sum(counts(benchmark, "events").values()) == events
    text = statistics_text(benchmark)
    assert benchmark.digest in text
    mean = 100 * sum(scene.scores["blind"] for scene in benchmark.scenes) / len(benchmark.scenes)
    assert any(line.split()[:2] == ["blind", f"{mean:.1f}"] for line in text.splitlines())


def test_the_picture_has_a_row_for_every_tag(benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from diffdrive.benchmark import chart
    from diffdrive.viz.tag_chart import draw_tags

    drawn = []
    monkeypatch.setattr(chart, "draw_tags", lambda *rows, **words: drawn.append(draw_tags(*rows, **words)) or drawn[0])
    assert chart.draw_benchmark(benchmark, tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")
    left, right = drawn[0].axes
    assert len(left.get_yticks()) == 1 + sum(len(words) for words in TAGS.values())
    lengths = [round(bar.get_width()) for bar in left.patches[1:]]
    assert lengths == [count for kind in TAGS for count in counts(benchmark, kind).values()]
    assert right.get_xlabel() == "mean PDMS, percent"


def test_comments_docstrings_and_layout_do_not_count_and_code_does() -> None:
    plain = "LIMIT = 3\n\ndef f(a: int) -> int:\n    return a + LIMIT\n"
    dressed = (
        '"""A module."""\n# why\nLIMIT = 3\n"""A field."""\n\n\n'
        'def f(\n    a: int,\n) -> int:\n    """Adds."""\n    return (\n        a + LIMIT  # there\n    )\n'
    )
    assert code_of(dressed) == code_of(plain)
    for other in (plain.replace("3", "4"), plain.replace("+", "-"), plain.replace("a", "b"), plain.replace("LIMIT", "MOST")):
        assert code_of(other) != code_of(plain)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_manifests_are_of_this_generator(name: str) -> None:
    found = load_benchmark(name)
    assert found.split == name
    assert found.generator == generator_fingerprint(), (
        f"the generator changed: its towns are no longer those of '{name}'. Generate the benchmark again (docs/benchmark.md): "
        f"diffdrive world generate, then diffdrive world curate DATA --split {name} --out {shipped(name)}"
    )
    assert shipped(name).stat().st_size <= 300_000


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_manifests_meet_their_rules(name: str) -> None:
    found = load_benchmark(name)
    scores = {driver: [scene.scores[driver] for scene in found.scenes] for driver in found.scenes[0].scores}
    count, rounding = len(found.scenes), 1e-9
    assert sum(scores["human"]) / count >= found.rules.min_mean_expert - rounding
    assert sum(scores["constant_velocity"]) / count <= found.rules.max_mean_constant_velocity + rounding
    assert sum(scores["constant_turn_rate"]) / count <= found.rules.max_mean_constant_turn_rate + rounding
    assert sum(scores["blind"]) / count <= found.rules.max_mean_blind + rounding
    solved = sum(score > found.rules.solved_above for score in scores["constant_velocity"])
    assert solved <= found.rules.max_solved_share * count
    if name.startswith("test"):
        # What the two are for: the expert can do it, and none of the simple drivers can.
        assert sum(scores["human"]) >= 0.92 * count and solved <= 0.10 * count
        assert sum(scores["constant_velocity"]) <= 0.45 * count and sum(scores["constant_turn_rate"]) <= 0.50 * count
        assert sum(scores["blind"]) <= 0.75 * count


@pytest.mark.parametrize("name", SHIPPED)
def test_the_page_about_the_benchmark_was_written_from_the_shipped_manifests(name: str) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "benchmark.md"
    assert statistics_text(load_benchmark(name)) in page.read_text(), "run python tools/write_benchmark_docs.py"
