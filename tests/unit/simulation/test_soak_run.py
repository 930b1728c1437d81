"""Soaks: with a real process that is killed, and with envelopes that are broken on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from soak_drive import InThisProcess, drive

import diffdrive.cli.soak as verb
from diffdrive.cli.main import main
from diffdrive.runtime.envelope import CycleOutcome, EnvelopeConfig, KinematicLimits, SafePlanner, VehicleInputs
from diffdrive.scene import Trajectory
from diffdrive.simulation.soak.faults import FAULTS, Event, Fault, FaultKind, Part
from diffdrive.simulation.soak.monitor import Safe
from diffdrive.simulation.soak.report import MOST_GROWTH, as_json, as_markdown, as_text, child_growth, failures, parent_growth
from diffdrive.simulation.soak.run import Memory, SoakPlan, SoakRun, soak

CONFIG = EnvelopeConfig(deadline_s=5.0)
DEADLY = (FaultKind.KILLED, FaultKind.HANGS, FaultKind.SLOW)


def event(part: Part, kind: FaultKind, first: int = 40, length: int = 5) -> Event:
    return Event(faults=(Fault(part, kind),), first=first, length=length)


def soaked(*events: Event, make: Any = None, config: EnvelopeConfig = CONFIG, frames: int | None = None) -> SoakRun:
    num_frames = frames or max((each.end for each in events), default=45) + 5
    plan = SoakPlan(num_frames=num_frames, events=events, config=config, safe=Safe(cycle_s=6.0))
    return soak(drive(), plan, InThisProcess(), make=make)  # type: ignore[arg-type]


def test_every_fault_that_can_befall_a_process_that_lives_on_is_survived() -> None:
    others = (Part.LEFT_CAMERA, Part.RIGHT_CAMERA)
    mild = [each for each in FAULTS if each.kind not in (*DEADLY, FaultKind.MEMORY_PRESSURE) and each.part not in others]
    events = [Event(faults=(fault,), first=30 + 12 * index, length=9) for index, fault in enumerate(mild)]
    run = soaked(*events)
    assert failures(run) == (), as_text(run)
    ledger = run.ledger
    assert set(ledger.alone) == set(mild) and ledger.num_frames == events[-1].end + 5
    answers = {str(fault): set(tally.answers) for fault, tally in ledger.alone.items()}
    assert answers["front camera: missing"] == {"PLANNED", "CARRIED_ON", "STOPPING"}
    assert "EMERGENCY_STOP" in answers["motion: not finite"]
    assert answers["planner: output wild"] == {"REPAIRED"}
    assert answers["command: missing"] == {"PLANNED"}
    assert "PLANNED" not in answers["planner: output not finite"] | answers["planner: engine raises"]
    assert ledger.worst_carried_age_s <= CONFIG.max_plan_age_s
    assert run.ledger.alone[Fault(Part.LIDAR, FaultKind.LATE)].worst_recovery == 0


class Broken:
    """A safe planner, but for what ``spoil`` makes of its trajectories."""

    def __init__(self, inner: SafePlanner, spoil: Callable[[np.ndarray], np.ndarray]) -> None:
        self._inner, self._spoil, self._frame = inner, spoil, 0

    def cycle(self, inputs: VehicleInputs) -> CycleOutcome:
        outcome = self._inner.cycle(inputs)
        self._frame += 1
        if self._frame != 35:
            return outcome
        trajectory = Trajectory(self._spoil(outcome.decision.trajectory.poses), outcome.decision.trajectory.interval_s)
        return replace(outcome, decision=replace(outcome.decision, trajectory=trajectory))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda poses: poses + [25.0, 0.0, 0.0], "speeds up"),
        (lambda poses: poses * [1.0, -1.0, 1.0] + [0.0, 2.5, 0.0], "aside"),
        (lambda poses: poses[::-1], "backwards"),
    ],
)
def test_an_envelope_that_hands_out_a_leap_is_caught(spoil: Any, words: str) -> None:
    def make(ask: Any, config: EnvelopeConfig, now_us: Any) -> Any:
        return Broken(SafePlanner(ask, config, now_us=now_us), spoil)

    run = soaked(make=make)
    assert {breach.frame for breach in run.ledger.breaches} == {34}
    assert words in " ".join(breach.sentence for breach in run.ledger.breaches)
    assert "breaches of safety" in failures(run)[0] and "FAILED" in as_text(run)


def test_an_envelope_without_its_feasibility_check_is_caught() -> None:
    everything = KinematicLimits(**dict.fromkeys(KinematicLimits.__dataclass_fields__, 1e9))
    blind = replace(CONFIG, limits=everything)
    wild = event(Part.PLANNER, FaultKind.OUTPUT_WILD)
    run = soaked(wild, config=blind)
    assert {breach.frame for breach in run.ledger.breaches} >= set(range(wild.first, wild.end))
    assert run.ledger.alone[wild.faults[0]].num_breaches > 0
    assert failures(soaked(wild)) == ()


def test_an_envelope_that_never_gives_a_plan_up_is_caught() -> None:
    stubborn = replace(CONFIG, max_plan_age_s=5.0)
    run = soaked(event(Part.PLANNER, FaultKind.ENGINE_RAISES, length=12), config=stubborn)
    sentences = " ".join(breach.sentence for breach in run.ledger.breaches)
    assert "must brake, because no plan came for" in sentences


def test_an_envelope_that_plans_from_frozen_pictures_is_caught() -> None:
    sensors = replace(CONFIG.inputs.camera, max_frozen_s=None)
    trusting = replace(CONFIG, inputs=replace(CONFIG.inputs, camera=sensors))
    frozen = event(Part.FRONT_CAMERA, FaultKind.FROZEN, length=15)
    assert "planned from a view" in " ".join(breach.sentence for breach in soaked(frozen, config=trusting).ledger.breaches)
    assert failures(soaked(frozen)) == ()


def test_an_envelope_that_believes_frozen_odometry_is_caught() -> None:
    trusting = replace(CONFIG, inputs=replace(CONFIG.inputs, motion=replace(CONFIG.inputs.motion, max_frozen_s=None)))
    frozen = event(Part.MOTION, FaultKind.FROZEN, length=12)
    sentences = " ".join(breach.sentence for breach in soaked(frozen, config=trusting).ledger.breaches)
    assert "must brake, because its motion is unknown" in sentences
    assert failures(soaked(frozen)) == ()


def test_an_exception_that_escapes_is_a_breach_and_not_the_end() -> None:
    class Fragile:
        def cycle(self, inputs: VehicleInputs) -> CycleOutcome:
            raise ZeroDivisionError("split by nothing")

    run = soaked(make=lambda *_: Fragile(), frames=10)
    assert run.ledger.num_breaches == 10
    assert run.ledger.breaches[0].sentence == "An exception escaped: ZeroDivisionError: split by nothing"


def test_memory_that_grows_is_a_failure() -> None:
    flat = Memory(parent=[(20 * index, 100_000_000 + 1000 * index) for index in range(100)])
    grows = Memory(parent=[(20 * index, 100_000_000 + 200_000 * index) for index in range(100)])
    restarted = Memory(child=[(life, 50_000_000 + 10_000_000 * (life == 2) * index) for life in (1, 2) for index in range(30)])
    run = soaked(frames=40)
    assert failures(replace(run, memory=flat)) == ()
    assert "grew" in failures(replace(run, memory=grows))[0]
    growth = child_growth(restarted)
    assert growth is not None and growth.share > MOST_GROWTH and parent_growth(restarted) is None


def test_a_report_has_a_row_for_every_fault() -> None:
    run = soaked(event(Part.LIDAR, FaultKind.MISSING))
    table = as_markdown(run).splitlines()
    assert len(table) == 2 + len(FAULTS) + 2
    (row,) = (line for line in table if line.startswith("| lidar: missing |"))
    assert row.startswith("| lidar: missing | 1 | 0 | 5 | carried on 4, planned 1 |")
    record = as_json(run, {"seed": 3})
    assert json.loads(json.dumps(record)) == record and record["seed"] == 3 and record["passed"]


def test_the_command_kills_a_real_process_and_drives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {FaultKind.KILLED: 40, FaultKind.HANGS: 90, FaultKind.SLOW: 150, FaultKind.MEMORY_PRESSURE: 170}
    events = tuple(event(Part.PLANNER, kind, frame, 3) for kind, frame in first.items())
    monkeypatch.setattr(verb, "_drive", lambda args: drive())
    monkeypatch.setattr("diffdrive.simulation.soak.faults.schedule", lambda *_: events)
    words = ["soak", "--frames", "200", "--planner", "arcs", "--deadline", "0.4", "--out", str(tmp_path), "--json"]
    assert main(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((tmp_path / "soak.json").read_text())
    assert record["starts_of_the_planners_process"] >= 3 and record["planned"] > 100 and record["num_breaches"] == 0
    assert "| planner: killed | 1 | 0 | 3 |" in (tmp_path / "soak.md").read_text()
    rows = {row["kind"]: row["alone"] for row in record["faults"] if row["part"] == "planner"}
    assert all("PLANNED" not in rows[kind.name]["answers"] for kind in (FaultKind.KILLED, FaultKind.HANGS, FaultKind.SLOW))


@pytest.mark.parametrize("words", [["--deadline", "0"], ["--minutes", "-1"], ["--frames", "10"]])
def test_options_that_make_no_sense_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["soak", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
