import itertools
import math

import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.diffusion import NoiseSchedule


@pytest.mark.parametrize(("level", "alpha_bar"), [(0, 0.99990), (8, 0.999002), (9, 0.998877), (10, 0.998749), (49, 0.991116)])
def test_alpha_bar_is_the_scaled_linear_schedule(level: int, alpha_bar: float) -> None:
    assert NoiseSchedule().alpha_bar(level) == pytest.approx(alpha_bar, abs=6e-7)


def test_noise_grows_with_the_level_and_variance_is_kept() -> None:
    schedule = NoiseSchedule()
    pairs = [schedule.signal_and_noise(level) for level in range(schedule.num_levels)]
    assert all(later[1] > earlier[1] for earlier, later in itertools.pairwise(pairs))
    assert all(signal**2 + noise**2 == pytest.approx(1.0) for signal, noise in pairs)


def test_one_level_per_sample_equals_samples_one_by_one() -> None:
    schedule = NoiseSchedule()
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(4, 2, generator=generator), torch.randn(3, 4, 2, generator=generator)
    levels = torch.tensor([0, 7, 49])
    together = schedule.add_noise(clean, noise, levels)
    for index, level in enumerate(levels.tolist()):
        torch.testing.assert_close(together[index], schedule.add_noise(clean, noise[index], level), rtol=0, atol=1e-6)


def test_add_noise_weighs_signal_and_noise() -> None:
    schedule = NoiseSchedule()
    x_t = schedule.add_noise(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 8)
    assert x_t.tolist() == pytest.approx([math.sqrt(schedule.alpha_bar(8)), math.sqrt(1 - schedule.alpha_bar(8))])


@pytest.mark.parametrize("level", [-1, 1000])
def test_a_level_outside_the_schedule_is_an_error(level: int) -> None:
    with pytest.raises(InputError, match=r"outside this schedule's 0 \.\. 999"):
        NoiseSchedule().alpha_bar(level)


def test_a_schedule_without_noise_is_an_error() -> None:
    with pytest.raises(InputError, match="beta_start"):
        NoiseSchedule(beta_start=0.0)
