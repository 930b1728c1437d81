"""Many drives: parallel, kept, resumed, and not stopped by one that dies."""

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_stage import CONFIG, SEED, SPLIT

from diffdrive.cli.drive_table import tables
from diffdrive.cli.main import main
from diffdrive.contracts import InputError
from diffdrive.simulation.campaign import check, choose, run
from diffdrive.simulation.drivers import DriverName
from diffdrive.simulation.episode import EpisodeConfig
from diffdrive.simulation.infractions import Infraction, InfractionKind
from diffdrive.simulation.record import EndReason, EpisodeRecord, EventSeen, records_below
from diffdrive.simulation.stage import Stage, StageFiles
from diffdrive.simulation.worker import Campaign, Episode, record_path

Staged = tuple[Stage, StageFiles]
STRAIGHT = DriverName.parse("constant_velocity")
TWO = (Episode(seed=SEED, number=0), Episode(seed=SEED, number=1))


def campaign(out: Path, cache: Path) -> Campaign:
    return Campaign(out=out, cache=cache, split=SPLIT, world=CONFIG, episode=EpisodeConfig(duration_s=1.0))


def test_drives_are_kept_and_not_repeated(staged: Staged, tmp_path: Path) -> None:
    own = campaign(tmp_path / "out", staged[1].folder.parent)
    assert check(own, [STRAIGHT]) == ""
    assert choose(own, [SEED], 2) == TWO
    first = {told.drive[0]: told.record for told in run(own, TWO, [STRAIGHT], workers=2) if told.drive}
    assert all(record is not None for record in first.values())
    path = record_path(own, STRAIGHT, f"{staged[0].location}-log00")
    written = path.stat().st_mtime_ns
    again = {told.drive[0]: told.record for told in run(own, TWO, [STRAIGHT]) if told.drive}
    assert again == first
    assert path.stat().st_mtime_ns == written
    assert len(records_below([own.out])) == 2
    with pytest.raises(InputError, match="other rules"):
        check(replace(own, episode=EpisodeConfig(duration_s=2.0)), [STRAIGHT])


class Deadly:
    """Ends the process that reads it."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_a_process_that_dies_takes_one_drive_along_and_no_more(staged: Staged, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(staged[1].folder, cache / staged[1].folder.name)
    (cache / staged[1].folder.name / "stage.pickle").write_bytes(pickle.dumps(Deadly()))
    told = list(run(campaign(tmp_path / "out", cache), TWO, [STRAIGHT]))
    assert [each.drive for each in told] == [(episode, STRAIGHT) for episode in TWO]
    assert all("status 9" in each.error for each in told)


def test_what_cannot_be_driven_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = campaign(tmp_path / "out", tmp_path / "cache")
    with pytest.raises(InputError, match="each once"):
        check(own, [STRAIGHT, STRAIGHT])
    with pytest.raises(InputError, match=r"config\.json"):
        check(replace(own, checkpoint=tmp_path), [DriverName.parse("network")])
    with pytest.raises(InputError, match="one episode or more"):
        choose(own, [], 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"diffdrive\[world\]"):
        check(own, [STRAIGHT])


def record(driver: str, episode: str, score: float, *infractions: Infraction) -> EpisodeRecord:
    return EpisodeRecord(
        episode=episode,
        driver=driver,
        checkpoint="",
        replan_hz=2.0,
        driving_score=score,
        route_completion=1.0,
        end=EndReason.GOAL,
        duration_s=20.0,
        driven_m=100.0,
        route_m=100.0,
        infractions=infractions,
        contacts_without_fault=(),
        off_road_share=0.0,
        wrong_way_share=0.0,
        comfort=1.0,
        time_to_collision=1.0,
        min_ttc_s=1.5,
        events=(EventSeen(kind="cut_in", tokens=("v1",), first_s=3.0, last_s=8.0),),
        statuses={"PLANNED": 40},
        poses=((0.0, 0.0, 0.0),),
    )


def test_the_table_compares_on_shared_episodes_and_counts_events_mastered() -> None:
    hit = Infraction(kind=InfractionKind.COLLISION_VEHICLE, time_s=5.0, token="v1")
    ours = [record("idm", f"town600{k}-log00", 1.0) for k in range(4)]
    theirs = [record("human", f"town600{k}-log00", 0.4, hit) for k in range(3)]
    lines = tables([*ours, *theirs]).splitlines()
    means = next(line for line in lines if line.startswith("idm"))
    assert "100.0 [100.0, 100.0]" in means
    difference = next(line for line in lines if line.startswith("human") and "-60.0" in line)
    assert "3  -60.0 [-60.0, -60.0]" in difference
    assert any("4 of 4" in line for line in lines)
    assert any("0 of 3" in line for line in lines)
    with pytest.raises(InputError, match="Two drives"):
        tables([*ours, ours[0]])


def test_the_verb_names_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, said in (
        (["drive", "--out", str(tmp_path), "--table", str(tmp_path)], "Give one of them"),
        (["drive", "--out", str(tmp_path), "--driver", "nobody"], "Known drivers"),
        (["drive", "--out", str(tmp_path), "--replan-hz", "3"], "10, 5, 2 or 1"),
        (["drive", "--table", str(tmp_path)], "holds no drives"),
        (["drive", "--out", str(tmp_path), "--benchmark", "none"], "Splits: train, val, test"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
