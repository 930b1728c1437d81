"""Anchors: clustering, the file and its verification, the command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdrive.anchors import AnchorSet, Bounds, fit_anchors
from diffdrive.cli import main
from diffdrive.contracts import InputError
from diffdrive.diffusion import BoxNormalizer

REAL = Path(os.environ.get("DIFFDRIVE_REAL_DATA", Path(__file__).parents[4] / "shared" / "real")) / "av2"
SHIPPED = Path(__file__).parents[3] / "anchors"


def trajectories(count: int = 60, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    times = np.arange(1, 9) * 0.5
    speed, bend = rng.uniform(0, 12, (count, 1)), rng.uniform(-0.03, 0.03, (count, 1))
    arc = speed * times
    return np.stack([arc, bend * arc**2 / 2, bend * arc], axis=-1)


@pytest.fixture
def anchors() -> AnchorSet:
    return fit_anchors(trajectories(), 6, 0, "made up")


# --- clustering -----------------------------------------------------------------------------------------------------


def test_separate_groups_become_their_means():
    rng = np.random.default_rng(3)
    centres = np.array([[30.0, 0.0], [5.0, 0.0], [30.0, 10.0]])
    rows = [centre * (np.arange(1, 9) / 8)[:, None] + rng.normal(0, 0.05, (20, 8, 2)) for centre in centres]
    fitted = fit_anchors(np.concatenate(rows), 3, 0, "groups")
    # In order of how far ahead they end; these three also in k-means' own, arbitrary order otherwise.
    assert np.allclose(fitted.points[0], rows[1].mean(axis=0), atol=1e-5)
    assert {tuple(np.round(p[-1])) for p in fitted.points[1:]} == {(30.0, 0.0), (30.0, 10.0)}
    distances = sum(((group - group.mean(axis=0)) ** 2).sum() for group in rows)
    assert fitted.inertia == pytest.approx(distances)
    assert (fitted.count, fitted.num_modes, fitted.num_poses, fitted.source) == (60, 3, 8, "groups")


def test_equal_input_and_seed_give_equal_files_whatever_the_order_of_rows():
    rows = trajectories()
    first, again = fit_anchors(rows, 6, 4, "x"), fit_anchors(rows, 6, 4, "x")
    assert first.sha256 == again.sha256
    well_apart = np.concatenate([np.full((5, 8, 2), 20.0 * k) + np.arange(5)[:, None, None] * 0.1 for k in range(4)])
    shuffled = np.random.default_rng(0).permutation(well_apart)
    assert np.allclose(fit_anchors(well_apart, 4, 0, "x").points, fit_anchors(shuffled, 4, 9, "x").points, atol=1e-5)


def test_anchors_come_in_order_of_how_far_they_go(anchors):
    ends = anchors.points[:, -1, 0]
    assert np.all(np.diff(ends) >= 0)


def test_headings_do_not_take_part():
    rows = trajectories()
    turned = rows.copy()
    turned[..., 2] += 1.0
    assert (
        fit_anchors(rows, 5, 0, "x").sha256
        == fit_anchors(turned, 5, 0, "x").sha256
        == fit_anchors(rows[..., :2], 5, 0, "x").sha256
    )


@pytest.mark.parametrize(
    "rows, k, words",
    [
        (np.zeros((5, 8)), 2, "axes"),
        (np.zeros((5, 8, 1)), 2, "axes"),
        (np.zeros((0, 8, 2)), 1, "0 distinct"),
        (np.zeros((30, 8, 2)), 2, "1 distinct trajectories .30 in all"),
        (trajectories(10), 0, "between 1 and 10"),
        (np.where(np.arange(16).reshape(1, 8, 2) == 3, np.nan, 1.0).repeat(4, axis=0), 1, "finite"),
    ],
)
def test_what_cannot_be_clustered_says_so(rows, k, words):
    with pytest.raises(InputError, match=words):
        fit_anchors(rows, k, 0, "x")


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 30), scale=st.floats(0, 100), seed=st.integers(0, 1000))
def test_the_bounds_hold_every_point_with_room_to_spare(count, scale, seed):
    rows = np.random.default_rng(seed).normal(0, 1, (count, 8, 3)) * scale
    bounds = Bounds.around(rows)
    x, y = rows[..., 0], rows[..., 1]
    assert bounds.x_min_m <= x.min() - 1 and bounds.x_max_m >= x.max() + 1
    assert bounds.y_min_m <= y.min() - 1 and bounds.y_max_m >= y.max() + 1
    assert bounds.x_max_m - bounds.x_min_m <= 1.1 * np.ptp(x) + 2 + 1e-6


def test_the_bounds_make_a_normalizer_that_keeps_the_data_inside(anchors):
    import dataclasses

    import torch

    normalizer = BoxNormalizer(**dataclasses.asdict(anchors.bounds))
    inside = normalizer.normalize(torch.from_numpy(trajectories()[..., :2]))
    assert inside.abs().max() < 1


# --- the file -------------------------------------------------------------------------------------------------------


def test_what_was_saved_comes_back(anchors, tmp_path):
    anchors.save(tmp_path / "deep" / "a.npy")
    back = AnchorSet.load(tmp_path / "deep" / "a.npy")
    assert np.array_equal(back.points, anchors.points) and back.points.dtype == np.float32
    for name in ("interval_s", "source", "count", "seed", "inertia", "bounds", "sha256"):
        assert getattr(back, name) == getattr(anchors, name)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["a.json", "a.npy"]
    text = json.loads((tmp_path / "deep" / "a.json").read_text())
    assert text["k"] == 6 and text["distance"] and set(text["normalizer"]) == {"x_min_m", "x_max_m", "y_min_m", "y_max_m"}


def test_points_are_frozen(anchors):
    with pytest.raises(ValueError):
        anchors.points[0, 0, 0] = 1


def test_one_changed_number_is_noticed(anchors, tmp_path):
    anchors.save(tmp_path / "a.npy")
    points = np.load(tmp_path / "a.npy")
    points[0, 0, 0] += 1e-3
    np.save(tmp_path / "a.npy", points)
    with pytest.raises(InputError, match="sha256"):
        AnchorSet.load(tmp_path / "a.npy")


def edit(description: Path, **changes) -> None:
    text = json.loads(description.read_text()) | changes
    description.write_text(json.dumps({key: value for key, value in text.items() if value is not None}))


DAMAGES = {
    "truncated": lambda npy, _: npy.write_bytes(npy.read_bytes()[:100]),
    "empty": lambda npy, _: npy.write_bytes(b""),
    "doubles": lambda npy, _: np.save(npy, np.load(npy).astype(np.float64)),
    "nan": lambda npy, _: np.save(npy, np.full((6, 8, 2), np.nan, np.float32)),
    "flat": lambda npy, _: np.save(npy, np.zeros((6, 16), np.float32)),
    "no json": lambda _, description: description.unlink(),
    "half a json": lambda _, description: description.write_text("{"),
    "a list": lambda _, description: description.write_text("[1]"),
    "key missing": lambda _, description: edit(description, seed=None),
    "bounds": lambda _, description: edit(description, normalizer={"x_max": 3}),
}


@pytest.mark.parametrize(
    "what, words",
    [
        ("truncated", "cannot be read"),
        ("empty", "cannot be read"),
        ("doubles", "float32"),
        ("nan", "finite"),
        ("flat", "axes"),
        ("no json", "does not exist"),
        ("half a json", "cannot be read"),
        ("a list", "mapping"),
        ("key missing", "seed"),
        ("bounds", "no description of anchors"),
    ],
)
def test_every_damage_is_one_clear_error(anchors, tmp_path, what, words):
    anchors.save(tmp_path / "a.npy")
    DAMAGES[what](tmp_path / "a.npy", tmp_path / "a.json")
    with pytest.raises(InputError, match=words):
        AnchorSet.load(tmp_path / "a.npy")


def test_a_missing_file_names_the_command(tmp_path):
    with pytest.raises(InputError, match="diffdrive anchors fit --out"):
        AnchorSet.load(tmp_path / "none.npy")
    with pytest.raises(InputError, match=r"ends in \.npy"):
        AnchorSet.load(tmp_path / "none.json")


def test_an_interrupted_save_leaves_the_old_file_whole(anchors, tmp_path, monkeypatch):
    anchors.save(tmp_path / "a.npy")
    before = (tmp_path / "a.npy").read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        fit_anchors(trajectories(seed=5), 6, 0, "other").save(tmp_path / "a.npy")
    assert (tmp_path / "a.npy").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.npy"]
    AnchorSet.load(tmp_path / "a.npy")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.npy")), ids=lambda path: path.stem)
def test_shipped_anchors_are_whole(path):
    assert AnchorSet.load(path).num_modes == 20


# --- the command ----------------------------------------------------------------------------------------------------


def test_show_prints_where_anchors_came_from(anchors, tmp_path, capsys):
    anchors.save(tmp_path / "a.npy")
    assert main.main(["anchors", "show", str(tmp_path / "a.npy")]) == 0
    printed = capsys.readouterr().out
    assert "made up" in printed and anchors.sha256 in printed and len(printed.splitlines()) == 6 + 6
    assert main.main(["anchors", "show", str(tmp_path / "none.npy")]) == 2


def test_fit_refuses_an_output_that_is_no_npy_before_reading_logs(tmp_path, capsys):
    assert main.main(["anchors", "fit", "--logs", str(tmp_path), "--out", str(tmp_path / "a.txt")]) == 2
    assert "--out must end in .npy" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real recordings at {REAL} (set DIFFDRIVE_REAL_DATA)")
def test_fit_on_real_recordings(tmp_path, capsys):
    pytest.importorskip("py123d")
    out = tmp_path / "real.npy"
    assert main.main(["anchors", "fit", "--logs", str(REAL), "--k", "5", "--out", str(out)]) == 0
    fitted = AnchorSet.load(out)
    assert fitted.points.shape == (5, 8, 2) and fitted.count == 42
    # City driving: nobody reverses, nobody exceeds 15 m/s.
    assert fitted.points[..., 0].min() > -0.5 and fitted.points[:, -1, 0].max() < 60
    assert main.main(["anchors", "fit", "--logs", str(REAL), "--split", "av2-sensor_val", "--k", "5", "--out", str(out)]) == 0
    assert AnchorSet.load(out).count == 21
    assert main.main(["anchors", "fit", "--logs", str(REAL), "--split", "elsewhere", "--out", str(out)]) == 2
