import pytest
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.diffusion import CLEAN, DDIM, REFERENCE, JumpTable, NoiseSchedule, step

SCHEDULE = NoiseSchedule()


def _pair(spread: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(64, generator=generator), spread * torch.randn(64, generator=generator)


def test_the_reference_step_matches_its_closed_form_outside_the_box_too() -> None:
    z, x0 = _pair(spread=2.0)
    assert (x0.abs() > 1).any()
    expected = 0.9474844 * z + 0.9994385 * x0.clamp(-1, 1) - 0.9468917 * x0
    from_level, to_level = REFERENCE.jumps[0]
    ours = step(z, x0, from_level, to_level, SCHEDULE, clips_prediction=REFERENCE.clips_prediction)
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-6)


def test_the_ddim_table_jumps_the_whole_stride() -> None:
    z, x0 = _pair(spread=0.3)
    ours = step(z, x0, *DDIM.jumps[0], SCHEDULE, clips_prediction=DDIM.clips_prediction)
    torch.testing.assert_close(ours, 0.2828 * z + 0.7173 * x0, rtol=0, atol=2e-4)


@pytest.mark.parametrize("table", [REFERENCE, DDIM])
def test_a_perfect_prediction_stays_on_its_own_noise_path(table: JumpTable) -> None:
    noise, clean = _pair(spread=0.2)
    for from_level, to_level in table.jumps[:-1]:
        x_t = SCHEDULE.add_noise(clean, noise, from_level)
        expected = SCHEDULE.add_noise(clean, noise, to_level)
        torch.testing.assert_close(step(x_t, clean, from_level, to_level, SCHEDULE), expected, rtol=0, atol=1e-5)


def test_the_last_jump_returns_the_prediction_unclipped() -> None:
    z, x0 = _pair(spread=2.0)
    assert step(z, x0, 0, CLEAN, SCHEDULE, clips_prediction=True) is x0


def test_guidance_moves_the_prediction_before_the_jump() -> None:
    z, x0 = _pair(spread=0.3)
    seen: list[int] = []

    def guidance(prediction: Tensor, level: int) -> Tensor:
        seen.append(level)
        return prediction + 0.1

    guided = step(z, x0, 10, 0, SCHEDULE, guidance=guidance)
    torch.testing.assert_close(guided, step(z, x0 + 0.1, 10, 0, SCHEDULE))
    assert seen == [10]


@pytest.mark.parametrize(
    ("jumps", "message"),
    [
        ((), "must end with a jump to clean"),
        (((10, 0),), "must end with a jump to clean"),
        (((10, CLEAN), (0, CLEAN)), "only the last jump"),
        (((0, 10), (10, CLEAN)), "lower level"),
    ],
)
def test_a_table_that_leads_nowhere_is_an_error(jumps: tuple[tuple[int, int], ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        JumpTable(start_level=8, jumps=jumps, clips_prediction=False)


def test_levels_of_the_named_tables() -> None:
    assert (REFERENCE.start_level, REFERENCE.jumps) == (8, ((10, 9), (0, CLEAN)))
    assert (DDIM.start_level, DDIM.jumps) == (10, ((10, 0), (0, CLEAN)))
