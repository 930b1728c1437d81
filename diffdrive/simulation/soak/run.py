"""The soak: frame after frame through the envelope, whatever happens, with a monitor behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from diffdrive.runtime.envelope import AskInThread, CycleOutcome, EnvelopeConfig, SafePlanner
from diffdrive.runtime.errors import describe
from diffdrive.scene import EgoState
from diffdrive.simulation.soak.child import ChildPlanner, resident_bytes
from diffdrive.simulation.soak.delivery import CAMERA_OF, Delivery, deliver
from diffdrive.simulation.soak.drive import FRAME_US, Drive
from diffdrive.simulation.soak.faults import Event, FaultKind, Part
from diffdrive.simulation.soak.ledger import Ledger
from diffdrive.simulation.soak.monitor import Handed, Safe, Truth, faults_of

_FRAME_S = FRAME_US / 1e6
_SAMPLE_FRAMES, _CHILD_FRAMES = 20, 5
_SENSORS = (*CAMERA_OF, Part.LIDAR)

MakeSafePlanner = Callable[[AskInThread, EnvelopeConfig, Callable[[], int]], SafePlanner]


@dataclass(slots=True, kw_only=True)
class Memory:
    """Samples of resident memory."""

    parent: list[tuple[int, int]] = field(default_factory=list)
    """Frame, bytes."""

    child: list[tuple[int, int]] = field(default_factory=list)
    """Number of the process, bytes."""


@dataclass(slots=True, kw_only=True)
class _Knowledge:
    """What the soak knows of what the vehicle was told."""

    motion: EgoState | None = None
    motion_frame: int = 0
    plan_frame: int | None = None
    shown: dict[Part, int] = field(default_factory=dict)

    def take(self, frame: int, delivery: Delivery) -> None:
        if delivery.motion is not None:
            self.motion, self.motion_frame = delivery.motion, frame
        for part in (*_SENSORS, Part.MOTION):
            shown = delivery.shown[part]
            if shown is not None:
                self.shown[part] = max(shown, self.shown.get(part, 0))

    def truth(self, frame: int, outcome: CycleOutcome) -> Truth:
        answer = outcome.answer
        if answer is not None and answer.plan is not None and answer.plan.status.is_planned:
            self.plan_frame = frame
        motion = self.motion
        return Truth(
            now_s=frame * _FRAME_S,
            speed=0.0 if motion is None else float(motion.velocity[0]),
            yaw_rate=0.0 if motion is None else motion.yaw_rate,
            motion_age_s=float("inf") if motion is None else (frame - self.motion_frame) * _FRAME_S,
            motion_shown_age_s=(frame - self.shown.get(Part.MOTION, -1000)) * _FRAME_S,
            plan_age_s=float("inf") if self.plan_frame is None else (frame - self.plan_frame) * _FRAME_S,
            shown_age_s=(frame - min(self.shown.get(part, -1000) for part in _SENSORS)) * _FRAME_S,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakRun:
    """What came of it."""

    ledger: Ledger
    memory: Memory
    num_starts: int
    """Of the planner's process, the first included."""

    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """How long, with which faults, and what counts as safe."""

    num_frames: int
    events: Sequence[Event]
    config: EnvelopeConfig
    safe: Safe
    most_wall_s: float = float("inf")
    """The soak ends after so long, finished or not."""


def soak(
    drive: Drive,
    plan: SoakPlan,
    child: ChildPlanner,
    *,
    make: MakeSafePlanner | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> SoakRun:
    """Run it. The vehicle's clock goes on by 0.1 s a frame; where the planner did not answer in time, so does the wall clock.

    A planner's process that is being started is therefore missed for as many frames as it would be in a vehicle. ``make``
    builds what is under test, ``SafePlanner`` unless told otherwise. Nothing that it raises ends the soak: it is a breach.
    """
    clock = [0]
    ask = AskInThread(child)
    tested = (make or _safe_planner)(ask, plan.config, lambda: clock[0])
    ledger, memory, knowledge = Ledger(), Memory(), _Knowledge()
    events, start = _by_frame(plan.events), time.monotonic()
    child.start()
    for frame in range(plan.num_frames):
        if time.monotonic() - start > plan.most_wall_s:
            break
        event, clock[0] = events.get(frame), frame * FRAME_US
        child.fault = _planner_fault(event)
        delivery = deliver(drive, frame, event)
        knowledge.take(frame, delivery)
        begin = time.monotonic()
        try:
            outcome = tested.cycle(delivery.inputs)
        except Exception as error:  # whatever it is, it must not have got out
            ledger.breach(frame, event, "raised", f"An exception escaped: {describe(error)}")
            continue
        ledger.add(frame, event, outcome, faults_of(_handed(outcome), knowledge.truth(frame, outcome), plan.safe))
        if outcome.answer is not None and outcome.answer.plan is None:
            time.sleep(max(0.0, _FRAME_S - (time.monotonic() - begin)))
        _sample(memory, frame, child, is_idle=outcome.answer is not None and outcome.answer.plan is not None)
        if on_frame is not None:
            on_frame(frame)
    ask.close()
    child.kill()
    return SoakRun(ledger=ledger, memory=memory, num_starts=child.num_starts, wall_s=time.monotonic() - start)


def _safe_planner(ask: AskInThread, config: EnvelopeConfig, now_us: Callable[[], int]) -> SafePlanner:
    return SafePlanner(ask, config, now_us=now_us)


def _by_frame(events: Sequence[Event]) -> dict[int, Event]:
    return {frame: event for event in events for frame in range(event.first, event.end)}


def _planner_fault(event: Event | None) -> FaultKind | None:
    kinds = [fault.kind for fault in event.faults if fault.part is Part.PLANNER] if event is not None else []
    return kinds[0] if kinds else None


def _handed(outcome: CycleOutcome) -> Handed:
    trajectory = outcome.decision.trajectory
    return Handed(
        poses=trajectory.poses,
        interval_s=trajectory.interval_s,
        is_new=outcome.decision.status.is_planned,
        took_s=outcome.took_s,
    )


def _sample(memory: Memory, frame: int, child: ChildPlanner, *, is_idle: bool) -> None:
    """Now and then; of the planner's process only when it has answered: what it holds while it works is no growth."""
    if frame % _SAMPLE_FRAMES == 0 and (held := resident_bytes()) is not None:
        memory.parent.append((frame, held))
    if frame % _CHILD_FRAMES == 0 and is_idle and (childs := child.resident_bytes) is not None:
        memory.child.append(childs)
