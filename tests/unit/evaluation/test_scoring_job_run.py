"""Jobs on shipped logs: every scene becomes a row, whoever works, however often it is interrupted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoring_job_helpers import SIMPLE, BrokenSource, DiesOnce, Fine, Refuses, Short, content, job, town

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring import (
    ChunkOutcome,
    Entrant,
    ProcessExecutor,
    Progress,
    ScoredScenes,
    ScoringJob,
    SerialExecutor,
    draw_worst,
    read_scene_scores,
    score_planners,
    worst_rows,
)
from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.scoring.metrics.extended_comfort import extended_comfort
from diffdrive.scoring.preparation import prepare
from diffdrive.scoring.score import score

pytest.importorskip("py123d")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared scenes that the tests of this file share: preparing takes most of their time."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture(scope="module")
def serial(prepared: Path) -> ScoredScenes:
    return score_planners(job(prepared))


def test_every_scene_planner_and_metric_has_a_row_in_order(serial: ScoredScenes, prepared: Path) -> None:
    asked = job(prepared)
    assert [(row.token, row.planner, row.metric) for row in serial.rows] == [
        (token, entrant.name, metric) for token in asked.tokens for entrant in asked.entrants for metric in asked.metrics
    ]
    assert serial.failures == ()
    assert all(0 <= row.total <= 1 for row in serial.rows)


def test_rows_are_what_score_says(serial: ScoredScenes) -> None:
    first = serial.rows[0].token
    scene = town().load(first, sensors=False)
    assert scene.future is not None
    driven = scene.future.ego.thinned(8, 0.5).poses[None]
    for metric in ("pdms", "epdms"):
        alone = score(prepare(scene, metric), driven, metric=metric)
        row = next(row for row in serial.rows if (row.token, row.planner, row.metric) == (first, "human", metric))
        assert row.total == pytest.approx(float(alone.total[0, 0]), abs=1e-12)
        for name, sub in row.sub_scores.items():
            np.testing.assert_allclose(sub.value, float(alone[name][0, 0]), atol=1e-12)
        assert (row.ade_m, row.fde_m) == (0.0, 0.0)


def test_extended_comfort_compares_with_the_scene_before(serial: ScoredScenes) -> None:
    rows = [row for row in serial.rows if (row.planner, row.metric) == ("constant_velocity", "epdms")]
    first, second = rows[0], rows[1]
    assert math.isnan(first.sub_scores["extended_comfort"].value)
    states = []
    for row in (first, second):
        scene = town().load(row.token, sensors=False)
        from diffdrive.baselines import ConstantVelocity

        plan = ConstantVelocity().plan(scene.observation)
        states.append(score(prepare(scene, "epdms"), plan.poses[None], metric="epdms").states)
    expected = float(extended_comfort(states[1], states[0], interval_s=0.5).value[0, 0])
    assert second.sub_scores["extended_comfort"].value == expected
    weights = {"ego_progress": 5, "time_to_collision": 5, "lane_keeping": 2, "history_comfort": 2, "extended_comfort": 2}
    values = {name: sub.value for name, sub in second.sub_scores.items()}
    product = math.prod(values[name] for name in list(values)[:4])
    mean = sum(weight * values[name] for name, weight in weights.items()) / 16
    assert second.total == pytest.approx(product * mean, abs=1e-12)


@pytest.mark.parametrize("size", [1, 4])
def test_the_cut_into_chunks_changes_nothing(serial: ScoredScenes, prepared: Path, size: int) -> None:
    other = score_planners(job(prepared, chunk_size=size))
    for ours, theirs in zip(serial.rows, other.rows, strict=True):
        assert theirs.total == pytest.approx(ours.total, abs=1e-12)
        assert list(theirs.sub_scores) == list(ours.sub_scores)
        for name, sub in ours.sub_scores.items():
            np.testing.assert_allclose(theirs.sub_scores[name].value, sub.value, atol=1e-12)


def test_a_pool_gives_the_same_bits(serial: ScoredScenes, prepared: Path) -> None:
    pool = score_planners(job(prepared), executor=ProcessExecutor(2))
    assert content(pool.rows) == content(serial.rows)
    assert pool.summaries == serial.summaries


class Backwards:
    """Works through the chunks in the other order."""

    def run(self, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        return SerialExecutor().run(job, chunks[::-1])


def test_the_order_of_work_does_not_matter(serial: ScoredScenes, prepared: Path) -> None:
    assert content(score_planners(job(prepared), executor=Backwards()).rows) == content(serial.rows)


def test_a_killed_worker_costs_a_second_attempt(prepared: Path, tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    mortal = Entrant(name="mortal", make=partial(DiesOnce, deaths), identity="")
    told: list[Progress] = []
    scored = score_planners(
        job(prepared, entrants=(mortal,), metrics=("pdms",)), executor=ProcessExecutor(1), on_progress=told.append
    )
    assert scored.failures == () and len(scored.rows) == 4
    assert [progress.lost for progress in told if progress.lost] == ["the worker was killed by SIGKILL"]


def test_a_chunk_that_kills_twice_is_given_up_and_not_kept(prepared: Path, tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    asked = job(
        prepared,
        entrants=(Entrant(name="mortal", make=partial(DiesOnce, deaths, 2)),),
        metrics=("pdms",),
        num_scenes=2,
    )
    folder = tmp_path / "out"
    scored = score_planners(asked, executor=ProcessExecutor(1), folder=folder)
    # One chunk of each log: with one worker both of the deaths may fall on the first.
    assert {row.error for row in scored.failures} <= {"given up: the worker was killed by SIGKILL"}
    again = score_planners(asked, executor=ProcessExecutor(1), folder=folder)
    assert again.failures == () and len(again.rows) == 2


def test_what_cannot_travel_is_refused(prepared: Path) -> None:
    with pytest.raises(InputError, match="serial executor"):
        score_planners(job(prepared, entrants=(Entrant(name="mine", make=lambda: Fine()),)), executor=ProcessExecutor(1))


class Interrupted:
    """Ends the run after some chunks, as a power cut would."""

    def __init__(self, after: int) -> None:
        self.after, self.done = after, 0

    def run(self, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        for outcome in SerialExecutor().run(job, chunks):
            if self.done == self.after:
                raise KeyboardInterrupt
            self.done += 1
            yield outcome


class Forbidden:
    """Fails when it is asked to do anything."""

    def run(self, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        raise AssertionError(f"{len(chunks)} chunks were worked out twice")
        yield


def test_an_interrupted_run_goes_on_and_does_no_work_twice(serial: ScoredScenes, prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    asked = job(prepared)
    with pytest.raises(KeyboardInterrupt):
        score_planners(asked, executor=Interrupted(1), folder=folder)
    assert len(list((folder / "parts").iterdir())) == 1
    told: list[Progress] = []
    counting = Interrupted(10)
    scored = score_planners(asked, executor=counting, folder=folder, on_progress=told.append)
    assert (told[0].num_kept, told[0].num_done, counting.done) == (2, 2, 1)
    assert content(scored.rows) == content(serial.rows)
    assert content(read_scene_scores(folder / "per_scene.parquet")) == content(serial.rows)
    again = score_planners(asked, executor=Forbidden(), folder=folder)
    assert content(again.rows) == content(serial.rows) and again.summaries == serial.summaries


def test_a_damaged_part_is_made_again(serial: ScoredScenes, prepared: Path, tmp_path: Path) -> None:
    score_planners(job(prepared), folder=tmp_path)
    part = sorted((tmp_path / "parts").iterdir())[0]
    part.write_bytes(part.read_bytes()[:100])
    assert content(score_planners(job(prepared), folder=tmp_path).rows) == content(serial.rows)


def test_another_job_in_the_folder_is_refused_and_told_apart(prepared: Path, tmp_path: Path) -> None:
    score_planners(job(prepared, num_scenes=2, metrics=("pdms",)), folder=tmp_path)
    with pytest.raises(InputError, match=r"differs in metrics: there \[\"pdms\"\], now \[\"pdms\", \"epdms\"\]"):
        score_planners(job(prepared, num_scenes=2), folder=tmp_path)
    with pytest.raises(InputError, match="human filter: there true, now false"):
        score_planners(job(prepared, num_scenes=2, metrics=("pdms",), human_filter=False), folder=tmp_path)


def test_a_bad_scene_is_a_row_and_spoils_no_other(serial: ScoredScenes, prepared: Path) -> None:
    tokens = job(prepared).tokens
    broken = BrokenSource(town(), unreadable=tokens[0], without_map=tokens[2])
    scored = score_planners(job(prepared, source=broken))
    errors = {row.token: row.error for row in scored.failures}
    assert set(errors) == {tokens[0], tokens[2]} and len(scored.failures) == 12
    assert "the disk is gone" in errors[tokens[0]] and errors[tokens[2]].startswith("cannot be prepared")
    whole = {(row.token, row.planner, row.metric): row for row in serial.rows}
    for row in scored.rows:
        if row.is_scored and row.metric == "pdms":
            assert row.total == pytest.approx(whole[row.token, row.planner, row.metric].total, abs=1e-12)
    epdms = next(row for row in scored.rows if (row.token, row.metric) == (tokens[1], "epdms"))
    assert math.isnan(epdms.sub_scores["extended_comfort"].value), "there is no scored scene before it"
    assert scored.summaries.scores[0].num_failed == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [(Refuses, "cannot be planned: ValueError: too fast for me"), (Short, "cannot be scored"), (object, "cannot be planned")],
)
def test_a_planner_that_fails_is_told_and_spoils_no_other(
    serial: ScoredScenes, prepared: Path, make: Callable[[], Any], words: str
) -> None:
    scored = score_planners(job(prepared, entrants=(Entrant(name="bad", make=make), *SIMPLE)))
    assert {row.planner for row in scored.failures} == {"bad"}
    assert len(scored.failures) == 8 and all(words in row.error for row in scored.failures)
    others = [row for row in scored.rows if row.planner != "bad"]
    for ours, theirs in zip(serial.rows, others, strict=True):
        assert theirs.total == pytest.approx(ours.total, abs=1e-12)


def test_planners_of_other_layouts_take_part(prepared: Path) -> None:
    scored = score_planners(job(prepared, num_scenes=2, entrants=(*SIMPLE, Entrant(name="fine", make=Fine))))
    assert scored.failures == ()
    fine = next(row for row in scored.rows if row.planner == "fine")
    assert fine.ade_m is not None and fine.ade_m > 0


def test_a_planner_that_cannot_be_made_ends_the_job_at_once(prepared: Path, tmp_path: Path) -> None:
    from diffdrive.baselines import EgoStatusMLP

    missing = Entrant(name="mlp", make=partial(EgoStatusMLP.load, tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        score_planners(job(prepared, entrants=(missing,)), executor=Forbidden())


def test_without_the_human_filter_nothing_is_forgiven(prepared: Path) -> None:
    scored = score_planners(job(prepared, human_filter=False, metrics=("epdms",)))
    assert not any(sub.is_forgiven for row in scored.rows for sub in row.sub_scores.values())


def test_worst_scenes_are_the_lowest_and_drawn(serial: ScoredScenes, prepared: Path, tmp_path: Path) -> None:
    rows = worst_rows(serial.rows, "constant_velocity", "pdms", 3)
    totals = sorted(row.total for row in serial.rows if (row.planner, row.metric) == ("constant_velocity", "pdms"))
    assert [row.total for row in rows] == totals[:3]
    assert worst_rows([replace(rows[0], error="x")], "constant_velocity", "pdms", 3) == ()
    flat = [replace(row, total=0.0, log_name=log) for row, log in zip(rows, "aab", strict=True)]
    assert worst_rows(flat, "constant_velocity", "pdms", 2) == (flat[0], flat[2]), "of equal ones, one of each drive first"
    pytest.importorskip("matplotlib")
    (path,) = draw_worst(job(prepared), serial.rows, "constant_velocity", "pdms", 1, tmp_path / "worst")
    assert path.name == f"pdms-01-constant_velocity-{rows[0].token}.png" and path.stat().st_size > 20_000
    with pytest.raises(InputError, match="no planner 'tesla'"):
        draw_worst(job(prepared), serial.rows, "tesla", "pdms", 1, tmp_path)
