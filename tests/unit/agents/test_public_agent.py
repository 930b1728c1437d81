"""The agent with a file like the public model's, from raw sensor data to trajectories, against a recording of the public agent.

Beside stand-ins for the devkit: docs/parity.md tells how the recording was made, and how both agents run in the devkit itself.
"""

from __future__ import annotations

import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import navsim_stand_ins as stand_ins
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from drawn_agent_input import drawn_agent_input  # noqa: E402
from golden_fill import RECORDING, write_public_checkpoint  # noqa: E402
from navsim_recording import Recording, Row, compare, gathered  # noqa: E402

from diffdrive.contracts import InputError  # noqa: E402

FILE = ROOT / "tests" / "parity" / "data" / "navsim_agent_a.npz"


@pytest.fixture(scope="module")
def reference() -> Recording:
    return Recording.read(FILE)


@pytest.fixture(scope="module")
def public_agent() -> Iterator[Any]:
    """With the golden weights; their file, a quarter of a gigabyte, is removed at once."""
    with np.load(RECORDING, allow_pickle=False) as recorded:
        anchors = torch.from_numpy(recorded["in/anchors"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "diffusiondrive_navsim_88p1_PDMS"
        write_public_checkpoint(path, anchors, "a")
        agent = stand_ins.imported_agent(stand_ins.V1).DiffusionDriveAgent(
            checkpoint_path=str(path), noise="torch", jumps="reference", device="cpu"
        )
        agent.initialize()
    yield agent


def test_trajectories_and_proposals_equal_the_public_agents(
    public_agent: Any, reference: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    trajectories: list[Any] = []
    plans: list[Any] = []
    compute_plan = public_agent.compute_plan
    monkeypatch.setattr(public_agent, "compute_plan", lambda *given: plans.append(compute_plan(*given)) or plans[-1])
    for salt in reference.tokens:
        torch.manual_seed(zlib.crc32(salt.encode()))
        trajectories.append(public_agent.compute_trajectory(drawn_agent_input(salt)))
    ours = Recording(
        tokens=reference.tokens,
        trajectories=np.stack([each.poses for each in trajectories]),
        proposals={
            "poses": np.stack([each.proposals for each in plans]),
            "proposal_scores": np.stack([each.scores for each in plans]),
        },
    )
    rows = list(compare(reference, ours))
    assert [str(row) for row in rows if row.differing] == []
    assert len(rows) == 4 and all(row.compared == 2 for row in rows)


def recording(tokens: tuple[str, ...] = ("a", "b"), **changes: Any) -> Recording:
    rng = np.random.default_rng(0)
    made = Recording(
        tokens=tokens,
        trajectories=rng.normal(size=(2, 8, 3)),
        score_names=("collisions", "comfort"),
        scores=np.array([[1.0, np.nan], [0.0, 1.0]]),
        proposals={"poses": rng.normal(size=(2, 4, 8, 3)), "proposal_scores": rng.random((2, 4))},
    )
    return replace(made, **changes)


def failed(ours: Recording) -> dict[str, Row]:
    return {row.name: row for row in compare(recording(), ours) if row.differing}


def test_a_recording_agrees_with_itself_after_a_round_trip(tmp_path: Path) -> None:
    recording().write(tmp_path / "r.npz")
    assert failed(Recording.read(tmp_path / "r.npz")) == {}


@pytest.mark.parametrize("change", [2e-4, np.nan])
def test_one_wrong_number_is_found_and_its_scene_named(change: float) -> None:
    moved = recording().trajectories.copy()
    moved[1, 7, 2] += change
    assert failed(recording(trajectories=moved))["trajectory"].where == "b"
    scores = recording().scores.copy()
    scores[0, 0] += change
    assert failed(recording(scores=scores))["collisions"].where == "a"


def test_a_missing_score_is_a_difference() -> None:
    scores = recording().scores.copy()
    scores[1, 1] = np.nan
    assert set(failed(recording(scores=scores))) == {"comfort"}


def test_another_choice_is_found() -> None:
    proposals = recording().proposals
    turned = {**proposals, "proposal_scores": proposals["proposal_scores"][:, ::-1]}
    assert "chosen proposal" in failed(recording(proposals=turned))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": ("a", "c")}, r"2 scenes are in one recording only, for example b"),
        ({"score_names": ("collisions", "history_comfort")}, "two devkits"),
        ({"trajectories": np.zeros((2, 10, 3))}, r"shape \[2, 8, 3\] and \[2, 10, 3\]"),
    ],
)
def test_recordings_of_other_things_are_not_compared(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(compare(recording(), recording(**changes)))


def test_a_scene_that_the_devkit_failed_in_stops_the_recording(tmp_path: Path) -> None:
    for token in ("a", "b"):
        np.savez(tmp_path / f"{token}.npz", trajectory=np.zeros((8, 3)))
    table = tmp_path / "scores.csv"
    table.write_text(",token,valid,score,log_name\n0,a,True,0.5,drive\n1,b,True,,drive\n2,average,True,0.5,\n")
    made = gathered(tmp_path, table)
    assert made.score_names == ("score",) and np.array_equal(made.scores, [[0.5], [np.nan]], equal_nan=True)
    table.write_text(",token,valid,score,log_name\n0,a,True,0.5,drive\n1,b,False,,\n2,average,False,0.5,\n")
    with pytest.raises(InputError, match=r"failed in 1 scenes of '.*scores\.csv', for example b"):
        gathered(tmp_path, table)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="No scene was recorded"):
        gathered(tmp_path / "empty", None)


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no recording"):
        Recording.read(tmp_path / "r.npz")
