"""The learning rate and the running average of weights."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from diffdrive.contracts import InputError
from diffdrive.training.config import OptimizerConfig
from diffdrive.training.optim import LearningRate, WeightAverage


def test_the_step_schedule_rises_then_falls_to_the_minimum() -> None:
    rate = LearningRate(config=OptimizerConfig(warmup_epochs=1.0, min_lr=1e-5), epochs=5, steps_per_epoch=10)
    values = [rate.at(step) for step in range(50)]
    assert values[9] == pytest.approx(6e-4)
    assert all(a < b for a, b in itertools.pairwise(values[:10]))
    assert all(a >= b for a, b in itertools.pairwise(values[10:]))
    assert rate.at(50) == pytest.approx(1e-5)
    assert rate.at(500) == pytest.approx(1e-5)
    assert rate.at(12, elapsed_fraction=1.0) == pytest.approx(1e-5), "the clock may end the run before the steps do"


def test_the_cosine_ends_where_the_run_ends() -> None:
    config = OptimizerConfig(warmup_epochs=1.0, min_lr=1e-5)
    short = LearningRate(config=config, epochs=5, steps_per_epoch=10, max_steps=20)
    assert short.at(9) == pytest.approx(6e-4)
    assert short.at(15) == pytest.approx(0.5 * (6e-4 + 1e-5))
    assert short.at(20) == pytest.approx(1e-5)
    long = LearningRate(config=config, epochs=5, steps_per_epoch=10, max_steps=2000)
    assert long.at(50) == pytest.approx(1e-5)


def test_less_data_than_one_batch() -> None:
    with pytest.raises(InputError, match="batch_size"):
        LearningRate(config=OptimizerConfig(), epochs=1, steps_per_epoch=0)


def test_the_average_follows_slowly_and_comes_off_again() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.zeros_(model[0].weight)
    average = WeightAverage(model, decay=0.5)
    average.num_updates = 1000
    nn.init.ones_(model[0].weight)
    model[1].num_batches_tracked += 5
    average.update(model)
    with average.applied_to(model):
        assert model[0].weight.item() == pytest.approx(0.5)
        assert model[1].num_batches_tracked.item() == 5
    assert model[0].weight.item() == 1.0
    restored = WeightAverage(model, decay=0.5)
    restored.load_dict(average.to_dict())
    assert restored.num_updates == 1001
    assert torch.equal(restored.state["0.weight"], average.state["0.weight"])
    with pytest.raises(InputError, match="another network"):
        restored.load_dict({"num_updates": 1, "state": {}})


def test_early_averages_forget_the_initial_weights() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, decay=0.999)
    nn.init.ones_(model.weight)
    for _ in range(20):
        average.update(model)
    assert average.state["weight"].item() > 0.99
