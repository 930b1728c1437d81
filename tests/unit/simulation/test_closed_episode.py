"""Whole drives without sensors: by drivers who do well, by one who does not, and the same drive twice."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.scene import Scene, Trajectory
from diffdrive.simulation.drivers import Drive, DriverName, Lineup
from diffdrive.simulation.episode import EpisodeConfig, Wheel, drive_episode
from diffdrive.simulation.infractions import Infraction, InfractionKind, PenaltyConfig, driving_score
from diffdrive.simulation.record import EndReason, EpisodeRecord, read_record, write_record
from diffdrive.simulation.stage import Stage, StageFiles
from diffdrive.simulation.traffic import Traffic

Staged = tuple[Stage, StageFiles]
CONFIG = EpisodeConfig(duration_s=16.0)


class Aside:
    """Steers to the left, at a constant speed."""

    needs_sensors = False

    def __init__(self, turn: float) -> None:
        self._turn = turn

    def drive(self, scene: Scene) -> Drive:
        ways = 6.0 * 0.5 * np.arange(1, 9)
        turn = np.minimum(self._turn * ways, 1.5)
        return Drive(trajectory=Trajectory(np.column_stack([ways * np.cos(turn / 2), ways * np.sin(turn / 2), turn])))


@pytest.fixture(scope="module")
def traffic(staged: Staged) -> Iterator[Traffic]:
    stage, files = staged
    with Traffic(stage, files, stage.starts[0], CONFIG.num_steps) as found:
        yield found


def drive(staged: Staged, traffic: Traffic, name: str, config: EpisodeConfig = CONFIG) -> EpisodeRecord:
    start = staged[0].starts[0]
    wheel = Wheel(driver=Lineup().driver(DriverName.parse(name), start), name=name)
    return drive_episode(staged[0], start, traffic, wheel, config)


def test_the_logs_own_driver_does_nothing_wrong(staged: Staged, traffic: Traffic) -> None:
    record = drive(staged, traffic, "human")
    assert record.end is EndReason.GOAL
    assert record.driving_score == pytest.approx(1.0, abs=0.01)
    assert record.infractions == record.contacts_without_fault == ()
    assert record.comfort == 1.0
    # The log is twelve seconds long, and its first second and a half is history.
    assert record.duration_s == pytest.approx(10.5, abs=0.5)
    start = staged[0].starts[0]
    driven = np.array(record.poses)
    # Nothing in the tracker pulls a vehicle back to its place along the path.
    assert np.hypot(*(driven[:100, :2] - start.expert.poses[:100, :2]).T).max() < 1.0


def test_the_same_drive_twice_is_the_same_file(staged: Staged, traffic: Traffic, tmp_path: Path) -> None:
    for name in ("once", "twice"):
        write_record(drive(staged, traffic, "idm"), tmp_path / name)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()
    record = read_record(tmp_path / "once")
    assert record.route_completion > 0.9
    assert record.statuses == {"PLANNED": -(-round(record.duration_s * 10) // 5)}


def test_who_leaves_the_road_pays_for_it(staged: Staged, traffic: Traffic) -> None:
    start = staged[0].starts[0]
    record = drive_episode(staged[0], start, traffic, Wheel(driver=Aside(0.06), name="aside"), CONFIG)
    assert record.driving_score < 0.5
    assert record.off_road_share + record.wrong_way_share > 0.1 or record.end is EndReason.COLLISION


def test_plans_are_made_as_often_as_asked(staged: Staged, traffic: Traffic) -> None:
    for rate in (10.0, 1.0):
        record = drive(staged, traffic, "idm", replace(CONFIG, replan_hz=rate, duration_s=2.0))
        assert record.end is EndReason.TIME
        assert record.statuses == {"PLANNED": round(2.0 * rate)}


def test_the_score_is_completion_times_factors() -> None:
    kinds = (InfractionKind.COLLISION_VEHICLE, InfractionKind.RED_LIGHT, InfractionKind.RED_LIGHT)
    infractions = [Infraction(kind=kind, time_s=1.0, token="x") for kind in kinds]
    assert driving_score(0.5, infractions, 0.1, 0.2, PenaltyConfig()) == pytest.approx(0.5 * 0.6 * 0.7**2 * 0.9 * 0.8)
    assert driving_score(1.0, [], 0.0, 0.0, PenaltyConfig()) == 1.0
    with pytest.raises(InputError, match="red_light"):
        PenaltyConfig(red_light=1.5)


def test_bad_words_are_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="Known drivers: network"):
        DriverName.parse("nobody")
    with pytest.raises(InputError, match="network:envelope"):
        DriverName.parse("idm:envelope")
    with pytest.raises(InputError, match="10, 5, 2 or 1"):
        EpisodeConfig(replan_hz=3.0)
    assert str(DriverName.parse("network:warm:envelope")) == "network:envelope:warm"


def test_a_file_that_is_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(json.dumps({"episode": "x"}))
    with pytest.raises(InputError, match=r"bad\.json"):
        read_record(tmp_path / "bad.json")
