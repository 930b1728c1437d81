"""Nothing leaves the input's device. "meta" stands for a GPU: it refuses tensors of the CPU, and has no values to read back."""

import torch

from diffdrive.scoring.metrics.comfort import comfort
from diffdrive.scoring.metrics.extended_comfort import extended_comfort
from diffdrive.scoring.metrics.history_comfort import history_comfort
from diffdrive.scoring.simulation import interpolate_references, simulate


def test_simulation_and_comforts_stay_on_the_device() -> None:
    def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.zeros(*shape, dtype=dtype, device="meta")

    times, lengths = zeros(2, dtype=torch.int64), zeros(2, dtype=torch.int64)
    references = interpolate_references(zeros(2, 3), times, zeros(2, 5, 8, 3), 0.5)
    states = simulate(zeros(2, 11), references, corrected=False)
    assert references.is_meta and states.shape == (2, 5, 41, 11) and states.is_meta
    verdicts = (
        comfort(states, corrected=True),
        history_comfort(states, zeros(2, 15, 11), lengths, corrected=False),
        extended_comfort(states, states, interval_s=0.5),
    )
    for verdict in verdicts:
        assert verdict.value.shape == (2, 5) and verdict.value.is_meta and verdict.step.is_meta
