"""One thing that is wrong with a submission."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_NUM_EXAMPLES = 5


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """A devkit cannot read or score it, or the score is lost for certain."""

    WARNING = "warning"
    """It looks like a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, in a sentence that says what to do, and in how many scenes."""

    severity: Severity
    message: str
    num_scenes: int = 0
    """0: it is not about single scenes."""

    examples: tuple[str, ...] = ()
    """A few of the scenes' tokens."""


def error(message: str, tokens: Iterable[object] = ()) -> Finding:
    """An error in the scenes ``tokens``, or in the file."""
    return _finding(Severity.ERROR, message, tokens)


def warning(message: str, tokens: Iterable[object] = ()) -> Finding:
    """A warning, likewise."""
    return _finding(Severity.WARNING, message, tokens)


def _finding(severity: Severity, message: str, tokens: Iterable[object]) -> Finding:
    names = [token if isinstance(token, str) and token.isalnum() and len(token) < 20 else shown(token) for token in tokens]
    return Finding(severity=severity, message=message, num_scenes=len(names), examples=tuple(names[:_NUM_EXAMPLES]))


def shown(value: object) -> str:
    """A value of the file for a message: short and on one line."""
    if not isinstance(value, str | bytes | int | float | None) or (isinstance(value, int) and value.bit_length() > 64):
        return f"<{type(value).__name__}>"
    text = repr(value[:40] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
