"""The fits against plain least squares."""

import numpy as np
import pytest
import torch

from diffdrive.vehicle.reference_profile import fit_curvatures, fit_velocities

STEPS, INTERVAL = 40, 0.1
PENALTY, RATE_PENALTY, RIDGE = 1e-4, 1e-2, 1e-10


def _cumulative(first: float, later: float) -> np.ndarray:
    """[K, K] that sums a start value and K - 1 rates up to values."""
    return np.hstack([np.full((STEPS, 1), first), np.tril(np.full((STEPS, STEPS - 1), later), k=-1)])


def _least_squares_velocities(advance: np.ndarray, textbook: bool) -> np.ndarray:
    speeds_from_unknowns = _cumulative(1.0, INTERVAL)
    changes = np.zeros((STEPS - 2, STEPS))
    for row in range(STEPS - 2):
        changes[row, row + 1] = -1.0
        if textbook or row == STEPS - 3:
            changes[row, row + 2] = 1.0
    system = np.vstack([INTERVAL * speeds_from_unknowns, np.sqrt(PENALTY) * changes])
    target = np.concatenate([advance, np.zeros(STEPS - 2)])
    return speeds_from_unknowns @ np.linalg.lstsq(system, target, rcond=None)[0]


def _velocities(positions: np.ndarray, headings: np.ndarray, *, textbook: bool) -> np.ndarray:
    directions = np.stack([np.cos(headings[:-1]), np.sin(headings[:-1])], axis=1)
    return fit_velocities(
        torch.from_numpy(positions)[..., None],
        torch.from_numpy(directions)[..., None],
        INTERVAL,
        penalty=PENALTY,
        textbook=textbook,
    )[:, 0].numpy()


def _curvatures(headings: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    return fit_curvatures(
        torch.from_numpy(headings)[:, None],
        torch.from_numpy(velocities)[:, None],
        INTERVAL,
        rate_penalty=RATE_PENALTY,
        ridge=RIDGE,
    )[:, 0].numpy()


@pytest.mark.parametrize("textbook", [True, False])
def test_velocities_are_the_least_squares_ones(textbook: bool) -> None:
    rng = np.random.default_rng(0)
    headings = rng.normal(size=STEPS + 1).cumsum()
    positions = rng.normal(size=(STEPS + 1, 2)).cumsum(axis=0)
    ahead = np.stack([np.cos(headings[:-1]), np.sin(headings[:-1])], axis=1)
    advance = (np.diff(positions, axis=0) * ahead).sum(axis=1)
    expected = _least_squares_velocities(advance, textbook)
    np.testing.assert_allclose(_velocities(positions, headings, textbook=textbook), expected, rtol=0, atol=1e-11)


def test_only_the_textbook_regulariser_leaves_a_constant_acceleration_alone() -> None:
    """NAVSIM's own pulls accelerations to zero."""
    speeds = 3.0 + 2.0 * INTERVAL * np.arange(STEPS)
    positions = np.zeros((STEPS + 1, 2))
    positions[1:, 0] = np.cumsum(speeds * INTERVAL)
    level = np.zeros(STEPS + 1)
    np.testing.assert_allclose(_velocities(positions, level, textbook=True), speeds, atol=1e-10)
    assert np.abs(_velocities(positions, level, textbook=False) - speeds).max() > 1e-3


@pytest.mark.parametrize(
    "velocities",
    [
        np.full(STEPS, 12.0),
        np.linspace(-3.0, 3.0, STEPS),
        np.random.default_rng(1).normal(0.0, 0.05, STEPS),
        np.where(np.arange(STEPS) % 7 < 4, 0.0, 5.0),
    ],
    ids=["driving", "reversing", "jittering", "stop and go"],
)
def test_curvatures_are_the_least_squares_ones(velocities: np.ndarray) -> None:
    headings = np.random.default_rng(2).normal(0.0, 0.1, STEPS + 1).cumsum()
    curvatures_from_unknowns = _cumulative(1.0, INTERVAL)
    system = np.vstack(
        [
            INTERVAL * velocities[:, None] * curvatures_from_unknowns,
            np.diag(np.sqrt([RIDGE, *[RATE_PENALTY] * (STEPS - 1)])),
        ]
    )
    target = np.concatenate([np.diff(headings), np.zeros(STEPS)])
    expected = curvatures_from_unknowns @ np.linalg.lstsq(system, target, rcond=None)[0]
    np.testing.assert_allclose(_curvatures(headings, velocities), expected, rtol=1e-9, atol=1e-11)


def test_curvatures_at_standstill_are_zero_and_finite() -> None:
    headings = np.random.default_rng(3).normal(0.0, 0.1, STEPS + 1)
    assert np.array_equal(_curvatures(headings, np.zeros(STEPS)), np.zeros(STEPS))
    # A creep of a hair's breadth: the ridge alone decides, and the pivots keep their digits.
    crept = _curvatures(np.full(STEPS + 1, 0.3), np.full(STEPS, 1e-12))
    assert np.array_equal(crept, np.zeros(STEPS))


def test_curvature_at_a_creep_is_what_the_ridge_says() -> None:
    """With one common curvature the fit is a quotient; elimination without cancellation keeps ten digits of it."""
    velocities, turn = np.full(STEPS, 1e-4), 1e-7
    ways = velocities * INTERVAL
    expected = (ways * turn).sum() / ((ways**2).sum() + RIDGE)
    found = _curvatures(turn * np.arange(STEPS + 1), velocities)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_heading_that_passes_half_a_turn_is_no_sharp_bend() -> None:
    headings = (3.0 + 0.02 * np.arange(STEPS + 1) + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(_curvatures(headings, np.full(STEPS, 4.0)), 0.05, rtol=1e-6)
