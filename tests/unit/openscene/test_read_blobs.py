"""Sensor files as others write them: fields in any order, damaged files, images of other modes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffdrive.contracts import InputError
from diffdrive.openscene.read_blobs import read_image, read_points

POINTS = np.array([[1.0, 2, 3], [-4.5, 5, 6], [7, 8, -9.25]], dtype=np.float32)


def pcd(kind: list[tuple], *, data: str = "binary", changes: dict[str, str] | None = None, cut: int = 0) -> bytes:
    """``POINTS`` with the fields of ``kind`` (a numpy record); fields other than x, y, z hold 7 and more."""
    cloud = np.zeros(len(POINTS), dtype=kind)
    for place, name in enumerate(cloud.dtype.names or ()):
        cloud[name] = POINTS[:, "xyz".index(name)] if name in "xyz" else 7 + place
    fields = [(name, cloud.dtype[name]) for name in cloud.dtype.names or ()]
    header = {
        "VERSION": "0.7",
        "FIELDS": " ".join(name for name, _ in fields),
        "SIZE": " ".join(str(field.base.itemsize) for _, field in fields),
        "TYPE": " ".join({"f": "F", "u": "U", "i": "I"}[field.base.kind] for _, field in fields),
        "COUNT": " ".join(str(int(np.prod(field.shape, dtype=int))) for _, field in fields),
        "WIDTH": str(len(cloud)),
        "HEIGHT": "1",
        "POINTS": str(len(cloud)),
        "DATA": data,
    } | (changes or {})
    lines = ["# .PCD v0.7 - made by hand", *(f"{key} {value}" for key, value in header.items() if value != "absent")]
    content = ("\n".join(lines) + "\n").encode() + cloud.tobytes()
    return content[: len(content) - cut]


USUAL = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1"), ("ring", "u1"), ("lidar_info", "u1")]


@pytest.mark.parametrize(
    "kind",
    [
        USUAL,
        [("x", "<f4"), ("y", "<f4"), ("z", "<f4")],
        [("ring", "<u2"), ("z", "<f8"), ("time", "<i4"), ("y", "<f4"), ("x", "<f8")],
        [("x", "<f4"), ("normal", "<f4", (3,)), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")],
    ],
    ids=["usual", "bare", "any order and type", "fields with a count"],
)
def test_points_are_read_by_the_names_of_their_fields(tmp_path: Path, kind: list[tuple]) -> None:
    (tmp_path / "a.pcd").write_bytes(pcd(kind))
    points = read_points(tmp_path / "a.pcd")
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, POINTS)


def test_a_header_without_counts_means_one_each_and_padding_may_share_a_name(tmp_path: Path) -> None:
    content = pcd([*USUAL[:3], ("a", "u1"), ("b", "u1")], changes={"COUNT": "absent", "FIELDS": "x y z _ _"})
    (tmp_path / "a.pcd").write_bytes(content)
    np.testing.assert_array_equal(read_points(tmp_path / "a.pcd"), POINTS)


def test_points_that_are_nowhere_are_left_out(tmp_path: Path) -> None:
    content = pcd(USUAL[:3])
    (tmp_path / "a.pcd").write_bytes(content[:-4] + np.float32(np.nan).tobytes())
    np.testing.assert_array_equal(read_points(tmp_path / "a.pcd"), POINTS[:2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pcd(USUAL, cut=1), r"truncated: 3 points of 15 bytes do not fit into the 44 bytes"),
        (pcd(USUAL)[:30], "no header"),
        (b"", "no header"),
        (b"\x89PNG" + bytes(100), "no header"),
        (pcd(USUAL, data="ascii"), "points as ascii; only DATA binary"),
        (pcd(USUAL, data="binary_compressed"), "points as binary_compressed"),
        (pcd([("a", "<f4"), ("y", "<f4"), ("z", "<f4")]), "has no x, y and z: its fields are a, y, z"),
        (pcd(USUAL, changes={"POINTS": "many"}), r"cannot be understood \(ValueError"),
        (pcd(USUAL, changes={"POINTS": "-1"}), "truncated: -1 points"),
        (pcd(USUAL, changes={"SIZE": "4 4"}), r"cannot be understood \(ValueError"),
        (pcd(USUAL, changes={"TYPE": "F F F U U Q"}), r"cannot be understood \(KeyError"),
        (pcd(USUAL, changes={"FIELDS": "absent"}), r"cannot be understood \(KeyError: 'FIELDS'"),
    ],
)
def test_damaged_clouds_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.pcd"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as told:
        read_points(path)
    assert str(path) in str(told.value)


def test_images_are_rgb_whatever_they_were(tmp_path: Path) -> None:
    colours = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    Image.fromarray(colours).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colours)
    Image.fromarray(colours[..., 0]).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").shape == (2, 4, 3)


@pytest.mark.parametrize("damage", [lambda content: content[:300], lambda content: b"no image", lambda content: b""])
def test_damaged_images_are_named(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"a\.jpg' cannot be read .* Copy it again"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_points])
def test_absent_files_are_named_with_what_to_do(tmp_path: Path, read) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"a\.jpg' does not exist\..*load scenes without sensors"):
        read(tmp_path / "a.jpg")
