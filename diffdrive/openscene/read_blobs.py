"""Read sensor files: binary point clouds with any fields, and images of any kind that Pillow knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffdrive.contracts import InputError

_KINDS = {"F": "f", "U": "u", "I": "i"}
_LONGEST_HEADER = 4096


def read_points(path: Path) -> np.ndarray:
    """[N, 3] float32: x, y, z of the points of a .pcd file, metres. Points that are not finite are left out.

    Raises ``InputError``, which names the file, when it is missing, truncated, no binary .pcd, or has no x, y, z.
    """
    content = _read(path)
    head = content[:_LONGEST_HEADER]
    end = head.find(b"\nDATA ")
    body = head.find(b"\n", end + 1) + 1
    if end < 0 or body == 0:
        raise InputError(f"'{path}' is no .pcd file: it has no header. Copy it again.")
    try:
        header = {
            words[0]: words[1:]
            for line in head[:body].decode("ascii").splitlines()
            if (words := line.split()) and line[0] != "#"
        }
        dtype, count = _point_type(header), int(header["POINTS"][0])
        if header["DATA"] != ["binary"]:
            raise InputError(f"'{path}' holds points as {' '.join(header['DATA'])}; only DATA binary can be read. Convert it.")
        if not {"x", "y", "z"} <= set(dtype.names or ()):
            raise InputError(f"'{path}' has no x, y and z: its fields are {', '.join(dtype.names or ())}.")
        if count < 0 or len(content) - body < count * dtype.itemsize:
            raise InputError(
                f"'{path}' is truncated: {count} points of {dtype.itemsize} bytes do not fit into the {len(content) - body} "
                "bytes after its header. Copy it again."
            )
        cloud = np.frombuffer(content, dtype=dtype, count=count, offset=body)
        points = np.column_stack([cloud["x"], cloud["y"], cloud["z"]]).astype(np.float32)
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"The header of '{path}' cannot be understood ({type(error).__name__}: {error}). Copy it again."
        ) from error
    return points[np.isfinite(points).all(axis=1)]


def _point_type(header: dict[str, list[str]]) -> np.dtype:
    """One point as a record, little-endian."""
    names, counts = header["FIELDS"], [int(word) for word in header.get("COUNT", ["1"] * len(header["FIELDS"]))]
    # Fields that are only padding may share a name.
    unique = [name if names.count(name) == 1 else f"{name} {place}" for place, name in enumerate(names)]
    kinds = [f"<{_KINDS[kind]}{size}" for kind, size in zip(header["TYPE"], header["SIZE"], strict=True)]
    return np.dtype(
        [
            (name, kind) if count == 1 else (name, kind, (count,))
            for name, kind, count in zip(unique, kinds, counts, strict=True)
        ]
    )


def read_image(path: Path) -> np.ndarray:
    """[H, W, 3] uint8, RGB. Raises ``InputError``, which names the file, when it is missing or damaged."""
    from PIL import Image

    if not path.is_file():
        raise _absent(path)
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"Image '{path}' cannot be read ({type(error).__name__}: {error}). Copy it again.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _absent(path) from error
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror or error}).") from error


def _absent(path: Path) -> InputError:
    return InputError(
        f"'{path}' does not exist. NAVSIM publishes sensor files apart from logs, and for some frames only: get those of the "
        "split, say where they are, or load scenes without sensors."
    )
