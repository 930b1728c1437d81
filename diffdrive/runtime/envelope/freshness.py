"""Which inputs may still be planned with: the last usable message of each, for as long as its limits allow.

A message that is missing, damaged, late or repeated is answered alike: the one before stays, and grows old. What it was that
happened is told apart, counted and shown.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope.inputs import Reading

T = TypeVar("T")

_SECOND_US = 1e6


class InputCondition(enum.Enum):
    """What became of an input in a cycle. Every value is a sentence."""

    FRESH = "A new message arrived."
    HELD = "No new message arrived, so the one before is used."
    UNUSABLE = "The new message cannot be used."
    OUT_OF_ORDER = "The new message is older than one that is known."
    FROM_FUTURE = "The new message is stamped ahead of the clock."
    FROZEN = "The messages no longer differ from each other."
    STALE = "The last usable message is too old."
    NEVER = "No usable message has arrived yet."


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLimits:
    """How long an input may be planned with."""

    max_age_s: float
    """Seconds since it was measured."""

    max_frozen_s: float | None = None
    """Seconds for which messages may be identical, bit for bit; None: for ever."""

    max_ahead_s: float = 0.02
    """Seconds that its stamp may lie ahead of the clock."""

    def __post_init__(self) -> None:
        if not self.max_age_s > 0:
            raise InputError(f"InputLimits.max_age_s must be positive, got {self.max_age_s}.")
        if self.max_frozen_s is not None and not self.max_frozen_s > 0:
            raise InputError(f"InputLimits.max_frozen_s must be positive or none, got {self.max_frozen_s}.")
        if not self.max_ahead_s >= 0:
            raise InputError(f"InputLimits.max_ahead_s must be zero or positive, got {self.max_ahead_s}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Generic[T]):
    """The last usable message of an input."""

    value: T
    stamp_us: int
    digest: int
    since_us: int
    """When the first message with this content was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReport:
    """How an input stands in a cycle."""

    name: str
    condition: InputCondition
    is_usable: bool
    """Whether what is held may be planned with."""

    age_s: float | None
    """Seconds since what is held was measured; None where nothing is."""

    detail: str = ""


def receive(
    name: str, held: Held[T] | None, reading: Reading[T] | None, now_us: int, limits: InputLimits
) -> tuple[Held[T] | None, InputReport]:
    """Take ``reading`` in, if it can be used. Returns what is held from now on and how the input stands at ``now_us``."""
    if held is not None and held.stamp_us - now_us > limits.max_ahead_s * _SECOND_US:
        held = None  # the clock was set back: ages cannot be told any more
    condition, detail = _arrival(held, reading, now_us, limits)
    if condition is InputCondition.FRESH and reading is not None and reading.value is not None:
        held = _taken(held, reading.value, reading)
    if held is None:
        condition = InputCondition.NEVER if condition is InputCondition.HELD else condition
        return None, InputReport(name=name, condition=condition, is_usable=False, age_s=None, detail=detail)
    age_s, frozen_s = (now_us - held.stamp_us) / _SECOND_US, (held.stamp_us - held.since_us) / _SECOND_US
    is_stale = age_s > limits.max_age_s
    is_frozen = limits.max_frozen_s is not None and frozen_s > limits.max_frozen_s
    is_well = condition in (InputCondition.HELD, InputCondition.FRESH)
    if is_stale and is_well:
        condition = InputCondition.STALE
    elif is_frozen and is_well:
        condition, detail = InputCondition.FROZEN, f"Identical for {frozen_s:.2f} s."
    return held, InputReport(name=name, condition=condition, is_usable=not (is_stale or is_frozen), age_s=age_s, detail=detail)


def _arrival(held: Held[T] | None, reading: Reading[T] | None, now_us: int, limits: InputLimits) -> tuple[InputCondition, str]:
    if reading is None or (held is not None and reading.stamp_us == held.stamp_us):
        return InputCondition.HELD, ""
    ahead_s = (reading.stamp_us - now_us) / _SECOND_US
    if ahead_s > limits.max_ahead_s:
        return InputCondition.FROM_FUTURE, f"Stamped {ahead_s:.3f} s ahead."
    if held is not None and reading.stamp_us < held.stamp_us:
        return InputCondition.OUT_OF_ORDER, f"Stamped {(held.stamp_us - reading.stamp_us) / _SECOND_US:.3f} s before."
    if reading.value is None:
        return InputCondition.UNUSABLE, reading.fault
    return InputCondition.FRESH, ""


def _taken(held: Held[T] | None, value: T, reading: Reading[T]) -> Held[T]:
    is_same = held is not None and reading.digest != 0 and reading.digest == held.digest
    since_us = held.since_us if held is not None and is_same else reading.stamp_us
    return Held(value=value, stamp_us=reading.stamp_us, digest=reading.digest, since_us=since_us)
