"""Pictures on disk, towns, anchors, training curves, and the missing extra."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hand_made_scene import along_curve, make_map, make_proposals

pytest.importorskip("matplotlib")

import matplotlib
from matplotlib.figure import Figure

from diffdrive.contracts import InputError
from diffdrive.scene import VectorMap
from diffdrive.viz import draw_anchors, draw_town, draw_training_curves, save_figure
from diffdrive.viz.curves import moving_average


def lines_of(figure, gid):
    found = [line for axes in figure.axes for line in axes.lines if line.get_gid() == gid]
    return found or [c for axes in figure.axes for c in axes.collections if c.get_gid() == gid]


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "picture.png"
    target.write_bytes(b"the old picture")
    seen = []

    def half_written(self, path, **_):
        path.write_bytes(b"half")
        seen.append((path, target.read_bytes()))
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half_written)
    with pytest.raises(OSError, match="disk full"):
        save_figure(draw_anchors(make_proposals()[0]), target)
    ((aside, old),) = seen
    assert aside.parent == tmp_path
    assert aside != target
    assert old == target.read_bytes() == b"the old picture"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("jpg", b"\xff\xd8")])
def test_the_ending_decides_the_format(tmp_path, ending, magic):
    before = dict(matplotlib.rcParams)
    path = save_figure(draw_anchors(make_proposals(3)[0]), tmp_path / f"anchors.{ending}", dpi=40)
    assert path.read_bytes().startswith(magic)
    assert list(tmp_path.iterdir()) == [path]
    assert dict(matplotlib.rcParams) == before


def test_text_stays_text_in_vector_files(tmp_path):
    path = save_figure(draw_anchors(make_proposals(3)[0], title="three anchors"), tmp_path / "anchors.svg")
    assert ">three anchors</text>" in path.read_text()


def test_bad_paths_are_refused(tmp_path):
    figure = draw_anchors(make_proposals(3)[0])
    with pytest.raises(InputError, match=r"must end in \.png"):
        save_figure(figure, tmp_path / "picture.bmp")
    with pytest.raises(InputError, match="does not exist"):
        save_figure(figure, tmp_path / "nowhere" / "picture.png")


def test_a_town_shows_every_track_where_it_was_driven():
    tracks = {"ego 0": along_curve(np.linspace(0, 60, 20)), "ego 1": along_curve(np.linspace(-30, 10, 20), 3.5)[:, :2]}
    figure = draw_town(make_map(), tracks, others={"bus": along_curve(np.linspace(0, 9, 5))}, title="town")
    for name, track in tracks.items():
        (line,) = lines_of(figure, f"track {name}")
        np.testing.assert_allclose(line.get_xydata(), track[:, :2])
    (low, high), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    everything = np.concatenate([lane.polygon for lane in make_map().lanes])
    assert low < everything[:, 0].min() < everything[:, 0].max() < high
    assert bottom < everything[:, 1].min() < everything[:, 1].max() < top


def test_an_empty_town_and_a_broken_track_are_refused():
    with pytest.raises(InputError, match="got an empty one"):
        draw_town(VectorMap())
    with pytest.raises(InputError, match=r"Track 'ego' must have axes"):
        draw_town(make_map(), {"ego": np.zeros((4, 5))})


def test_every_anchor_is_drawn_from_the_ego_on():
    anchors = make_proposals()[0][..., :2]
    (lines,) = lines_of(draw_anchors(anchors, trajectories=np.repeat(anchors, 3, axis=0)), "anchors")
    paths = np.array(lines.get_segments())
    np.testing.assert_allclose(paths[:, 0], 0.0)
    np.testing.assert_allclose(paths[:, 1:], np.stack([-anchors[..., 1], anchors[..., 0]], axis=-1))
    with pytest.raises(InputError, match=r"points must have axes \[M T 2\]"):
        draw_anchors(anchors[0])


def test_curves_share_a_panel_by_quantity():
    steps = np.arange(100.0)
    curves = {
        "train/loss": np.stack([steps, 1 / (1 + steps)], axis=1),
        "val/loss": np.array([[50, 0.5], [99, 0.2]]),
        "val/ade": np.array([[50, 2.0], [75, np.nan], [99, 1.0]]),
    }
    figure = draw_training_curves(curves, title="nano")
    assert [axes.get_title("left") for axes in figure.axes if axes.axison] == ["loss", "ade"]
    (validation,) = lines_of(figure, "val/ade")
    np.testing.assert_array_equal(validation.get_xydata(), [[50, 2], [99, 1]])
    (training,) = lines_of(figure, "train/loss")
    assert training.axes.get_title("left") == "loss"
    with pytest.raises(InputError, match="no finite value"):
        draw_training_curves({"train/loss": np.array([[0, np.nan]])})


def test_the_moving_average_neither_lags_nor_bends_at_the_ends():
    np.testing.assert_allclose(moving_average(np.full(20, 3.0), 5), 3.0)
    ramp = np.arange(40.0)
    np.testing.assert_allclose(moving_average(ramp, 5)[2:-2], ramp[2:-2])
    np.testing.assert_allclose(moving_average(np.array([0.0, 3.0, 6.0]), 3), [1.5, 3.0, 4.5])


def test_without_matplotlib_the_extra_is_named():
    script = """
        import sys
        sys.modules["matplotlib"] = None
        import importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *a: None if name == "matplotlib" else find(name, *a)
        from diffdrive.contracts import InputError
        try:
            import diffdrive.viz
        except InputError as error:
            print(error)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "pip install 'diffdrive[viz]'" in result.stdout
