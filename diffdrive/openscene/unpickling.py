"""Read pickles of other people without running what they say: only the names on a list are looked up.

A pickle is a program that may call anything it can name. Logs and submissions need little more than numpy's arrays, and numpy
calls them differently in every version: ``NUMPY_NAMES`` has all the spellings, ``PLAIN_NAMES`` what plain data needs besides.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from diffdrive.contracts import InputError

Names = Mapping[tuple[str, str], Callable[..., Any]]
"""What may stand for (module, name) in a pickle."""


def load_restricted(path: Path, names: Names) -> Any:
    """What the pickle at ``path`` holds, made with ``names`` alone.

    Raises ``InputError``, which names the file, when it is missing, truncated or no pickle, and when it names anything else.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror or error}). Check the path.") from error
    try:
        return _Unpickler(content, names).load()
    except _UnlistedNameError as error:
        raise InputError(
            f"'{path}' names {error}, which plain data of its kind does not need and which could run any code. "
            "It was not loaded. Get the file from where it was published, or write it again as plain numbers and text."
        ) from error
    except Exception as error:
        # Bytes that are no pickle can end in nearly any exception.
        raise InputError(
            f"'{path}' is no whole pickle ({type(error).__name__}: {error}). It may be truncated or damaged: copy it again."
        ) from error


class _UnlistedNameError(Exception):
    pass


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, names: Names) -> None:
        super().__init__(io.BytesIO(content))
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[module, name]
        except KeyError:
            raise _UnlistedNameError(f"'{module}.{name}'") from None


def _bytes_of(text: str, encoding: str = "latin1") -> bytes:
    """How protocols before 3 spell bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes are never encoded as {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How they spell no bytes at all."""
    return b""


class _Type:
    """Stands for ``numpy.dtype``: numbers and text of any byte order, or objects.

    numpy believes what a pickle tells about a type, even that objects are none, and then takes bytes for their addresses.
    """

    def __init__(self, kind: Any, _align: bool = False, _copy: bool = False) -> None:
        if not isinstance(kind, str) or not re.fullmatch(r"[<>|=]?(O|O8|\?|[biufc]\d{1,2}|[SU]\d{1,9})", kind):
            raise ValueError(f"arrays of {kind!r} are no plain data")
        self.dtype: np.dtype[Any] = np.dtype(kind)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError(f"the byte order {state[1]!r} is none")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that is told its shape, type and content after it was made, and checks that they fit."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, kind, is_fortran, content = state
        size = math.prod(shape) * (1 if kind.dtype.hasobject else kind.dtype.itemsize)
        if (
            min(shape, default=0) < 0
            or not isinstance(content, list if kind.dtype.hasobject else bytes)
            or len(content) != size
        ):
            raise ValueError(f"an array of the shape {shape} does not fit its content")
        whole: Any = (version, shape, kind.dtype, bool(is_fortran), content)
        super().__setstate__(whole)


def _begun(_subtype: Any, _shape: tuple[int, ...], _kind: bytes) -> np.ndarray:
    """How protocols before 5 begin an array."""
    return _Array(0)


def _scalar(kind: _Type, content: bytes) -> Any:
    """A single number or text."""
    return np.frombuffer(content, kind.dtype, count=1)[0]


def _from_buffer(
    buffer: Any, kind: _Type, shape: tuple[int, ...], order: str, axis_order: tuple[int, ...] | None = None
) -> np.ndarray:
    """How protocol 5 spells an array."""
    array = np.frombuffer(buffer, kind.dtype)
    if order == "K":
        return array.reshape(shape).transpose(axis_order)
    return array.reshape(shape, order="F" if order == "F" else "C")


def _array(shape: tuple[int, ...], kind: str, buffer: Any) -> np.ndarray:
    """How our own exporter does."""
    return np.frombuffer(buffer, _Type(kind).dtype).reshape(shape)


PLAIN_NAMES: Names = {
    ("builtins", "bytearray"): bytearray,
    ("__builtin__", "bytearray"): bytearray,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("_codecs", "encode"): _bytes_of,
    ("collections", "OrderedDict"): OrderedDict,
    # A path is text here: where it was written may be another kind of machine.
    ("pathlib", "PosixPath"): PurePosixPath,
    ("pathlib", "PurePosixPath"): PurePosixPath,
}
"""Bytes, sets, ordered mappings and paths; everything simpler has no name in a pickle."""

NUMPY_NAMES: Names = {
    ("numpy", "ndarray"): _array,
    ("numpy", "dtype"): _Type,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _begun),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}
"""Arrays, scalars and their types as numpy 1 and numpy 2 write them, in every protocol."""
