"""Savitzky-Golay matrices against scipy."""

import numpy as np
import pytest
import torch
from scipy.signal import savgol_filter

from diffdrive.scoring.metrics.comfort import WHOLE_JERK, WHOLE_SMOOTH
from diffdrive.scoring.metrics.extended_comfort import QUADRATIC_TURN_ACCELERATION
from diffdrive.scoring.savitzky_golay import SavitzkyGolay
from diffdrive.scoring.signals import JERK, SMOOTH, TURN_ACCELERATION, TURN_RATE

FILTERS = [SMOOTH, JERK, TURN_RATE, TURN_ACCELERATION, QUADRATIC_TURN_ACCELERATION, WHOLE_SMOOTH, WHOLE_JERK]


def _scipy(filter_: SavitzkyGolay, signals: np.ndarray) -> np.ndarray:
    window = min(filter_.window, signals.shape[-1])
    return savgol_filter(signals, window, filter_.order, deriv=filter_.derivative, delta=0.1, axis=-1)


@pytest.mark.parametrize("filter_", FILTERS, ids=str)
@pytest.mark.parametrize("samples", [36, 41, 55, 56])
def test_equals_scipy_but_for_rounding(filter_: SavitzkyGolay, samples: int) -> None:
    signals = np.random.default_rng(0).normal(size=(2, 3, samples))
    found = filter_(torch.from_numpy(signals)).numpy()
    np.testing.assert_allclose(found, _scipy(filter_, signals), rtol=0, atol=5.1e-9)
    np.testing.assert_array_equal(found, np.round(found, 8))


@pytest.mark.parametrize("filter_", [SMOOTH, JERK, TURN_RATE, TURN_ACCELERATION], ids=str)
def test_scenes_with_missing_samples_are_filtered_as_if_alone(filter_: SavitzkyGolay) -> None:
    signals = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 3, 56)))
    missing = torch.tensor([0, 1, 15, 1])
    found = filter_(signals, missing)
    for row, (scene, gap) in enumerate(zip(signals, missing.tolist(), strict=True)):
        torch.testing.assert_close(found[row, :, gap:], filter_(scene[None, :, gap:])[0], rtol=0, atol=1.1e-8)
        assert not found[row, :, :gap].any()


def test_what_stands_in_a_missing_sample_does_not_matter() -> None:
    signals = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 3, 50)))
    other = signals.clone()
    other[..., :9] = 1e6
    missing = torch.tensor([9])
    assert torch.equal(JERK(signals, missing), JERK(other, missing))
