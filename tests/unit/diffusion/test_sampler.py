import pytest
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.diffusion import (
    CLEAN,
    DDIM,
    JUMP_TABLES,
    REFERENCE,
    JumpTable,
    NoiseSchedule,
    ddim_table,
    reference_table,
    step,
)

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


def test_tables_of_other_lengths() -> None:
    assert reference_table(2) == REFERENCE and ddim_table(2) == DDIM
    one, three = reference_table(1), reference_table(3)
    assert (one.start_level, one.jumps) == (8, ((0, CLEAN),))
    assert (three.start_level, three.jumps) == (8, ((13, 12), (7, 6), (0, CLEAN)))
    one, three = ddim_table(1), ddim_table(3)
    assert (one.start_level, one.jumps) == (10, ((10, CLEAN),))
    assert (three.start_level, three.jumps) == (13, ((13, 7), (7, 0), (0, CLEAN)))
    vanilla = JUMP_TABLES["vanilla-20"]
    assert [level for level, _ in vanilla.jumps] == list(range(950, -1, -50))
    assert all(after == level for (_, after), (level, _) in zip(vanilla.jumps, vanilla.jumps[1:], strict=False))
    for steps in (0, 21):
        with pytest.raises(InputError, match="has 1"):
            reference_table(steps)


def test_a_perfect_prediction_survives_any_walk_from_pure_noise() -> None:
    generator = torch.Generator().manual_seed(5)
    x0, x_t = torch.rand(3, 8, 2, generator=generator) * 2 - 1, torch.randn(3, 8, 2, generator=generator)
    for from_level, to_level in JUMP_TABLES["vanilla-20"].jumps:
        x_t = step(x_t, x0, from_level, to_level, SCHEDULE)
    torch.testing.assert_close(x_t, x0, rtol=0, atol=1e-5)
