"""Axis contracts: check that arrays have the axes, the type and the finite values that a class promises.

A contract is a string of axis names, one word each: ``"T 3"`` is T rows of three numbers. A number must match exactly; a
name stands for any size, the same size everywhere it appears in one ``Axes`` object; a leading ``...`` allows more axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class InputError(ValueError):
    """What the caller gave breaks a rule. The message states the rule, the value and the way out."""


class Axes:
    """Checks several arrays against contracts that share axis names.

    >>> axes = Axes("Trajectory")
    >>> axes.check("poses", np.zeros((8, 3)), "T 3")
    >>> axes.sizes["T"]
    8
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.sizes: dict[str, int] = {}

    def check(self, name: str, array: Any, contract: str, *, finite: bool = False) -> None:
        """Raise ``InputError`` unless ``array.shape`` fits ``contract`` (and, if asked, every value is finite)."""
        shape = getattr(array, "shape", None)
        if shape is None:
            raise InputError(f"{self.owner}.{name} must be an array with axes [{contract}], got {type(array).__name__}.")
        words = contract.split()
        given = tuple(int(size) for size in shape)
        tail = given
        if words and words[0] == "...":
            words = words[1:]
            tail = given[len(given) - len(words) :] if len(given) >= len(words) else given
        if len(tail) != len(words) or not all(self._fits(word, size) for word, size in zip(words, tail, strict=True)):
            known = ", ".join(f"{k} = {v}" for k, v in self.sizes.items() if k in words)
            raise InputError(
                f"{self.owner}.{name} must have axes [{contract}]{f' with {known}' if known else ''}, got shape {list(given)}."
            )
        if finite:
            self._check_finite(name, array)

    def _fits(self, word: str, size: int) -> bool:
        if word.isdigit():
            return int(word) == size
        return self.sizes.setdefault(word, size) == size

    def _check_finite(self, name: str, array: Any) -> None:
        bad = ~np.isfinite(np.asarray(array))
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"{self.owner}.{name} must be finite, but {int(bad.sum())} of {bad.size} values are NaN or infinite "
                f"(first at index {list(first)}). Drop or repair them before building this value."
            )


def frozen_array(values: Any, dtype: Any) -> np.ndarray:
    """A read-only array of ``dtype``: a fact that nobody downstream can edit by accident. Copies only when it must."""
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array
