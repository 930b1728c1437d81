"""Which faults come when, and what each does to the messages."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from soak_drive import SPEED, drive

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import Reading
from diffdrive.scene import CameraId
from diffdrive.simulation.soak.delivery import Delivery, deliver
from diffdrive.simulation.soak.drive import FRAME_US
from diffdrive.simulation.soak.faults import CAMERAS, FAULTS, QUIET_FRAMES, Event, Fault, FaultKind, Part, schedule

DRIVE = drive()


@pytest.mark.parametrize(("frames", "faults"), [(36_000, 1000), (3000, 1000), (400, 60), (40, 1), (36_000, 4000)])
def test_faults_are_as_many_as_asked_and_never_more_than_two_at_once(frames: int, faults: int) -> None:
    events = schedule(frames, faults, seed=3)
    assert sum(len(event.faults) for event in events) == faults
    assert events[0].first >= QUIET_FRAMES and events[-1].end <= frames
    for event, later in pairwise(events):
        assert event.length >= 1 and event.end < later.first
    assert all(len({fault.part for fault in event.faults}) == len(event.faults) for event in events)


def test_an_hour_has_every_fault_alone_and_in_pairs_short_and_long() -> None:
    events = schedule(36_000, 1000, seed=0)
    alone = Counter(event.faults[0] for event in events if len(event.faults) == 1)
    paired = Counter(fault for event in events if len(event.faults) == 2 for fault in event.faults)
    assert set(alone) == set(paired) == set(FAULTS)
    assert min(alone.values()) >= 6 and max(alone.values()) - min(alone.values()) <= 1
    lengths = [event.length for event in events]
    assert min(lengths) <= 3 and sum(length > 10 for length in lengths) > 300 and max(lengths) > 60


def test_a_schedule_is_its_seeds() -> None:
    assert schedule(3000, 100, 1) == schedule(3000, 100, 1) != schedule(3000, 100, 2)
    assert schedule(100, 0, 0) == ()


@pytest.mark.parametrize(("frames", "faults"), [(0, 1), (10, -1), (100, 1000)])
def test_too_few_frames_are_refused(frames: int, faults: int) -> None:
    with pytest.raises(InputError, match="frame"):
        schedule(frames, faults, 0)


def test_every_kind_befalls_something() -> None:
    assert {fault.kind for fault in FAULTS} == set(FaultKind)
    assert {fault.part for fault in FAULTS} == set(Part)


def delivered(part: Part, kind: FaultKind, frame: int = 50, first: int = 45) -> Delivery:
    return deliver(DRIVE, frame, Event(faults=(Fault(part, kind),), first=first, length=20))


def reading(delivery: Delivery, part: Part) -> Reading | None:
    inputs = delivery.inputs
    cameras = dict(zip(CAMERAS, (CameraId.L0, CameraId.F0, CameraId.R0), strict=True))
    if part in cameras:
        return inputs.cameras.get(cameras[part])
    return {Part.LIDAR: inputs.lidar, Part.MOTION: inputs.motion, Part.COMMAND: inputs.command}[part]


def test_without_a_fault_everything_is_there_and_nothing_is_twice() -> None:
    before, now = deliver(DRIVE, 49, None), deliver(DRIVE, 50, None)
    for part in Part:
        if part is not Part.PLANNER:
            one, other = reading(before, part), reading(now, part)
            assert one is not None and other is not None and other.value is not None
            assert other.stamp_us - one.stamp_us == FRAME_US and now.shown[part] == 50
            assert part in (Part.MOTION, Part.COMMAND) or one.digest != other.digest


MESSAGES = [fault for fault in FAULTS if fault.part is not Part.PLANNER]


@pytest.mark.parametrize("fault", MESSAGES, ids=str)
def test_a_fault_does_what_it_says_and_nothing_else(fault: Fault) -> None:
    given, sound = delivered(fault.part, fault.kind), deliver(DRIVE, 50, None)
    found, good = reading(given, fault.part), reading(sound, fault.part)
    assert good is not None
    for part in Part:
        if part not in (fault.part, Part.PLANNER):
            other = reading(given, part)
            assert other is not None and other.stamp_us == reading(sound, part).stamp_us and other.value is not None  # type: ignore[union-attr]
    if fault.kind is FaultKind.MISSING:
        assert found is None and given.shown[fault.part] is None
        return
    assert found is not None
    delays = {FaultKind.LATE: 6, FaultKind.UNSYNCHRONISED: 2, FaultKind.OUT_OF_ORDER: 2, FaultKind.FROM_FUTURE: -5}
    assert good.stamp_us - found.stamp_us == delays.get(fault.kind, 0) * FRAME_US
    is_broken = fault.kind in (FaultKind.NOT_FINITE, FaultKind.MALFORMED)
    assert (found.value is None) == is_broken and bool(found.fault) == is_broken
    assert (given.shown[fault.part] is None) == is_broken
    if fault.kind is FaultKind.FROZEN:
        assert given.shown[fault.part] == 44


def test_messages_out_of_order_come_in_turns_with_others() -> None:
    shown = [delivered(Part.LIDAR, FaultKind.OUT_OF_ORDER, frame).shown[Part.LIDAR] for frame in range(45, 50)]
    assert shown == [45, 44, 47, 46, 49]


def test_a_teleport_moves_the_odometry_and_nothing_that_is_felt() -> None:
    jumped, stayed = (delivered(Part.MOTION, kind).inputs.motion for kind in (FaultKind.TELEPORT, FaultKind.OUT_OF_ORDER))
    assert jumped is not None and jumped.value is not None and stayed is not None
    moved = jumped.value.odometry_pose - DRIVE.at(50).pose
    assert np.hypot(*moved[:2]) > 30 and jumped.value.present.velocity[0] == SPEED
