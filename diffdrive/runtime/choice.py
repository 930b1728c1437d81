"""An engine and a precision in one word, as the command line says it: ``compiled:bf16``."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.contracts import InputError
from diffdrive.runtime.engine import Precision


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine, at which precision. Whether there is such an engine, ``make_engine`` decides."""

    name: str
    precision: Precision = Precision.FLOAT32

    @classmethod
    def parse(cls, text: str) -> EngineChoice:
        """``NAME`` or ``NAME:PRECISION``. Raises ``InputError`` for anything else."""
        name, separator, precision = text.partition(":")
        known = [each.value for each in Precision]
        if not name or (separator and precision not in known):
            raise InputError(f"An engine is NAME or NAME:PRECISION with PRECISION one of {', '.join(known)}, got '{text}'.")
        return cls(name, Precision(precision) if separator else Precision.FLOAT32)

    def __str__(self) -> str:
        return f"{self.name}:{self.precision.value}"
