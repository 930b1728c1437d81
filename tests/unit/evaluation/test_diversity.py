"""Mode diversity: answers that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.evaluation.diversity import mode_diversity
from diffdrive.vehicle import PACIFICA


def straight(lateral_m: list[float], speed_mps: float = 8.0, ahead_m: float = 0.0) -> np.ndarray:
    """[1, N, 8, 3] parallel to the x-axis, each at its y."""
    poses = np.zeros((1, len(lateral_m), 8, 3))
    poses[..., 0] = ahead_m + speed_mps * 0.5 * np.arange(1, 9)
    poses[..., 1] = np.array(lateral_m)[None, :, None]
    return poses


@pytest.mark.parametrize("count", [1, 2, 20])
def test_identical_proposals_have_none(count: int) -> None:
    assert mode_diversity(straight([1.5] * count))[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("count", [2, 5, 20])
def test_proposals_that_share_nothing(count: int) -> None:
    assert mode_diversity(straight([10.0 * i for i in range(count)]))[0] == pytest.approx(1.0 - 1.0 / count, abs=1e-9)


def test_half_overlapping_bands() -> None:
    # Two bands of width w, shifted by w / 2: the union is 3 / 2 of one, and each fills 2 / 3 of it, but for the round ends.
    width = PACIFICA.width
    poses = straight([0.0, width / 2], speed_mps=1000.0)
    assert mode_diversity(poses)[0] == pytest.approx(1.0 / 3.0, abs=1e-3)
    assert mode_diversity(poses, width_m=0.5 * width)[0] == pytest.approx(0.5, abs=1e-3)


def test_a_short_proposal_inside_a_long_one() -> None:
    long = straight([0.0, 0.0], speed_mps=1000.0)
    long[0, 1, :, 0] = np.linspace(500.0, 2250.0, 8)  # half as long as the other, from 500 to 4000
    assert mode_diversity(long)[0] == pytest.approx(1.0 - 0.75, abs=1e-3)


def test_standing_proposals_have_an_area_too() -> None:
    assert mode_diversity(np.zeros((1, 4, 8, 3)))[0] == pytest.approx(0.0, abs=1e-9)
    apart = np.zeros((1, 4, 8, 3))
    apart[0, :, :, 1] = np.arange(4)[:, None] * 5.0
    assert mode_diversity(apart)[0] == pytest.approx(0.75, abs=1e-9)


def test_scenes_are_judged_apart_and_neither_order_nor_place_matters() -> None:
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(3, 6, 8, 3)).cumsum(axis=2) * 3.0
    together = mode_diversity(poses)
    assert together == pytest.approx([mode_diversity(poses[i : i + 1])[0] for i in range(3)], abs=1e-12)
    turned = poses[:, ::-1].copy()
    turned[..., :2] = turned[..., 1::-1] * [-1.0, 1.0] + [100.0, -40.0]
    assert mode_diversity(turned) == pytest.approx(together, abs=1e-6)
    assert ((together > 0.0) & (together < 1.0 - 1.0 / 6.0 + 1e-9)).all()


def test_poses_that_are_not_finite_are_an_error() -> None:
    poses = straight([0.0, 5.0])
    poses[0, 1, 3, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        mode_diversity(poses)
    with pytest.raises(InputError):
        mode_diversity(poses[0])
