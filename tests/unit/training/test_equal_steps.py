"""A step of four scenes is the same step on two processes, accumulated, or in one batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import equal_steps
import pytest
import torch
from equal_steps import state_after_steps

from diffdrive.training.cache import FeatureCache

STEPS = 3
"""Two make an epoch."""


@pytest.fixture(scope="module")
def whole(tiny_cache: FeatureCache, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return state_after_steps(tiny_cache, tmp_path_factory.mktemp("whole"), STEPS, processes=1, accumulate=1)


def assert_equal(given: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert given.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(given[name], tensor, rtol=0, atol=1e-6, msg=name)


def test_accumulated_batches_are_one_large_batch(
    tiny_cache: FeatureCache, tmp_path: Path, whole: dict[str, torch.Tensor]
) -> None:
    accumulated = state_after_steps(tiny_cache, tmp_path, STEPS, processes=1, accumulate=2)
    assert_equal(accumulated, whole)
    before = state_after_steps(tiny_cache, tmp_path, STEPS - 1, processes=1, accumulate=2)
    name = "decoder.layers.0.ffn.0.weight"
    assert (before[name] - whole[name]).abs().max() > 1e-5, "a step must move weights by more than the tolerance"


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(
    tiny_cache: FeatureCache, tmp_path: Path, whole: dict[str, torch.Tensor]
) -> None:
    out = tmp_path / "states.pt"
    command = [sys.executable, equal_steps.__file__, str(tiny_cache.folder), str(tmp_path), str(STEPS), str(out)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # What torchrun would tell them.
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    ranks = [
        subprocess.Popen(
            command,
            env=os.environ | told | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=300)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(outputs)
    plain, accumulated = torch.load(out)
    assert_equal(plain, whole)
    assert_equal(accumulated, whole)
