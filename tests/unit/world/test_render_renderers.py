"""The two renderers: they agree, repeat, say which they are, and say what is missing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from render_town import AGENTS, WIDTH, crossroads, scene

from diffdrive.contracts import InputError
from diffdrive.scene import AgentKind, CameraId, LightState
from diffdrive.world.conditions import NOON, Conditions, Light
from diffdrive.world.render import (
    NUPLAN_FRONT_RIG,
    Camera,
    EmbreeRenderer,
    GlRenderer,
    Renderer,
    Town,
    build_town,
    moving_mesh,
    open_renderer,
)
from diffdrive.world.render import extra as extra_module
from diffdrive.world.render import renderer as renderer_module
from diffdrive.world.render.lighting import lighting_of
from diffdrive.world.render.shading import lamplight

pytest.importorskip("embreex")
FRONT = NUPLAN_FRONT_RIG[1:2]


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


def _images(
    renderer: Renderer,
    town: Town,
    rows: tuple[tuple[object, ...], ...] = AGENTS,
    conditions: Conditions = NOON,
    rig: Sequence[Camera] = NUPLAN_FRONT_RIG,
    **options: object,
) -> dict:
    what = scene(rows, **options)  # type: ignore[arg-type]
    frames = renderer.render(town, moving_mesh(town, what), town.from_world(what.world_from_ego), rig, conditions)
    return {camera: frame.image.astype(int) for camera, frame in frames.items()}


def _light(light: Light) -> Conditions:
    return Conditions(light=light, sun_azimuth=2.4, sun_elevation=0.1 if light is Light.DUSK else 0.7, seed=11)


@pytest.mark.parametrize("light", list(Light))
def test_gl_and_embree_draw_the_same_pictures(gl: GlRenderer, town: Town, light: Light) -> None:
    first, second = (_images(renderer, town, conditions=_light(light)) for renderer in (gl, EmbreeRenderer()))
    for camera in first:
        difference = np.abs(first[camera] - second[camera])
        assert difference.mean() < 4.0, camera
        assert (difference.max(axis=2) > 32).mean() < 0.06, camera


def test_every_light_looks_like_itself(gl: GlRenderer, town: Town) -> None:
    seen = {light: _images(gl, town, (), _light(light), FRONT)[CameraId.F0] for light in Light}
    means = {light: image.mean() for light, image in seen.items()}
    assert means[Light.DUSK] < 0.9 * min(means[light] for light in (Light.CLEAR, Light.OVERCAST, Light.RAIN))
    sky = {light: image[5:60].mean(axis=(0, 1)) for light, image in seen.items()}
    assert sky[Light.CLEAR][2] > sky[Light.CLEAR][0] + 5, "blue"
    assert abs(sky[Light.OVERCAST][2] - sky[Light.OVERCAST][0]) < 15, "grey"
    far = (slice(120, 138), slice(200, 280))
    assert seen[Light.RAIN][far].std() < 0.75 * seen[Light.CLEAR][far].std(), "rain hides what is far"


def test_shadows_follow_the_sun(each: Renderer, town: Town) -> None:
    crate = (("c", AgentKind.GENERIC_OBJECT, 10.0, 0.0, 0.0, 1.0, 1.0, 1.0),)
    beside = {}
    for side, azimuth in (("right", np.pi / 2), ("left", -np.pi / 2)):
        sun = Conditions(light=Light.CLEAR, sun_azimuth=azimuth, sun_elevation=1.1, seed=0)
        darker = (_images(each, town, (), sun, FRONT)[CameraId.F0] - _images(each, town, crate, sun, FRONT)[CameraId.F0]).min(
            axis=2
        ) > 25
        columns = np.nonzero(darker[170:235])[1]
        # The ground beside the crate, left and right of the columns that the crate itself covers.
        beside[side] = (int((columns < 214).sum()), int((columns > 266).sum()))
    assert beside["right"][1] > 5 * beside["right"][0] + 30
    assert beside["left"][0] > 5 * beside["left"][1] + 30


def test_no_shadows_under_clouds(each: Renderer, town: Town) -> None:
    overcast = [
        _images(each, town, (), replace(_light(Light.OVERCAST), sun_azimuth=a), FRONT)[CameraId.F0] for a in (0.5, -2.0)
    ]
    road = (slice(200, 260), slice(100, 400))
    assert np.abs(overcast[0][road] - overcast[1][road]).max() <= 1


def test_drops_on_the_lens_stay_for_a_drive_and_differ_between_drives_and_cameras(gl: GlRenderer, town: Town) -> None:
    rain = _light(Light.RAIN)
    here, farther = (_images(gl, town, (), rain, FRONT, back=back)[CameraId.F0] for back in (38.0, 37.9))
    other = _images(gl, town, (), replace(rain, seed=12), FRONT)[CameraId.F0]
    # The clouds move with the seed too; below the horizon only the lens differs.
    drops = np.abs(here - other).max(axis=2)[140:] > 12
    assert 50 < drops.sum() < 0.2 * drops.size
    still = np.abs(here - farther).max(axis=2)[140:]
    assert np.median(still[drops]) < 12, "the drops of one drive stay where they are"


def test_the_seed_of_a_town_shows(gl: GlRenderer, town: Town) -> None:
    other = build_town("toy-town", crossroads(), seed=2)
    road = (slice(225, 265), slice(150, 330))
    first, second = (_images(gl, each, ())[CameraId.F0][road] for each in (town, other))
    assert np.abs(first.mean(axis=(0, 1)) - second.mean(axis=(0, 1))).max() > 4
    assert not np.array_equal(town.style.facades, other.style.facades)


def test_lamps_light_the_ground_at_dusk_only(town: Town) -> None:
    light = lighting_of(_light(Light.DUSK))
    lamp = np.unravel_index(np.argmax(town.lamps.light), town.lamps.light.shape)
    below = np.array([[*(town.lamps.origin + np.array(lamp[::-1]) + 0.5), 0.0]])
    far = below + [1000.0, 0.0, 0.0]
    assert town.lamps.at(below)[0] > 0.8
    assert town.lamps.at(far)[0] == 0.0
    ego = np.array([*(below[0, :2] - [12.0, 0.0]), 0.0])
    ahead = lamplight(below, np.zeros(1), ego, light)
    behind = lamplight(below, np.zeros(1), ego + [0.0, 0.0, np.pi], light)
    assert ahead.min() > 0.1
    assert behind.max() == 0.0
    assert not lighting_of(NOON).is_night


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
