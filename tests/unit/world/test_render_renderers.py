"""The two renderers: they agree, repeat, say which they are, and say what is missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from render_town import AGENTS, WIDTH, crossroads, scene

from diffdrive.contracts import InputError
from diffdrive.scene import AgentKind, CameraId, LightState
from diffdrive.world.render import EmbreeRenderer, GlRenderer, Renderer, Town, build_town, moving_mesh, open_renderer
from diffdrive.world.render import extra as extra_module
from diffdrive.world.render import renderer as renderer_module

pytest.importorskip("embreex")


@pytest.fixture(scope="module")
def town() -> Town:
    return build_town("toy-town", crossroads(), seed=1)


@pytest.fixture(scope="module")
def gl() -> Iterator[GlRenderer]:
    try:
        renderer = GlRenderer()
    except InputError as error:
        pytest.skip(f"no OpenGL here: {error}")
    yield renderer
    renderer.close()


@pytest.fixture(params=["gl", "embree"])
def each(request: pytest.FixtureRequest) -> Renderer:
    return request.getfixturevalue("gl") if request.param == "gl" else EmbreeRenderer()


def _images(renderer: Renderer, town: Town, rows: tuple[tuple[object, ...], ...] = AGENTS, **options: object) -> dict:
    what = scene(rows, **options)  # type: ignore[arg-type]
    frames = renderer.render(town, moving_mesh(town, what), town.from_world(what.world_from_ego))
    return {camera: frame.image.astype(int) for camera, frame in frames.items()}


def test_gl_and_embree_draw_the_same_pictures(gl: GlRenderer, town: Town) -> None:
    first, second = _images(gl, town), _images(EmbreeRenderer(), town)
    for camera in first:
        difference = np.abs(first[camera] - second[camera])
        assert difference.mean() < 4.0, camera
        assert (difference.max(axis=2) > 32).mean() < 0.06, camera


def test_pictures_repeat(each: Renderer, town: Town) -> None:
    first, again = _images(each, town), _images(each, town)
    assert all(np.array_equal(first[camera], again[camera]) for camera in first)


def test_renderers_that_are_open_at_once_do_not_disturb_each_other(gl: GlRenderer, town: Town) -> None:
    alone = _images(gl, town)
    other = GlRenderer()
    elsewhere = build_town("other-town", crossroads(walkways=False), seed=2)
    for _ in range(2):
        _images(other, elsewhere, ())
        between = _images(gl, town)
        assert all(np.array_equal(alone[camera], between[camera]) for camera in alone)
    other.close()
    after = _images(gl, town)
    assert all(np.array_equal(alone[camera], after[camera]) for camera in alone)


def test_a_moving_body_changes_only_its_surroundings(each: Renderer, town: Town) -> None:
    empty = _images(each, town, ())[CameraId.F0]
    walker = _images(each, town, (("w", AgentKind.PEDESTRIAN, 10.0, 2.0, 0.0, 0.6, 0.6, 1.8),))[CameraId.F0]
    changed = np.argwhere(np.abs(empty - walker).max(axis=2) > 10)
    assert len(changed) > 300
    assert changed[:, 1].max() < 320
    assert changed[:, 0].min() > 90


def test_bodies_throw_shadows_on_the_road(each: Renderer, town: Town) -> None:
    empty = _images(each, town, ())[CameraId.F0]
    crate = _images(each, town, (("c", AgentKind.GENERIC_OBJECT, 12.0, 0.0, 0.0, 1.0, 1.0, 1.0),))[CameraId.F0]
    # The sun stands ahead to the left, so the shadow falls to the right of the crate and towards the camera.
    beside = (slice(185, 215), slice(262, 300))
    darker = (empty[beside] - crate[beside]).min(axis=2)
    assert (darker > 25).sum() > 60
    assert (darker < -10).sum() < 10


@pytest.mark.parametrize(("light", "channel"), [(LightState.RED, 0), (LightState.GREEN, 1)])
def test_lamps_show_the_light(each: Renderer, town: Town, light: LightState, channel: int) -> None:
    lit = _images(each, town, (), light=light)[CameraId.F0]
    off = _images(each, town, (), light=LightState.OFF)[CameraId.F0]
    change = (lit - off)[:, :, channel]
    assert (change > 90).sum() >= 20
    other = 1 - channel
    shining = change > 90
    assert lit[shining][:, channel].mean() > lit[shining][:, other].mean() + 60


def test_sky_is_above_and_road_below(each: Renderer, town: Town) -> None:
    image = _images(each, town, ())[CameraId.F0]
    assert image[2:8, 200:280, 2].mean() > image[2:8, 200:280, 0].mean() + 20
    road = image[245:265, 60:200].reshape(-1, 3)
    assert np.ptp(road.mean(axis=0)) < 25
    assert road.mean() < 140


def test_no_ego_in_the_pictures(town: Town) -> None:
    what = scene(())
    for camera, frame in EmbreeRenderer().render(town, moving_mesh(town, what), town.from_world(what.world_from_ego)).items():
        assert frame.image[-1].std() < 60, camera
    # Nothing moves in an empty scene but the signals, and none stands where the ego is.
    triangles = moving_mesh(town, what).triangles.reshape(-1, 3)[:, :2] - town.from_world(what.world_from_ego)[:2]
    assert np.hypot(*triangles.T).min() > WIDTH


def test_auto_falls_back_to_embree_and_says_why(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> GlRenderer:
        raise InputError("no EGL on this machine")

    monkeypatch.setattr(renderer_module, "GlRenderer", broken)
    with caplog.at_level(logging.INFO):
        assert open_renderer("auto").name == "embree"
    assert "no EGL on this machine" in caplog.text
    assert "Renderer: embree" in caplog.text
    with pytest.raises(InputError, match="no EGL"):
        open_renderer("gl")


def test_an_unknown_renderer_is_refused() -> None:
    with pytest.raises(InputError, match="'auto', 'gl' or 'embree', got 'vulkan'"):
        open_renderer("vulkan")


@pytest.mark.parametrize("make", [GlRenderer, EmbreeRenderer, lambda: build_town("t", crossroads(), seed=0)])
def test_a_missing_extra_is_named(make: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(extra_module.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"pip install 'diffdrive\[render\]'"):
        make()
