"""Every source keeps the promises of ``SceneSource``."""

from collections.abc import Callable
from pathlib import Path

import pytest
from source_conformance import assert_source_conforms

from diffdrive.assets import LOGS
from diffdrive.scene import SceneSource
from diffdrive.sources import Arrow123dSource, NuscenesSampleSource, OpenSceneLogSource


def _small(request: pytest.FixtureRequest) -> SceneSource:
    return Arrow123dSource(request.getfixturevalue("small_root"))


def _av2(request: pytest.FixtureRequest) -> SceneSource:
    return Arrow123dSource(request.getfixturevalue("av2_root"))


def _nuscenes(request: pytest.FixtureRequest) -> SceneSource:
    return NuscenesSampleSource(request.getfixturevalue("nuscenes_folder"), speed_mps=9.3)


def _navsim(request: pytest.FixtureRequest) -> SceneSource:
    return OpenSceneLogSource(request.getfixturevalue("navsim_root"))


def _frozen(request: pytest.FixtureRequest) -> SceneSource:
    pytest.importorskip("py123d")
    if not Path(LOGS, "logs").is_dir():
        pytest.skip("this checkout ships no frozen logs")
    return Arrow123dSource(LOGS)


@pytest.mark.parametrize(
    "open_source",
    [_small, _av2, _nuscenes, _navsim, _frozen],
    ids=["small log", "av2", "nuscenes", "navsim", "frozen logs"],
)
def test_source_conforms(open_source: Callable[[pytest.FixtureRequest], SceneSource], request: pytest.FixtureRequest) -> None:
    assert_source_conforms(open_source(request))
