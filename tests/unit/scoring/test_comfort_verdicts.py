"""The three comforts on states made for one rule each, and against scipy on random ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import savgol_filter
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scoring.metrics.comfort import comfort
from diffdrive.scoring.metrics.extended_comfort import extended_comfort
from diffdrive.scoring.metrics.history_comfort import history_comfort
from diffdrive.scoring.signals import ComfortBounds, Felt, centre_accelerations
from diffdrive.vehicle.state import ACCELERATION_X, ACCELERATION_Y, HEADING, YAW_ACCELERATION, YAW_RATE

LEVER = 1.461


def _calm(samples: int = 41, rows: int = 1) -> Tensor:
    states = torch.zeros(1, rows, samples, 11, dtype=torch.float64)
    states[..., 3] = 5.0
    return states


def _random(rows: int, seed: int, samples: int = 41) -> Tensor:
    """Drives of which about half are comfortable. The rows of a scene begin alike, in the first 15 samples."""
    rng = np.random.default_rng(seed)
    states = np.zeros((2, rows, samples, 11))
    scale = rng.uniform(0.0, 0.2, (2, rows, 1)) * np.where(np.arange(samples) < 15, 0.1, 1.0)
    scale[..., :15] = scale[:, :1, :15]
    columns = (ACCELERATION_X, ACCELERATION_Y, YAW_RATE, YAW_ACCELERATION, HEADING)
    for column, strength in zip(columns, (3.0, 3.0, 0.4, 0.3, 0.06), strict=True):
        noise = rng.normal(0, strength, (2, rows, samples))
        noise[..., :15] = noise[:, :1, :15]
        states[..., column] = (scale * noise).cumsum(axis=-1)
    states[..., HEADING] = (states[..., HEADING] + rng.uniform(-4, 4, (2, 1, 1)) + np.pi) % (2 * np.pi) - np.pi
    return torch.from_numpy(states)


def _filtered(signal: np.ndarray, window: int, order: int, derivative: int) -> np.ndarray:
    return np.round(savgol_filter(signal, window, order, deriv=derivative, delta=0.1, axis=-1), 8)


def _broken_by_scipy(samples: np.ndarray, *, is_v2: bool) -> np.ndarray:
    """[..., T] by the rules as one would write them down."""
    ax, ay = samples[..., ACCELERATION_X], samples[..., ACCELERATION_Y]
    along = ax + LEVER * (samples[..., YAW_RATE] ** 2 + samples[..., YAW_ACCELERATION]) if is_v2 else ax
    heading = np.unwrap(samples[..., HEADING], axis=-1)
    whole, jerk_window = (8, 15) if is_v2 else (41, 41)
    bounds = [
        (_filtered(along, whole, 2, 0), -4.05, 2.40),
        (_filtered(ay, whole, 2, 0), -4.89, 4.89),
        (_filtered(_filtered(np.hypot(ax, ay), 8, 2, 0), jerk_window, 2, 1), -8.37, 8.37),
        (_filtered(_filtered(along, 8, 2, 0), jerk_window, 2, 1), -4.13, 4.13),
        (_filtered(heading, 5, 3, 2), -1.93, 1.93),
        (_filtered(heading, 5, 2, 1), -0.95, 0.95),
    ]
    return np.any([~((low < signal) & (signal < high)) for signal, low, high in bounds], axis=0)


def test_comfort_equals_scipy() -> None:
    states = _random(60, seed=0)
    broken = _broken_by_scipy(states.numpy(), is_v2=False)
    verdict = comfort(states, corrected=False)
    np.testing.assert_array_equal(verdict.value.numpy(), 1.0 - broken.any(axis=-1))
    np.testing.assert_array_equal(verdict.step.numpy(), np.where(broken.any(axis=-1), broken.argmax(axis=-1), -1))
    assert 0.2 < broken.any(axis=-1).mean() < 0.8


@pytest.mark.parametrize("lengths", [(15, 14), (14, 14), (3, 15), (1, 2)])
def test_history_comfort_equals_scipy_for_every_length_of_the_past(lengths: tuple[int, int]) -> None:
    samples = _random(60, seed=1, samples=56)
    past, states = samples[:, 0, :15], samples[:, :, 15:]
    verdict = history_comfort(states, past, torch.tensor(lengths), corrected=False)
    for scene, length in enumerate(lengths):
        together = torch.cat([past[scene, 15 - length :].expand(60, -1, -1), states[scene]], dim=1)
        broken = _broken_by_scipy(together.numpy(), is_v2=True)
        np.testing.assert_array_equal(verdict.value[scene].numpy(), 1.0 - broken.any(axis=-1))
        steps = np.where(broken.any(axis=-1), np.maximum(broken.argmax(axis=-1) - length, 0), -1)
        np.testing.assert_array_equal(verdict.step[scene].numpy(), steps)
        assert 0.2 < broken.any(axis=-1).mean() < 0.8


def _plans_by_scipy(states: np.ndarray) -> list[np.ndarray]:
    acceleration = _filtered(np.hypot(states[..., ACCELERATION_X], states[..., ACCELERATION_Y]), 8, 2, 0)
    heading = np.unwrap(states[..., HEADING], axis=-1)
    jerk = _filtered(acceleration, 15, 2, 1)
    return [acceleration, jerk, _filtered(heading, 5, 2, 1), _filtered(heading, 5, 2, 2)]


@pytest.mark.parametrize(("interval_s", "lag"), [(0.5, 5), (0.549, 5), (0.1, 1), (1.0, 10)])
def test_extended_comfort_equals_scipy(interval_s: float, lag: int) -> None:
    rng = np.random.default_rng(2)
    before, now = _random(200, seed=2), torch.zeros(2, 200, 41, 11, dtype=torch.float64)
    now[:, :, : 41 - lag] = before[:, :, lag:]
    share = torch.from_numpy(rng.uniform(0, 0.12, (2, 200, 1)))
    for column in (ACCELERATION_X, ACCELERATION_Y, HEADING):
        now[..., column] += share * torch.from_numpy(rng.normal(0, 0.2, (2, 200, 41)).cumsum(axis=-1))
    pairs = zip(_plans_by_scipy(now[:, :, :-lag].numpy()), _plans_by_scipy(before[:, :, lag:].numpy()), strict=True)
    differences = [np.sqrt(np.mean((a - b) ** 2, axis=-1)) for a, b in pairs]
    expected = np.all([d <= bound for d, bound in zip(differences, (0.7, 0.5, 0.1, 0.1), strict=True)], axis=0)
    verdict = extended_comfort(now, before, interval_s=interval_s)
    np.testing.assert_array_equal(verdict.value.numpy(), expected.astype(float))
    assert 0.05 < expected.mean() < 0.95 and (verdict.step == -1).all()


@pytest.mark.parametrize(("column", "size"), [(ACCELERATION_X, 0.71), (HEADING, 0.011)])
def test_extended_comfort_needs_both_acceleration_and_heading_alike(column: int, size: float) -> None:
    now = _calm()
    now[..., ACCELERATION_X] = 1.0
    before = now.clone()
    assert float(extended_comfort(now, before, interval_s=0.5).value) == 1.0
    now[..., column] += size * (torch.arange(41) if column == HEADING else 1.0)
    assert float(extended_comfort(now, before, interval_s=0.5).value) == 0.0


def test_extended_comfort_refuses_plans_without_enough_overlap() -> None:
    with pytest.raises(InputError, match="got 3 s"):
        extended_comfort(_calm(), _calm(), interval_s=3.0)
    with pytest.raises(InputError, match="got 0 s"):
        extended_comfort(_calm(), _calm(), interval_s=0.0)


def _felt() -> Felt:
    nothing = torch.zeros(1, 1, 4, dtype=torch.float64)
    return Felt(
        longitudinal_acceleration=nothing,
        lateral_acceleration=nothing,
        jerk=nothing,
        longitudinal_jerk=nothing,
        yaw_acceleration=nothing,
        yaw_rate=nothing,
    )


@pytest.mark.parametrize(
    ("signal", "low", "high"),
    [
        ("longitudinal_acceleration", -4.05, 2.40),
        ("lateral_acceleration", -4.89, 4.89),
        ("jerk", -8.37, 8.37),
        ("longitudinal_jerk", -4.13, 4.13),
        ("yaw_acceleration", -1.93, 1.93),
        ("yaw_rate", -0.95, 0.95),
    ],
)
def test_each_bound_itself_is_too_much(signal: str, low: float, high: float) -> None:
    values = torch.tensor([[[low, low + 1e-8, high - 1e-8, high]]], dtype=torch.float64)
    broken = ComfortBounds().broken(replace(_felt(), **{signal: values}))
    assert broken.tolist() == [[[True, False, False, True]]]


def test_constant_accelerations_are_judged_to_the_eighth_decimal() -> None:
    states = _calm(rows=3)
    for row, value in enumerate((2.4, 2.4 - 4e-9, 2.4 - 6e-9)):
        states[:, row, :, ACCELERATION_X] = value
    assert comfort(states, corrected=False).value.tolist() == [[0.0, 0.0, 1.0]]


def test_only_a_past_with_samples_is_judged() -> None:
    states = _calm()
    states[..., ACCELERATION_X] = 3.0
    past = states[:, 0, :15]
    assert float(history_comfort(states, past, torch.tensor([14]), corrected=False).value) == 0.0
    assert float(history_comfort(states, past, torch.tensor([0]), corrected=False).value) == 1.0
    assert float(history_comfort(states, past[:, :0], torch.tensor([0]), corrected=False).value) == 1.0


def test_a_break_in_the_past_counts_as_the_present() -> None:
    states, past = _calm(), _calm(15)[:, 0]
    past[:, :4, ACCELERATION_Y] = 8.0
    verdict = history_comfort(states, past, torch.tensor([15]), corrected=False)
    assert float(verdict.value) == 0.0 and int(verdict.step) == 0
    assert float(history_comfort(states, past, torch.tensor([5]), corrected=False).value) == 1.0


def test_the_first_broken_step_counts_from_the_present() -> None:
    states = _calm()
    states[:, :, 25:, ACCELERATION_Y] = 8.0
    verdict = history_comfort(states, _calm(15)[:, 0], torch.tensor([14]), corrected=False)
    assert 20 <= int(verdict.step) <= 26


def test_the_devkit_adds_rotation_to_the_wrong_axis() -> None:
    """c * (w^2 + a) along, where it should be -c * w^2 along and c * a across."""
    states = _calm(rows=2)
    states[:, 0, :, YAW_RATE] = 0.9
    states[:, 1, :, YAW_ACCELERATION] = 1.0
    past = _calm(15)[:, 0]
    along, across = centre_accelerations(states, corrected=False)
    assert along[0, :, 0].tolist() == pytest.approx([LEVER * 0.81, LEVER]) and not across.any()
    along, across = centre_accelerations(states, corrected=True)
    assert along[0, :, 0].tolist() == pytest.approx([-LEVER * 0.81, 0.0])
    assert across[0, :, 0].tolist() == pytest.approx([0.0, LEVER])

    states[..., ACCELERATION_X] = 1.3
    past[..., ACCELERATION_X] = 1.3
    for corrected, expected in ((False, [[0.0, 0.0]]), (True, [[1.0, 1.0]])):
        assert history_comfort(states, past, torch.tensor([15]), corrected=corrected).value.tolist() == expected


def test_comfort_of_v1_takes_the_rear_axle_unless_corrected() -> None:
    states = _calm()
    states[..., ACCELERATION_X] = -3.5
    states[..., YAW_RATE] = 0.8
    assert float(comfort(states, corrected=False).value) == 1.0
    assert float(comfort(states, corrected=True).value) == 0.0


def test_v1_forgives_a_short_peak_that_v2_does_not() -> None:
    """Its window is the whole drive."""
    states = _calm()
    states[:, :, 15:25, ACCELERATION_Y] = 6.0
    assert float(comfort(states, corrected=False).value) == 1.0
    assert float(history_comfort(states, _calm(15)[:, 0], torch.tensor([15]), corrected=False).value) == 0.0


def test_jerks_of_v1_come_from_accelerations_smoothed_over_eight_samples() -> None:
    """A parabola's jerk is largest at its ends, where smoothing shows: the bound is crossed where scipy says."""
    curvature = torch.linspace(0.98, 1.1, 121, dtype=torch.float64)
    times = 0.1 * torch.arange(41, dtype=torch.float64) - 2.0
    states = _calm(rows=121)
    states[..., ACCELERATION_X] = curvature[:, None] * times**2 - 2.0
    broken = _broken_by_scipy(states.numpy(), is_v2=False).any(axis=-1)
    np.testing.assert_array_equal(comfort(states, corrected=False).value.numpy(), 1.0 - broken)
    unsmoothed = 4.0 * curvature.numpy() >= 4.13
    assert (broken != unsmoothed).any() and 0 < broken.mean() < 1
