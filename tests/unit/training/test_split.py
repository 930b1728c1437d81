"""Whole maps or whole logs on one side, named, drawn or taken from the devkit's lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffdrive.contracts import InputError
from diffdrive.training.config.data import DataConfig, SplitBy
from diffdrive.training.split import Split, split_rows

PLACES = [f"town-{i % 10}" for i in range(100)]
LOGS = [f"2021.05.{i // 5:02d}_veh-35" for i in range(100)]


def sides(split: Split, names: list[str]) -> tuple[set[str], set[str]]:
    return {names[row] for row in split.train}, {names[row] for row in split.validation}


def by_log(**options: object) -> Split:
    return split_rows(PLACES, LOGS, DataConfig(split_by=SplitBy.LOG, **options), seed=5)  # type: ignore[arg-type]


def test_no_map_is_on_both_sides() -> None:
    config = DataConfig(validation_fraction=0.2, exclude_locations=("town-3",))
    train, validation = sides(split_rows(PLACES, LOGS, config, seed=5), PLACES)
    assert not train & validation
    assert (len(train), len(validation)) == (7, 2)
    assert "town-3" not in train | validation
    named = DataConfig(validation_locations=("town-8",))
    assert sides(split_rows(PLACES, LOGS, named, seed=5), PLACES)[1] == {"town-8"}


def test_no_log_is_on_both_sides() -> None:
    split = by_log(validation_fraction=0.2, exclude_locations=("town-3",))
    train, validation = sides(split, LOGS)
    assert not train & validation
    assert (len(train), len(validation)) == (16, 4)
    assert "town-3" not in set.union(*sides(split, PLACES))
    assert sides(by_log(validation_logs=(LOGS[0], LOGS[99])), LOGS)[1] == {LOGS[0], LOGS[99]}
    assert not len(by_log(validation_fraction=0.0).validation)


def test_the_devkits_lists_of_logs_decide(tmp_path: Path) -> None:
    lists = tmp_path / "default_train_val_test_log_split.yaml"
    lists.write_text(
        f"train_logs:\n  - {LOGS[0]}\n  - {LOGS[50]}\n  - another\nval_logs:\n  - {LOGS[99]}\ntest_logs:\n  - {LOGS[9]}\n"
    )
    split = by_log(log_lists=lists)
    assert sides(split, LOGS) == ({LOGS[0], LOGS[50]}, {LOGS[99]}), "a log in neither list is left out"
    assert [len(split.train), len(split.validation)] == [10, 5]
    lists.write_text("train_logs: [somewhere]\nval_logs: [elsewhere]\n")
    with pytest.raises(InputError, match="none is of a log in train_logs"):
        by_log(log_lists=lists)
    lists.write_text("train_logs: [a, b]\nval_logs: [b]\n")
    with pytest.raises(InputError, match="both sides of the split, for example 'b'"):
        by_log(log_lists=lists)
    for text in ("train_logs: [a]\n", "- a\n", "train_logs: a\nval_logs: []\n", "{"):
        lists.write_text(text)
        with pytest.raises(InputError, match="default_train_val_test_log_split"):
            by_log(log_lists=lists)
    with pytest.raises(InputError, match="cannot be read"):
        by_log(log_lists=tmp_path / "absent.yaml")


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(InputError, match=r"No scene has location 'nowhere'\. Here there are: town-0"):
        split_rows(PLACES, LOGS, DataConfig(validation_locations=("nowhere",)), seed=0)
    with pytest.raises(InputError, match="No scene has log 'never'"):
        by_log(validation_logs=("never",))
    with pytest.raises(InputError, match="left to train"):
        split_rows(["a", "a"], ["x", "y"], DataConfig(), seed=0)


@pytest.mark.parametrize(
    "options",
    [
        {"split_by": SplitBy.LOG, "validation_locations": ("a",)},
        {"validation_logs": ("a",)},
        {"log_lists": Path("a")},
        {"split_by": SplitBy.LOG, "validation_logs": ("a",), "log_lists": Path("a")},
        {"workers": -1},
    ],
)
def test_settings_that_would_do_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="DataConfig"):
        DataConfig(**options)  # type: ignore[arg-type]
