"""References and simulated states against the official ones."""

import torch
from golden_drives import authored, real_roads

from diffdrive.scoring.simulation import interpolate_references, simulate


def test_authored_states_are_equal_in_utm_coordinates() -> None:
    drives = authored("epdms_v2")
    expected = drives.by_trajectory(lambda trajectory: trajectory["states"])
    assert expected[..., 1].min() > 4_000_000
    found = simulate(drives.ego_states, drives.references, corrected=False)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    names = {trajectory["name"] for trajectory in drives.scenes[0]["trajs"]}
    assert {"cv", "hard"} <= names and expected.shape[:2] == (30, 12)


def test_the_slip_of_the_regulariser_shows() -> None:
    drives = authored("epdms_v2")
    expected = drives.by_trajectory(lambda trajectory: trajectory["states"])
    found = simulate(drives.ego_states, drives.references, corrected=True)
    assert (found - expected).abs().amax() > 0.1


def test_real_states_are_equal_from_poses_on() -> None:
    drives = real_roads("epdms_v2")
    poses = drives.by_trajectory(lambda trajectory: trajectory["poses"])
    references = interpolate_references(drives.ego_states[:, :3], drives.timestamps_us, poses, 0.5)
    torch.testing.assert_close(references, drives.references, rtol=0, atol=1e-11)
    found = simulate(drives.ego_states, references, corrected=False)
    torch.testing.assert_close(found, drives.by_trajectory(lambda trajectory: trajectory["states"]), rtol=0, atol=1e-9)


def test_the_human_is_simulated_alike() -> None:
    drives = real_roads("epdms_v2")
    poses = drives.by_scene(lambda scene: scene["human_poses_filter"])[:, None]
    references = interpolate_references(drives.ego_states[:, :3], drives.timestamps_us, poses, 0.5)
    torch.testing.assert_close(references[:, 0], drives.by_scene(lambda scene: scene["human_ref"]), rtol=0, atol=1e-11)
    found = simulate(drives.ego_states, references, corrected=False)[:, 0]
    torch.testing.assert_close(found, drives.by_scene(lambda scene: scene["human_states"]), rtol=0, atol=1e-9)
