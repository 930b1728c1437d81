"""What may be scored, and what is said about the rest."""

import numpy as np
import pytest
import torch
from plain_scene import straight_plans

from diffdrive.contracts import InputError
from diffdrive.scoring.trajectories import FARTHEST_M, check_trajectories

TOKENS = ("first", "second")


def plans() -> np.ndarray:
    return np.stack([straight_plans(1, 2, 3), straight_plans(4, 5, 6)])


@pytest.mark.parametrize(
    "make", [np.asarray, torch.as_tensor, lambda x: torch.as_tensor(x).float(), lambda x: [list(s) for s in x]]
)
def test_arrays_tensors_and_sequences_are_the_same(make: object) -> None:
    checked = check_trajectories(make(plans()), TOKENS, "raise", "cpu")  # type: ignore[operator]
    assert checked.poses.dtype == torch.float64 and checked.is_valid.all()
    np.testing.assert_array_equal(checked.poses, plans())


def test_one_scene_needs_no_scene_axis() -> None:
    assert check_trajectories(straight_plans(1, 2), ("only",), "raise", "cpu").poses.shape == (1, 2, 8, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2 * FARTHEST_M])
def test_what_is_no_number_is_named_or_zeroed(bad: float) -> None:
    poses = plans()
    poses[1, 2, 5, 0] = bad
    with pytest.raises(InputError, match="Proposal 2 of scene 'second'"):
        check_trajectories(poses, TOKENS, "raise", "cpu")
    checked = check_trajectories(poses, TOKENS, "zero", "cpu")
    assert checked.is_valid.tolist() == [[True] * 3, [True, True, False]]
    assert (checked.poses[1, 2] == 0).all()
    np.testing.assert_array_equal(checked.poses[0], plans()[0])


def test_one_proposal_of_another_shape_is_named_or_zeroed() -> None:
    poses = [list(scene) for scene in plans()]
    poses[0][1] = poses[0][1][:5]
    with pytest.raises(InputError, match="Proposal 1 of scene 'first'"):
        check_trajectories(poses, TOKENS, "raise", "cpu")
    assert check_trajectories(poses, TOKENS, "zero", "cpu").is_valid.tolist() == [[True, False, True], [True] * 3]


@pytest.mark.parametrize(
    "poses", [np.zeros((2, 3, 8)), np.zeros((3, 1, 8, 3)), np.zeros((2, 0, 8, 3)), np.zeros((2, 3, 8, 2)), [[np.zeros((8, 3))]]]
)
def test_wrong_shapes_are_refused(poses: object) -> None:
    with pytest.raises(InputError, match="Trajectories must"):
        check_trajectories(poses, TOKENS, "zero", "cpu")


def test_on_invalid_is_one_of_two_words() -> None:
    with pytest.raises(InputError, match="on_invalid"):
        check_trajectories(plans(), TOKENS, "skip", "cpu")  # type: ignore[arg-type]
