"""World to ego, on a road that climbs."""

import numpy as np

from diffdrive.geometry import invert_transform, to_local, transform_from_pose
from diffdrive.scene import AgentKind, Agents, EgoState
from diffdrive.sources.frames import agents_in_frame, ego_in_frame

POSE = np.array([100.0, -20.0, 2.0])
CLIMB = 0.1


def world_from_body() -> np.ndarray:
    """A car at 7 m of height whose nose points up."""
    pitched = np.array(
        [[np.cos(CLIMB), 0, -np.sin(CLIMB), 0], [0, 1, 0, 0], [np.sin(CLIMB), 0, np.cos(CLIMB), 0], [0, 0, 0, 1]]
    )
    return transform_from_pose(POSE, z=7.0) @ pitched


def test_a_box_on_the_climbing_road_stands_on_the_ego_plane() -> None:
    # 30 m ahead along the road, its centre 0.8 m above it.
    center = (world_from_body() @ np.array([30.0, 2.0, 0.8, 1.0]))[:3]
    agents = Agents(
        track_tokens=("a",),
        kinds=(AgentKind.BICYCLE,),
        boxes=np.array([[*center[:2], 2.5, 1.8, 0.6]]),
        vertical=np.array([[center[2], 1.6]]),
        velocities=np.array([[np.cos(2.0), np.sin(2.0)]]),
    )
    local = agents_in_frame(agents, POSE, invert_transform(world_from_body()))
    np.testing.assert_allclose(local.vertical, [[0.8, 1.6]], atol=1e-9)
    np.testing.assert_allclose(local.boxes[0], [*to_local(center[:2], POSE), 0.5, 1.8, 0.6], atol=1e-9)
    np.testing.assert_allclose(local.velocities, [[1.0, 0.0]], atol=1e-9)
    assert (local.track_tokens, local.kinds) == (agents.track_tokens, agents.kinds)
    assert len(agents_in_frame(Agents.none(), POSE, np.eye(4))) == 0


def test_an_ego_state_moves_its_pose_and_keeps_its_own_axes() -> None:
    state = EgoState(
        timestamp_us=5, pose=POSE + [0, 0, 0.1], velocity=np.array([3, 1]), acceleration=np.array([0.5, 0.2]), yaw_rate=0.3
    )
    local = ego_in_frame(state, POSE)
    np.testing.assert_allclose(local.pose, [0, 0, 0.1], atol=1e-12)
    assert (local.timestamp_us, local.velocity.tolist(), local.acceleration.tolist()) == (5, [3.0, 1.0], [0.5, 0.2])
    assert local.yaw_rate == 0.3
