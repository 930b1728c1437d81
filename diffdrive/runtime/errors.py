"""Errors as sentences: a vehicle's log is read by people."""

from __future__ import annotations


def describe(error: Exception) -> str:
    """One line: what kind of error, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
