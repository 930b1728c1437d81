"""What goes wrong in a soak, and when: every kind alone and in pairs, drawn from a seed."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from diffdrive.contracts import InputError

QUIET_FRAMES = 30
"""At the beginning, in which nothing goes wrong."""


class Part(enum.Enum):
    """What a fault befalls."""

    LEFT_CAMERA = "left camera"
    FRONT_CAMERA = "front camera"
    RIGHT_CAMERA = "right camera"
    LIDAR = "lidar"
    MOTION = "motion"
    COMMAND = "command"
    PLANNER = "planner"


class FaultKind(enum.Enum):
    """What goes wrong. Every value is a sentence."""

    MISSING = "No message comes."
    LATE = "Messages come 0.6 s after they were measured."
    OUT_OF_ORDER = "Every other message is one of 0.2 s before."
    UNSYNCHRONISED = "Messages come 0.2 s after they were measured, which is 0.2 s behind the other sensors."
    FROZEN = "Messages repeat one content under new stamps."
    FROM_FUTURE = "Messages are stamped half a second ahead of the clock."
    NOT_FINITE = "Messages hold NaN."
    MALFORMED = "Messages have another shape; of motion: a history that does not go forward in time."
    OTHER_SIZE = "Images have another size than the other cameras'."
    TELEPORT = "The odometry's position jumps by 30 m and its heading by half a radian, and back when the fault ends."
    ENGINE_RAISES = "The engine stops with an error."
    PLANNER_RAISES = "The planner itself stops with an error."
    OUTPUT_NOT_FINITE = "The network answers NaN."
    OUTPUT_MALFORMED = "The network answers with another shape."
    OUTPUT_WILD = "The network answers with finite poses that no vehicle could drive."
    SLOW = "The answer comes after the deadline."
    HANGS = "The planner never answers."
    MEMORY_PRESSURE = "The planner's process holds 256 MB more and can get no further memory."
    KILLED = "The planner's process is killed (SIGKILL) while it plans."


_MESSAGES = (
    FaultKind.MISSING,
    FaultKind.LATE,
    FaultKind.OUT_OF_ORDER,
    FaultKind.FROZEN,
    FaultKind.FROM_FUTURE,
    FaultKind.NOT_FINITE,
    FaultKind.MALFORMED,
)
_PLANNER = tuple(FaultKind)[list(FaultKind).index(FaultKind.ENGINE_RAISES) :]
CAMERAS = (Part.LEFT_CAMERA, Part.FRONT_CAMERA, Part.RIGHT_CAMERA)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    part: Part
    kind: FaultKind

    def __str__(self) -> str:
        return f"{self.part.value}: {self.kind.name.lower().replace('_', ' ')}"


FAULTS: tuple[Fault, ...] = (
    *(Fault(part, kind) for part in CAMERAS for kind in (*_MESSAGES, FaultKind.UNSYNCHRONISED, FaultKind.OTHER_SIZE)),
    *(Fault(Part.LIDAR, kind) for kind in (*_MESSAGES, FaultKind.UNSYNCHRONISED)),
    *(Fault(Part.MOTION, kind) for kind in (*_MESSAGES, FaultKind.TELEPORT)),
    *(Fault(Part.COMMAND, kind) for kind in (FaultKind.MISSING, FaultKind.MALFORMED)),
    *(Fault(Part.PLANNER, kind) for kind in _PLANNER),
)
"""Everything that is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fault, or two at once, for a while."""

    faults: tuple[Fault, ...]
    first: int
    """Frame."""

    length: int
    """Frames."""

    @property
    def end(self) -> int:
        """The first frame after it."""
        return self.first + self.length


def schedule(num_frames: int, num_faults: int, seed: int) -> tuple[Event, ...]:
    """Events in the order of time, never two at once; ``num_faults`` faults in all.

    A third of the faults comes alone, each of ``FAULTS`` equally often; the others in pairs of different parts. Lengths are
    drawn from short ones (a few frames), ones that outlast every limit on sensors and plans (1 to 3 s) and, where there is
    time, ones that outlast a path too (7 s). Raises ``InputError`` where the frames are too few.
    """
    if num_frames < 1 or num_faults < 0:
        raise InputError(f"A soak needs at least one frame and no negative number of faults, got {num_frames}, {num_faults}.")
    if num_faults == 0:
        return ()
    generator = np.random.Generator(np.random.PCG64(seed))
    groups = _groups(num_faults, generator)
    slot = (num_frames - QUIET_FRAMES) / len(groups)
    if slot < 2:
        least = QUIET_FRAMES + 2 * len(groups)
        raise InputError(f"{num_faults} faults need {least} frames or more, got {num_frames}. Ask for fewer faults.")
    wanted = [_length(slot, generator) for _ in groups]
    # A frame of rest before each; what the lengths leave is shared out among the rests.
    budget = num_frames - QUIET_FRAMES - len(groups)
    shrink = min(1.0, 0.8 * budget / sum(wanted))
    lengths = [max(1, int(each * shrink)) for each in wanted]
    rest = (budget - sum(lengths)) / len(groups)
    events, spent = [], 0
    for index, (faults, length) in enumerate(zip(groups, lengths, strict=True)):
        first = QUIET_FRAMES + index + 1 + spent + int(rest * index)
        events.append(Event(faults=faults, first=first, length=length))
        spent += length
    return tuple(events)


def _groups(num_faults: int, generator: np.random.Generator) -> list[tuple[Fault, ...]]:
    num_pairs = num_faults // 3
    alone = [(FAULTS[index % len(FAULTS)],) for index in range(num_faults - 2 * num_pairs)]
    pairs = [(one, other) for one, other in combinations(FAULTS, 2) if one.part is not other.part]
    order = generator.permutation(max(num_pairs, len(pairs)))[:num_pairs]
    groups: list[tuple[Fault, ...]] = [*alone, *(pairs[index % len(pairs)] for index in order)]
    return [groups[index] for index in generator.permutation(len(groups))]


def _length(slot: float, generator: np.random.Generator) -> int:
    """Frames: about 60 % of ``slot`` on average, as far as the three classes allow."""
    short, long, longest = (generator.integers(1, 4), generator.integers(10, 31), 70)
    share = float(np.clip((0.6 * slot - 2.0) / 18.0, 0.05, 0.8))
    draw = generator.random()
    if slot > 20 and draw > 0.96:
        return longest
    return int(long if draw < share else short)
