"""Prepared scenes survive the disk, and bad files are noticed."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plain_scene import plain_scene

from diffdrive.contracts import InputError
from diffdrive.scoring import storage
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import Protocol
from diffdrive.scoring.scoring_scene import RedLights
from diffdrive.scoring.storage import PreparedScenes, load_scoring_scene, save_scoring_scene


def same(ours: Any, theirs: Any) -> bool:
    if dataclasses.is_dataclass(ours):
        return all(same(getattr(ours, f.name), getattr(theirs, f.name)) for f in dataclasses.fields(ours))
    if isinstance(ours, np.ndarray):
        return ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    return bool(ours == theirs)


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("corrected", [False, True])
def test_a_scene_comes_back_whole(tmp_path: Path, protocol: Protocol, corrected: bool) -> None:
    steps = 51 if protocol is Protocol.V1 else 41
    red = RedLights(polygons=Polygons.of([np.eye(3, 2)]), is_red=np.arange(steps)[None] > 5)
    scene = plain_scene(
        protocol, corrected=corrected, red_lights=red, past_states=np.random.default_rng(0).normal(size=(14, 11))
    )
    save_scoring_scene(tmp_path / "deep" / "scene.npz", scene)
    assert same(load_scoring_scene(tmp_path / "deep" / "scene.npz"), scene)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["scene.npz"]


def test_no_human_stays_no_human(tmp_path: Path) -> None:
    save_scoring_scene(tmp_path / "scene.npz", plain_scene(human_reference=None))
    assert load_scoring_scene(tmp_path / "scene.npz").human_reference is None


def test_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scene.npz"
    header = np.frombuffer(json.dumps({"version": storage.FORMAT_VERSION}).encode(), dtype=np.uint8)
    np.savez(path, header=header, ego_state=np.array([{"a": "pickled object"}], dtype=object))
    with pytest.raises(InputError, match="no prepared scene"):
        load_scoring_scene(path)


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_file_is_named_and_made_again(tmp_path: Path, damage: str) -> None:
    scenes, made = PreparedScenes(tmp_path), []

    def make() -> Any:
        made.append(1)
        return plain_scene()

    key = {"token": "plain", "metric": "epdms"}
    scenes.get(key, make)
    path = scenes.path(key)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"not an archive", "empty": b""}[damage])
    with pytest.raises(InputError, match=path.name):
        load_scoring_scene(path)
    assert same(scenes.get(key, make), plain_scene()) and len(made) == 2
    scenes.get(key, make)
    assert len(made) == 2, "a whole file is read, not made"


def test_another_version_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scene.npz"
    save_scoring_scene(path, plain_scene())
    monkeypatch.setattr(storage, "FORMAT_VERSION", storage.FORMAT_VERSION + 1)
    with pytest.raises(InputError, match="has version"):
        load_scoring_scene(path)


def test_different_keys_are_different_files(tmp_path: Path) -> None:
    scenes = PreparedScenes(tmp_path)
    assert scenes.path({"token": "a"}) != scenes.path({"token": "b"})
    assert scenes.path({"a": 1, "b": 2}) == scenes.path({"b": 2, "a": 1})
