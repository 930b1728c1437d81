"""The run files of the ablations: each differs from its neighbour by a few keys, trains and plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from scrambled_planner import request
from tiny_planner import TINY_PLANNER
from tiny_targets import tiny_targets

from diffdrive.configuration import load_yaml, merge, to_mapping
from diffdrive.diffusion import JUMP_TABLES
from diffdrive.model import PlannerModel, planner_config
from diffdrive.runtime import EngineOptions, make_engine
from diffdrive.runtime.checks import checked_jumps
from diffdrive.training.config import TrainingConfig, load_training_config
from diffdrive.training.objectives import denoising_losses

FOLDER = Path(__file__).resolve().parents[3] / "configs" / "variants"
FILES = sorted(FOLDER.glob("*.yaml"))
MOST_KEYS = 5


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


def _all_values(config: TrainingConfig) -> dict[str, Any]:
    """Of the run, with the planner that it makes."""
    planner = planner_config(config.preset, config.planner)
    return _flat({**to_mapping(config), "planner": to_mapping(planner)})


def test_the_paper_s_rows_are_there() -> None:
    assert {file.stem for file in FILES} >= {
        "regression", "vanilla", "truncated", "full", "ego_only", "no_agent", "no_spatial", "no_ego", "cascade_1", "cascade_4",
        "anchors_10", "anchors_40", "hands_on", "stretched_bev",
    }  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_variant_differs_from_its_neighbour_by_a_few_keys(file: Path) -> None:
    ours = load_training_config(file)
    theirs = load_training_config(file.parent / load_yaml(file)["extends"])
    assert ours.name == file.stem
    mine, parents = _all_values(ours), _all_values(theirs)
    changed = {key for key in mine if mine[key] != parents[key]} - {"name"}
    # The full model is nano itself.
    assert (0 if file.stem == "full" else 1) <= len(changed) <= MOST_KEYS
    assert {key.split(".")[0] for key in changed} <= {"planner"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_variant_takes_a_step_and_plans(file: Path) -> None:
    run = load_training_config(file)
    config = planner_config(run.preset, merge(TINY_PLANNER, run.planner))
    torch.manual_seed(0)
    model = PlannerModel(config, 10.0 * torch.rand(config.anchor_shape))
    inputs, noise = request(config, 2)
    levels = torch.tensor([0, config.num_train_levels - 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    before = {name: value.detach().clone() for name, value in model.decoder.named_parameters()}
    denoising_losses(model, inputs, tiny_targets(config, 2), noise, levels, run.weights).total.backward()
    optimizer.step()
    moved = [name for name, value in model.decoder.named_parameters() if not torch.equal(value, before[name])]
    assert len(moved) > 0.8 * len(before)
    proposals = make_engine("eager", model.eval()).run(inputs, noise)
    assert proposals.best.shape == (2, config.targets.num_poses, 3)
    assert bool(torch.isfinite(proposals.poses).all())


@pytest.mark.parametrize("table", ["reference", "reference-1", "reference-3", "ddim", "ddim-1", "ddim-3"])
def test_the_full_model_is_trained_on_the_levels_of_every_table(table: str) -> None:
    run = load_training_config(FOLDER / "full.yaml")
    jumps = EngineOptions(jumps=JUMP_TABLES[table]).jumps
    assert checked_jumps(jumps, planner_config(run.preset, run.planner)) == jumps
