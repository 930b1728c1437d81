"""Films of drives: what a picture shows, and that the file holds what was drawn."""

from pathlib import Path

import numpy as np
import pytest
from hand_made_scene import make_proposals, make_scene

pytest.importorskip("matplotlib")
pytest.importorskip("av", reason="PyAV is not installed (pip install 'diffdrive[viz]')")

import av

from diffdrive.scene import CameraId, Trajectory
from diffdrive.viz import PlanOverlay
from diffdrive.viz.film import HEIGHT, WIDTH, FilmWriter, Picture, Words, draw_picture, pixels_of


def picture(*, cameras: bool) -> Picture:
    scene = make_scene(sensors=cameras)
    proposals, scores = make_proposals()
    plan = Trajectory(proposals[scores.argmax()])
    return Picture(
        cameras=[scene.observation.cameras[name] for name in (CameraId.L0, CameraId.F0, CameraId.R0)] if cameras else [],
        seen_plan=plan,
        scene=scene,
        overlay=PlanOverlay(chosen=plan, proposals=proposals, scores=scores),
        words=[Words(text="a drive", is_bold=True), Words(text="it goes on")],
        speeds=np.linspace(5.0, 8.0, 41),
    )


def test_a_picture_has_one_size_with_and_without_cameras() -> None:
    with_cameras, without = (draw_picture(picture(cameras=flag)) for flag in (True, False))
    for figure in (with_cameras, without):
        assert pixels_of(figure).shape == (HEIGHT, WIDTH, 3)
        assert [text.get_text() for text in figure.texts] == ["a drive", "it goes on"]
    # Three cameras, the view from above, the speeds.
    assert len(with_cameras.axes) == len(without.axes) + 3 == 5


def test_a_film_holds_the_pictures_in_their_order(tmp_path: Path) -> None:
    shades = (30, 120, 220)
    path = tmp_path / "film.mp4"
    with FilmWriter(path, pictures_per_s=5) as film:
        for shade in shades:
            film.add(np.full((HEIGHT, WIDTH, 3), shade, dtype=np.uint8))
        assert not path.exists()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(stream)]
        assert (stream.width, stream.height, float(stream.average_rate)) == (WIDTH, HEIGHT, 5.0)
    np.testing.assert_allclose(found, shades, atol=4)


def test_a_film_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the drive failed"), FilmWriter(tmp_path / "film.mp4", pictures_per_s=5) as film:
        film.add(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
        raise RuntimeError("the drive failed")
    assert list(tmp_path.iterdir()) == []
