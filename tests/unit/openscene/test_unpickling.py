"""Restricted unpickling: plain data of every numpy and protocol comes back, anything else is refused before it runs."""

import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.openscene.frames import write_frames
from diffdrive.openscene.unpickling import NUMPY_NAMES, PLAIN_NAMES, load_restricted

NAMES = {**NUMPY_NAMES, **PLAIN_NAMES}


def data() -> dict[str, Any]:
    return {
        "float": np.arange(6.0).reshape(2, 3),
        "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "turned": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        "small": np.array([1, 2], dtype=np.float32),
        "big end": np.array([1, 2], dtype=">i4"),
        "text": np.array(["vehicle", "czone_sign"]),
        "objects": np.array(["vehicle", None], dtype=object),
        "none": np.zeros((0, 7)),
        "scalar": np.float64(1.5),
        "true": np.bool_(True),
        "plain": [1, "a", None, (2.5, True), b"x", b"", bytearray(b"y"), {3}],
        "ordered": OrderedDict(a=1),
    }


def assert_equal(found: Any, wanted: Any) -> None:
    assert isinstance(found, type(wanted))
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            assert_equal(found[key], wanted[key])
    elif isinstance(wanted, np.ndarray):
        assert found.dtype.newbyteorder("=") == wanted.dtype.newbyteorder("="), "numpy may turn foreign bytes round"
        np.testing.assert_array_equal(found, wanted)
    else:
        assert found == wanted


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back_from_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(pickle.dumps(data(), protocol=protocol))
    assert_equal(load_restricted(path, NAMES), data())


class OtherNumpy(pickle._Pickler):
    """Writes as a numpy whose internals have other names does."""

    dispatch: ClassVar[Any] = pickle._Pickler.dispatch.copy()

    def __init__(self, file: BytesIO, protocol: int, core: str) -> None:
        super().__init__(file, protocol)
        self.core = core

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = re.sub(r"^numpy\._?core\.", f"numpy.{self.core}.", obj.__module__ or "numpy._core.multiarray")
        self.write(f"c{module}\n{name or obj.__name__}\n".encode())  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]

    dispatch[type(data)] = save_global
    dispatch[type] = save_global


@pytest.mark.parametrize("core", ["core", "_core"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_numpy_1_and_numpy_2_are_read(tmp_path: Path, core: str, protocol: int) -> None:
    content = BytesIO()
    OtherNumpy(content, protocol, core).dump(data())
    assert f"numpy.{core}.".encode() in content.getvalue()
    path = tmp_path / "log.pkl"
    path.write_bytes(content.getvalue())
    assert_equal(load_restricted(path, NAMES), data())


def test_what_the_exporter_writes_is_read(tmp_path: Path) -> None:
    write_frames(
        tmp_path / "log.pkl",
        [{"boxes": np.arange(7.0).reshape(1, 7), "names": np.array(["vehicle"]), "none": np.zeros((0, 7))}],
    )
    ((frame),) = load_restricted(tmp_path / "log.pkl", NAMES)
    np.testing.assert_array_equal(frame["boxes"], np.arange(7.0).reshape(1, 7))
    frame["boxes"][0, 0] = 5.0
    assert frame["none"].shape == (0, 7)


def test_paths_are_read_without_a_file_system(tmp_path: Path) -> None:
    (tmp_path / "log.pkl").write_bytes(pickle.dumps(PurePosixPath("a/b.pcd")))
    assert load_restricted(tmp_path / "log.pkl", NAMES) == PurePosixPath("a/b.pcd")


class Attack:
    """Calls what it is given when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *values: Any) -> None:
        self.call, self.values = call, values

    def __reduce__(self) -> Any:
        return self.call, self.values


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("wrap", [lambda bad: bad, lambda bad: np.array([bad], dtype=object)], ids=["bare", "in an array"])
def test_code_is_refused_before_it_runs(tmp_path: Path, protocol: int, wrap: Callable[[Any], Any]) -> None:
    path, victim = tmp_path / "log.pkl", tmp_path / "made"
    path.write_bytes(pickle.dumps([{"token": wrap(Attack(os.mkdir, str(victim)))}], protocol=protocol))
    with pytest.raises(InputError, match=r"log\.pkl' names '(posix|nt)\.mkdir'.*was not loaded"):
        load_restricted(path, NAMES)
    assert not victim.exists()
    pickle.loads(path.read_bytes())
    assert victim.exists(), "an unrestricted reader would have run it"


@pytest.mark.parametrize("call", [eval, exec, getattr, __import__, np.load, np.fromfile])
def test_nothing_but_data_has_a_name(tmp_path: Path, call: Callable[..., Any]) -> None:
    (tmp_path / "log.pkl").write_bytes(pickle.dumps(Attack(call, "1")))
    with pytest.raises(InputError, match="could run any code"):
        load_restricted(tmp_path / "log.pkl", NAMES)


def test_a_name_with_dots_does_not_reach_through_a_listed_one(tmp_path: Path) -> None:
    (tmp_path / "log.pkl").write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.".replace(b"\x0f", b"\x0e"))
    with pytest.raises(InputError, match=r"names 'numpy\.ndarray\.tofile'"):
        load_restricted(tmp_path / "log.pkl", NAMES)


class Forged:
    """An array by its parts, true or not."""

    def __init__(self, call: Any, arguments: tuple[Any, ...], state: Any = None) -> None:
        self.parts = (call, arguments) if state is None else (call, arguments, state)

    def __reduce__(self) -> Any:
        return self.parts


ADDRESSES = b"\x41" * 16
MEMORY_FORGERIES = {
    "objects in a buffer": Forged(np.ndarray, ((2,), "O", ADDRESSES)),
    "objects said to be none": Forged(
        np.zeros(0).__reduce__()[0],
        (np.ndarray, (0,), b"b"),
        (1, (2,), Forged(np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0)), False, ADDRESSES),
    ),
    "objects in records": Forged(
        np.zeros(0).__reduce__()[0],
        (np.ndarray, (0,), b"b"),
        (
            1,
            (2,),
            Forged(np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)),
            False,
            ADDRESSES,
        ),
    ),
    "a shape that leaves its content": Forged(
        np.zeros(0).__reduce__()[0],
        (np.ndarray, (0,), b"b"),
        (1, (-1, -4), np.dtype("f4"), False, ADDRESSES),
    ),
    "a type with fields that are none": Forged(
        np.zeros(0).__reduce__()[0],
        (np.ndarray, (0,), b"b"),
        (1, (4,), Forged(np.dtype, ("f4", False, True), (3, "N", None, -1, -1, 0)), False, ADDRESSES),
    ),
    "an object alone": Forged(
        np.float64(0).__reduce__()[0],
        (Forged(np.dtype, ("V8", False, True), (3, "|", None, None, None, 8, 1, 0)), ADDRESSES[:8]),
    ),
}


@pytest.mark.parametrize("kind", MEMORY_FORGERIES)
def test_bytes_are_never_taken_for_addresses(tmp_path: Path, kind: str) -> None:
    (tmp_path / "log.pkl").write_bytes(pickle.dumps(MEMORY_FORGERIES[kind]))
    with pytest.raises(InputError, match=r"log\.pkl' is no whole pickle"):
        load_restricted(tmp_path / "log.pkl", NAMES)


@pytest.mark.parametrize("cut", [0, 1, 40, 200])
def test_a_truncated_pickle_says_so(tmp_path: Path, cut: int) -> None:
    (tmp_path / "log.pkl").write_bytes(pickle.dumps(data())[:cut])
    with pytest.raises(InputError, match=r"log\.pkl' is no whole pickle .*copy it again"):
        load_restricted(tmp_path / "log.pkl", NAMES)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 an image", b"<html>not found</html>", b"\x1f\x8b\x08", bytes(64)])
def test_garbage_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"log\.pkl' is no whole pickle"):
        load_restricted(tmp_path / "log.pkl", NAMES)


def test_missing_files_and_folders_say_so(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pkl", tmp_path):
        with pytest.raises(InputError, match=f"'{path}' cannot be read"):
            load_restricted(path, NAMES)
