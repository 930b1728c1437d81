"""Whole cycles: inputs in, decisions out, in time, counted, and written down so that they can be decided again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from driven_plans import arc, plan
from vehicle_inputs import CYCLE_US, POLICY, everything

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import (
    AskInline,
    AskInThread,
    CycleOutcome,
    DecisionStatus,
    EnvelopeConfig,
    EnvelopeCounters,
    SafePlanner,
    VehicleInputs,
    cycle_line,
    header_line,
    replay,
)
from diffdrive.runtime.envelope.watchdog import Asks
from diffdrive.runtime.plan import Plan
from diffdrive.scene import Observation

CONFIG = EnvelopeConfig(deadline_s=0.2)


class Scripted:
    """A planner that does what the next entry of its script says."""

    def __init__(self, *script: Callable[[], Plan]) -> None:
        self._script = iter(script)

    def plan(self, observation: Observation, /) -> Plan:
        assert set(observation.cameras) == set(POLICY.cameras)
        return next(self._script)()


def good() -> Plan:
    return plan(arc(0.0, 5.0), arc(0.02, 5.0))


def broken() -> Plan:
    raise RuntimeError("the device is lost")


class Ticks:
    """A clock that advances by a millisecond a look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Drive:
    """Cycles at 10 Hz, one after the other."""

    def __init__(self, ask: Asks, clock: Callable[[], float] = time.monotonic, config: EnvelopeConfig = CONFIG) -> None:
        self.now_us = 0
        self.safe = SafePlanner(ask, config, now_us=lambda: self.now_us, clock=clock)

    def cycle(self, inputs: VehicleInputs | None = None) -> CycleOutcome:
        self.now_us += CYCLE_US
        return self.safe.cycle(everything(self.now_us) if inputs is None else inputs)


def scripted(*script: Callable[[], Plan]) -> list[CycleOutcome]:
    ticks = Ticks()
    drive = Drive(AskInline(planner=Scripted(*script), clock=ticks), ticks)
    return [drive.cycle() for _ in script]


def statuses(outcomes: list[CycleOutcome]) -> list[DecisionStatus]:
    return [outcome.decision.status for outcome in outcomes]


def test_an_error_of_the_planner_is_carried_over() -> None:
    found = scripted(good, broken, good)
    assert statuses(found) == [DecisionStatus.PLANNED, DecisionStatus.CARRIED_ON, DecisionStatus.PLANNED]
    assert found[1].decision.detail == "The planner raised an error: RuntimeError: the device is lost"


def test_an_answer_that_comes_too_late_is_thrown_away() -> None:
    ticks = Ticks()

    def slow() -> Plan:
        ticks.now += 0.5
        return plan(arc(0.1, 5.0))

    drive = Drive(AskInline(planner=Scripted(good, slow), clock=ticks), ticks)
    drive.cycle()
    outcome = drive.cycle()
    assert outcome.decision.status is DecisionStatus.CARRIED_ON
    assert "did not answer within" in outcome.decision.detail
    assert outcome.took_s > 0.5


def test_a_planner_is_not_asked_where_inputs_forbid_to_plan() -> None:
    drive = Drive(AskInline(planner=Scripted(good)))
    drive.cycle()
    drive.now_us += 3 * CYCLE_US
    outcome = drive.cycle(VehicleInputs(motion=everything(drive.now_us + CYCLE_US).motion))
    assert outcome.answer is None
    assert outcome.decision.status is DecisionStatus.CARRIED_ON
    assert "camera f0: The last usable message is too old. It is 0.42 s old." in outcome.decision.detail


def test_the_caller_does_not_wait_for_a_planner_that_hangs() -> None:
    released = threading.Event()

    def hang() -> Plan:
        released.wait(60.0)
        return plan(arc(0.1, 5.0))

    ask = AskInThread(Scripted(good, hang, good))
    drive = Drive(ask, config=EnvelopeConfig(deadline_s=0.5))
    start = time.monotonic()
    found = [drive.cycle(), drive.cycle(), drive.cycle()]
    assert time.monotonic() - start < 10.0
    assert statuses(found) == [DecisionStatus.PLANNED, DecisionStatus.CARRIED_ON, DecisionStatus.CARRIED_ON]
    assert "did not answer within 0." in found[1].decision.detail
    assert found[2].decision.detail == "The planner is still busy with an earlier cycle."
    released.set()
    while "busy" in (last := drive.cycle()).decision.detail and time.monotonic() - start < 60.0:
        time.sleep(0.01)
    assert last.decision.status is DecisionStatus.PLANNED
    np.testing.assert_array_equal(last.decision.trajectory.poses, arc(0.0, 5.0))  # not what came too late
    ask.close()


def test_everything_is_counted() -> None:
    counters = EnvelopeCounters()
    for outcome in scripted(good, broken, good):
        counters.add(outcome)
    text = counters.prometheus()
    assert 'diffdrive_cycles_total{status="CARRIED_ON"} 1' in text
    assert 'diffdrive_cycles_total{status="PLANNED"} 2' in text
    assert 'diffdrive_inputs_total{input="lidar",condition="FRESH"} 3' in text
    assert "diffdrive_missed_deadlines_total 1" in text
    assert 'diffdrive_choices_total{choice="KEPT"} 1' in text
    assert 'diffdrive_cycle_seconds_bucket{le="+Inf"} 3' in text
    assert "diffdrive_cycle_seconds_count 3" in text
    assert 'diffdrive_input_age_seconds_bucket{input="lidar",le="0.05"} 3' in text
    for line in text.splitlines():
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert EnvelopeCounters().prometheus() == ""


def test_a_recorded_drive_is_decided_again_to_the_bit() -> None:
    found = scripted(good, broken, lambda: plan(arc(0.5, 5.0)), good)
    lines = [header_line(CONFIG), *(cycle_line(each.cycle, each.decision) for each in found)]
    again = list(replay(lines))
    assert [each.is_same for each in again] == [True] * 4
    for recorded, replayed in zip(found, again, strict=True):
        assert recorded.decision.trajectory.poses.tobytes() == replayed.decision.trajectory.poses.tobytes()
    assert statuses(found)[2] is DecisionStatus.REPAIRED
    values = json.loads(lines[2])
    values["decision"]["trajectory"][0][0] += 1e-15
    assert [each.is_same for each in replay([*lines[:2], json.dumps(values), *lines[3:]])] == [True, False, True, True]


def test_a_record_that_was_cut_off_says_where() -> None:
    (outcome,) = scripted(good)
    whole = cycle_line(outcome.cycle, outcome.decision)
    with pytest.raises(InputError, match="Line 3 of the record"):
        list(replay([header_line(CONFIG), whole, whole[:-40]]))
    with pytest.raises(InputError, match="first line"):
        list(replay([whole]))
    with pytest.raises(InputError, match="format 7"):
        list(replay(['{"format": 7, "config": {}}']))
