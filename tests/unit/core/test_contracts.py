import numpy as np
import pytest

from diffdrive.contracts import Axes, InputError, frozen_array


def test_names_must_agree_across_arrays() -> None:
    axes = Axes("Pair")
    axes.check("a", np.zeros((4, 2)), "N 2")
    with pytest.raises(InputError, match=r"Pair\.b must have axes \[N 3\] with N = 4, got shape \[5, 3\]"):
        axes.check("b", np.zeros((5, 3)), "N 3")


def test_leading_dots_allow_more_axes_but_not_fewer() -> None:
    Axes("X").check("a", np.zeros((7, 4, 2)), "... 2")
    with pytest.raises(InputError):
        Axes("X").check("a", np.zeros(3), "... 4 3")


def test_not_finite_names_the_first_bad_value() -> None:
    values = np.zeros((3, 2))
    values[1, 1] = np.nan
    with pytest.raises(InputError, match=r"1 of 6 .*index \[1, 1\]"):
        Axes("X").check("a", values, "N 2", finite=True)


def test_lists_are_not_arrays() -> None:
    with pytest.raises(InputError, match="must be an array"):
        Axes("X").check("a", [1, 2], "2")


def test_frozen_array_cannot_be_written_and_leaves_the_callers_array_alone() -> None:
    mine = np.zeros(3)
    frozen = frozen_array(mine, np.float64)
    with pytest.raises(ValueError, match="read-only"):
        frozen[0] = 1.0
    mine[0] = 2.0
