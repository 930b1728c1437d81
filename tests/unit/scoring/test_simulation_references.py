"""Interpolation against scipy, and the devkit's microseconds."""

import numpy as np
import pytest
import torch
from scipy.interpolate import interp1d

from diffdrive.contracts import InputError
from diffdrive.scoring.simulation import interpolate_references, simulate

NOW_US = 1_630_000_000_123_457
START = np.array([331052.0, 4690002.0, 2.9])


def _trajectories(num_poses: int = 8, count: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    steps = rng.normal([4.0, 0.0, 0.0], [1.0, 0.3, 0.3], (count, num_poses, 3))
    return steps.cumsum(axis=1)


def _devkit_times(now_us: int, num_poses: int, interval_s: float) -> tuple[np.ndarray, np.ndarray]:
    now_s = now_us * 1e-6
    knots = [int(time * 1e6) for time in np.arange(0, num_poses * interval_s, interval_s)[:num_poses] + interval_s + now_s]
    queries = [int(time * 1e6) for time in np.arange(0, 4.1, 0.1) + now_s]
    return np.array([now_us, *knots]), np.clip(queries, now_us, knots[-1])


def _expected(now_us: int, start: np.ndarray, poses: np.ndarray, interval_s: float) -> np.ndarray:
    c, s = np.cos(start[2]), np.sin(start[2])
    x, y = c * poses[:, 0] - s * poses[:, 1] + start[0], s * poses[:, 0] + c * poses[:, 1] + start[1]
    knots = np.concatenate([start[None], np.column_stack([x, y, poses[:, 2] + start[2]])])
    knots[:, 2] = np.unwrap(knots[:, 2])
    times, queries = _devkit_times(now_us, len(poses), interval_s)
    reference = interp1d(times - now_us, knots, axis=0)(queries - now_us)
    reference[:, 2] = (reference[:, 2] + np.pi) % (2 * np.pi) - np.pi
    return reference


def _references(now_us: list[int], starts: np.ndarray, trajectories: np.ndarray, interval_s: float) -> np.ndarray:
    return interpolate_references(
        torch.from_numpy(starts), torch.tensor(now_us), torch.from_numpy(trajectories), interval_s
    ).numpy()


@pytest.mark.parametrize(("num_poses", "interval_s"), [(8, 0.5), (40, 0.1), (10, 0.4), (4, 1.0), (6, 0.7)])
def test_equals_scipy_at_the_devkits_times(num_poses: int, interval_s: float) -> None:
    trajectories = _trajectories(num_poses)
    found = _references([NOW_US], START[None], trajectories[None], interval_s)[0]
    expected = [_expected(NOW_US, START, poses, interval_s) for poses in trajectories]
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=2e-9)


def test_each_scene_has_its_own_start_and_times() -> None:
    starts = np.stack([START, np.zeros(3), np.array([-5.0, 7.0, -1.0])])
    now_us = [NOW_US, 315_973_159_459_502, 1]
    trajectories = np.stack([_trajectories(), 2.0 * _trajectories(), _trajectories()[::-1]])
    together = _references(now_us, starts, trajectories, 0.5)
    for index, now in enumerate(now_us):
        alone = _references([now], starts[index : index + 1], trajectories[index : index + 1], 0.5)
        np.testing.assert_array_equal(together[index], alone[0])


def _moved_by_a_microsecond(now_us: int) -> np.ndarray:
    """Which of 41 samples of a drive at 1000 km/s are a metre behind: one a microsecond early."""
    poses = np.zeros((1, 1, 8, 3))
    poses[..., 0] = 0.5e6 * np.arange(1, 9)
    x = _references([now_us], np.zeros((1, 3)), poses, 0.5)[0, 0, :, 0]
    return np.round(x - 1e5 * np.arange(41)).astype(int)


def test_times_lose_a_microsecond_where_the_devkits_do() -> None:
    rng = np.random.default_rng(1)
    seen = set()
    for now_us in rng.integers(1_500_000_000_000_000, 1_700_000_000_000_000, 40).tolist():
        knots, queries = _devkit_times(now_us, 8, 0.5)
        poses = 0.5e6 * np.arange(9)
        expected = np.interp(queries - now_us, knots - now_us, poses) - 1e5 * np.arange(41)
        np.testing.assert_array_equal(_moved_by_a_microsecond(now_us), np.round(expected).astype(int))
        seen |= set(np.round(expected).astype(int).tolist())
    assert seen > {0}


def test_microseconds_are_multiplied_into_seconds() -> None:
    """Division rounds otherwise: a time where the two disagree tells which one is used."""
    times = np.random.default_rng(2).integers(1_500_000_000_000_000, 1_700_000_000_000_000, 2000)
    samples = np.arange(0, 4.1, 0.1)
    for now_us in times.tolist():
        multiplied = ((samples + now_us * 1e-6) * 1e6).astype(np.int64)
        divided = ((samples + now_us / 1e6) * 1e6).astype(np.int64)
        if (multiplied[1:] != divided[1:])[:30].any():
            break
    else:
        pytest.fail("no time tells multiplication from division")
    knots, queries = _devkit_times(now_us, 8, 0.5)
    expected = np.interp(queries - now_us, knots - now_us, 0.5e6 * np.arange(9)) - 1e5 * np.arange(41)
    np.testing.assert_array_equal(_moved_by_a_microsecond(now_us), np.round(expected).astype(int))


def test_a_first_sample_before_the_present_is_the_present() -> None:
    """Truncation may put t = 0 a microsecond early; nothing is extrapolated to there."""
    early = next(now for now in range(NOW_US, NOW_US + 1000) if int(now * 1e-6 * 1e6) < now)
    reference = _references([early], START[None], _trajectories()[None], 0.5)
    np.testing.assert_array_equal(reference[0, :, 0, :2], np.broadcast_to(START[:2], (5, 2)))


def test_headings_take_the_shorter_arc() -> None:
    poses = np.zeros((1, 1, 8, 3))
    poses[..., 2] = np.where(np.arange(8) % 2 == 0, 3.0, -3.0)
    headings = _references([0], np.array([[0.0, 0.0, 3.0]]), poses - [0, 0, 3.0], 0.5)[0, 0, :, 2]
    assert np.abs(headings).min() > 2.99 and headings.min() >= -np.pi and headings.max() < np.pi


def test_what_lies_beyond_four_seconds_does_not_matter() -> None:
    long = _trajectories(12)
    cut = _references([NOW_US], START[None], long[None, :, :8], 0.5)
    np.testing.assert_array_equal(_references([NOW_US], START[None], long[None], 0.5), cut)


def test_a_short_trajectory_is_refused() -> None:
    with pytest.raises(InputError, match=r"must reach 4 s.*got 6 poses 0.5 s apart = 3 s. Give 8 poses"):
        _references([NOW_US], START[None], _trajectories(6)[None], 0.5)
    with pytest.raises(InputError, match="interval_s must be positive"):
        _references([NOW_US], START[None], _trajectories()[None], 0.0)


def test_shapes_are_checked() -> None:
    with pytest.raises(InputError, match="timestamps_us"):
        _references([NOW_US, NOW_US], START[None], _trajectories()[None], 0.5)
    with pytest.raises(InputError, match="references"):
        simulate(torch.zeros(2, 11), torch.zeros(3, 1, 41, 3), corrected=False)
    with pytest.raises(InputError, match="references"):
        simulate(torch.zeros(1, 11), torch.zeros(1, 1, 40, 3), corrected=False)


def test_a_last_sample_after_the_last_pose_is_that_pose() -> None:
    """Close to the epoch a pose of four seconds may fall a microsecond short of the sample there."""
    num_poses = next(n for n in range(2, 200) if (n - 1) * (4.0 / n) + 4.0 / n < 4.0)
    poses = np.zeros((1, 1, num_poses, 3))
    poses[..., 0] = np.linspace(0, 4e6, num_poses + 1)[1:]
    last = _references([0], np.zeros((1, 3)), poses, 4.0 / num_poses)[0, 0, -1, 0]
    assert last == pytest.approx(4e6, abs=1e-6)
