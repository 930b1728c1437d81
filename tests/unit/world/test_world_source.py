"""Scenes with rendered sensors: drawn once, kept on disk, drawn again when the file is damaged."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from render_town import AGENTS, crossroads, scene
from source_conformance import assert_same

from diffdrive.contracts import InputError
from diffdrive.scene import CameraId, LidarSweep, LightState, Modality, Observation, Scene, VectorMap
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.world import source as source_module
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_LIDAR, Studio, build_town
from diffdrive.world.source import WorldSource

pytest.importorskip("embreex")


MAP = crossroads()
SMALL_RIG = tuple(replace(camera, width=96, height=54, focal=77.0, centre=(48.0, 28.0)) for camera in NUPLAN_FRONT_RIG)
SMALL_LIDAR = replace(NUPLAN_LIDAR, spinners=(replace(NUPLAN_LIDAR.spinners[0], num_azimuths=90),))


class ToyLogs:
    """Logs that need no files."""

    def __init__(self, root: Path, *, scenes: dict[str, Scene] | None = None, world_map: VectorMap | None = None) -> None:
        self.scenes = scenes if scenes is not None else {"toy": scene(), "green": scene(light=LightState.GREEN, token="green")}
        self.map = world_map if world_map is not None else MAP
        self.name, self.modalities = "toy", frozenset({Modality.MAP, Modality.AGENTS})

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(self.scenes)

    def info(self, token: str) -> Scene:
        return self.scenes[token]

    def vehicle(self, token: str) -> VehicleDimensions:
        return PACIFICA

    def world_map(self, token: str) -> VectorMap:
        return self.map

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        if token not in self.scenes:
            raise InputError(f"no scene '{token}'")
        return self.scenes[token]


_TOWNS: dict[int, Any] = {}


def _built_once(name: str, world_map: VectorMap, *, seed: int) -> Any:
    if world_map is not MAP:
        return build_town(name, world_map, seed=seed)
    return _TOWNS.setdefault(seed, _TOWNS.get(seed) or build_town(name, world_map, seed=seed))


@pytest.fixture(autouse=True)
def toy_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs without files, and a town built once, to be quick."""
    monkeypatch.setattr(source_module, "Arrow123dSource", ToyLogs)
    monkeypatch.setattr(source_module, "build_town", _built_once)


@pytest.fixture
def shots(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens of all scenes that were really drawn."""
    drawn: list[str] = []
    shoot = Studio.shoot

    def counted(studio: Studio, town: Any, what: Scene, *args: Any, **options: Any) -> Any:
        drawn.append(what.token)
        return shoot(studio, town, what, *args, **options)

    monkeypatch.setattr(Studio, "shoot", counted)
    return drawn


def _source(cache: Path | None, **options: Any) -> WorldSource:
    return WorldSource(Path("toy"), cache=cache, renderer="embree", rig=SMALL_RIG, lidar=SMALL_LIDAR, **options)


def test_a_scene_gets_three_cameras_and_a_sweep(tmp_path: Path) -> None:
    source = _source(None)
    loaded = source.load("toy")
    assert set(loaded.observation.cameras) == {CameraId.L0, CameraId.F0, CameraId.R0}
    assert all(frame.image.shape == (54, 96, 3) for frame in loaded.observation.cameras.values())
    assert loaded.observation.lidar is not None
    assert len(loaded.observation.lidar.points) > 2000
    assert {Modality.CAMERAS, Modality.LIDAR} <= source.modalities
    assert not list(tmp_path.iterdir())


def test_without_sensors_nothing_is_drawn(shots: list[str]) -> None:
    loaded = _source(None).load("toy", sensors=False)
    assert not loaded.observation.cameras
    assert loaded.observation.lidar is None
    assert shots == []


def test_the_cache_returns_what_was_drawn(tmp_path: Path, shots: list[str]) -> None:
    first = _source(tmp_path).load("toy")
    again = _source(tmp_path).load("toy")
    uncached = _source(None).load("toy")
    assert shots == ["toy", "toy"], "once with the cache, once without"
    assert_same(first, again, "from the cache")
    assert_same(first, uncached, "without a cache")
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_file_is_drawn_again(tmp_path: Path, shots: list[str], damage: bytes | None) -> None:
    first = _source(tmp_path).load("toy")
    file = next(path for path in tmp_path.rglob("*.npz"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert_same(_source(tmp_path).load("toy"), first, "drawn again")
    assert shots == ["toy", "toy"]
    assert file.read_bytes() == whole


def test_what_the_sensors_depend_on_names_the_file(tmp_path: Path, shots: list[str]) -> None:
    moved = replace(scene(), agents=scene((("other", *AGENTS[0][1:]),)).agents)
    for what in (scene(), scene(light=LightState.GREEN), scene(back=39.0), moved):
        _source(tmp_path, scenes={"toy": what}).load("toy")
    assert len(shots) == 4
    thinner = crossroads()
    thinner = VectorMap(lanes=thinner.lanes, areas=thinner.areas[:-1], lines=thinner.lines)
    _source(tmp_path, world_map=thinner).load("toy")
    assert len(shots) == 5
    _source(tmp_path).load("toy")
    assert len(shots) == 5


def test_recorded_sensors_stay_as_they_are(shots: list[str]) -> None:
    drawn = _source(None).load("toy")
    points = LidarSweep(points=np.ones((3, 3), dtype=np.float32))
    seen = Observation(ego_history=drawn.observation.ego_history, cameras=drawn.observation.cameras, lidar=points)
    recorded = replace(drawn, observation=seen)
    shots.clear()
    assert _source(None, scenes={"toy": recorded}).load("toy") is recorded
    assert shots == []
    half = replace(drawn, observation=replace(seen, cameras={}))
    filled = _source(None, scenes={"toy": half}).load("toy")
    assert filled.observation.lidar is points
    assert len(filled.observation.cameras) == 3


def test_towns_are_built_once_per_map(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = source_module.build_town
    monkeypatch.setattr(source_module, "build_town", lambda *args, **kw: built.append(args[0]) or build(*args, **kw))
    source = _source(None)
    source.load("toy")
    source.load("green")
    assert built == ["toy-town"]


def test_it_travels_to_another_process_and_draws_the_same(tmp_path: Path) -> None:
    source = _source(None)
    first = source.load("toy")
    assert_same(pickle.loads(pickle.dumps(source)).load("toy"), first, "after a journey")


def test_bad_requests_are_refused() -> None:
    with pytest.raises(InputError, match="'auto', 'gl' or 'embree', got 'vulkan'"):
        WorldSource(Path("toy"), renderer="vulkan")
    with pytest.raises(InputError, match="no-such-scene"):
        _source(None).load("no-such-scene")
    with pytest.raises(InputError, match="has no map"):
        _source(None, world_map=VectorMap()).load("toy")
