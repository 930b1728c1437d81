"""Run files: what extends what, recipes, and overrides on top."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffdrive.contracts import InputError
from diffdrive.training.config import load_training_config


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_value_comes_from_the_nearest_file(tmp_path: Path) -> None:
    write(tmp_path / "parent.yaml", "epochs: 3\noptimizer: {lr: 0.1, min_lr: 0.01}\n")
    child = write(tmp_path / "child.yaml", "extends: parent.yaml\noptimizer: {lr: 0.2}\n")
    config = load_training_config(child, ["optimizer.weight_decay=0.5"])
    assert (config.epochs, config.optimizer.lr, config.optimizer.min_lr, config.optimizer.weight_decay) == (3, 0.2, 0.01, 0.5)


def test_a_recipe_lies_under_the_file(tmp_path: Path) -> None:
    config = load_training_config(write(tmp_path / "run.yaml", "recipe: ours\noptimizer: {decay_all: true}\n"))
    assert config.recipe == "ours" and config.optimizer.decay_all


def test_circles_and_unknown_recipes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: b.yaml\n")
    write(tmp_path / "b.yaml", "extends: a.yaml\n")
    with pytest.raises(InputError, match="circle"):
        load_training_config(tmp_path / "a.yaml")
    with pytest.raises(InputError, match="Known recipes: "):
        load_training_config(None, ["recipe=theirs"])
