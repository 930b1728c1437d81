"""The three comforts against the official ones."""

import torch
from golden_drives import GoldenDrives, authored, real_roads
from torch import Tensor

from diffdrive.scoring.metrics.comfort import comfort
from diffdrive.scoring.metrics.extended_comfort import extended_comfort
from diffdrive.scoring.metrics.history_comfort import history_comfort
from diffdrive.scoring.simulation import simulate


def _expected(drives: GoldenDrives, metric: str) -> Tensor:
    return drives.by_trajectory(lambda trajectory: trajectory["metrics"][metric])


def _states(drives: GoldenDrives) -> Tensor:
    return simulate(drives.ego_states, drives.references, corrected=False)


def test_comfort_on_authored_roads() -> None:
    drives = authored("pdms_v1")
    expected = _expected(drives, "comfort")
    assert torch.equal(comfort(_states(drives), corrected=False).value, expected)
    assert 0 < expected.mean() < 1


def test_comfort_on_real_roads() -> None:
    drives = real_roads("pdms_v1")
    assert torch.equal(comfort(_states(drives), corrected=False).value, _expected(drives, "comfort"))


def test_history_comfort_on_authored_roads() -> None:
    drives = authored("epdms_v2")
    expected = _expected(drives, "history_comfort")
    assert torch.equal(history_comfort(_states(drives), *drives.past(), corrected=False).value, expected)
    assert 0 < expected.mean() < 1


def test_history_comfort_on_real_roads() -> None:
    """Pasts of 14 and of 15 samples, judged together."""
    drives = real_roads("epdms_v2")
    past, lengths = drives.past()
    assert set(lengths.tolist()) == {14, 15}
    expected, states = _expected(drives, "history_comfort"), _states(drives)
    assert torch.equal(history_comfort(states, past, lengths, corrected=False).value, expected)
    # Where the angular terms go decides some of these.
    assert not torch.equal(history_comfort(states, past, lengths, corrected=True).value, expected)


def test_the_human_alone_has_no_past_and_is_comfortable() -> None:
    drives = real_roads("epdms_v2")
    states = drives.by_scene(lambda scene: scene["human_states"])[:, None]
    expected = drives.by_scene(lambda scene: scene["human_metrics"]["history_comfort"])[:, None]
    past, lengths = drives.past()
    assert torch.equal(history_comfort(states, past, torch.zeros_like(lengths), corrected=False).value, expected)


def test_extended_comfort_on_real_roads() -> None:
    drives = real_roads("epdms_v2")
    later, earlier = drives.pairs()
    states, expected = _states(drives), _expected(drives, "two_frame_extended_comfort")
    found = extended_comfort(states[later], states[earlier], interval_s=0.5).value
    assert torch.equal(found, expected[later]) and 0 < found.mean() < 1
    without = sorted(set(range(len(states))) - set(later))
    assert expected[without].isnan().all()
