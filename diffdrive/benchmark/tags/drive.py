"""The drive of a scene and everybody it meets, as flat tables: every tag is a condition on their columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.benchmark.drivers import path_ahead
from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.scene import AgentKind, LightState, Scene
from diffdrive.vehicle import PACIFICA

FRAME_S = 0.5
AHEAD_S = 4.0
"""Tags look this far ahead."""

FRONT_M = PACIFICA.rear_axle_to_center + PACIFICA.length / 2
"""From the rear axle to the front bumper."""

_SIGHT_M = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """The ego at t = 0, 0.5, ... 4 s (F frames), in the ego frame at t = 0."""

    scene: Scene
    poses: np.ndarray
    """[F, 3]."""

    speeds: np.ndarray
    """[F] m/s."""

    line: Polyline
    """Where the ego drives and would drive on, from the rear axle at t = 0."""

    arcs: np.ndarray
    """[F] of the rear axle along ``line``, metres."""

    lights: tuple[dict[str, LightState], ...]
    """[F] the state of each signal by the lane it governs."""

    @property
    def turn(self) -> np.ndarray:
        """[F] heading change since t = 0, continuous, radians."""
        return np.unwrap(self.poses[:, 2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Everybody at every frame: R rows."""

    frame: np.ndarray
    token: np.ndarray
    kind: np.ndarray
    """[R] of ``AgentKind``."""

    center: np.ndarray
    """[R, 2]."""

    heading: np.ndarray
    speed: np.ndarray
    gap: np.ndarray
    """[R] from the ego's front bumper to the near end of the box, along the ego's line, metres; negative beside and behind."""

    offset: np.ndarray
    """[R] of the box centre from the ego's line, left positive, metres."""

    turned: np.ndarray
    """[R] heading against that of the ego's line there, radians."""

    crossing: np.ndarray
    """[R] speed across the ego's line, m/s."""

    def is_kind(self, *kinds: AgentKind) -> np.ndarray:
        """[R]."""
        return np.isin(self.kind, [kind.value for kind in kinds])


def drive_of(scene: Scene) -> Drive:
    """Raises ``InputError`` for a scene without four seconds of future in steps of half a second."""
    if scene.future is None:
        raise InputError(f"Scene '{scene.token}' has no future, so nobody knows what happens in it. Choose another scene.")
    count = round(AHEAD_S / FRAME_S)
    driven = scene.future.ego.thinned(count, FRAME_S).poses
    if abs(scene.future.ego.interval_s - FRAME_S) > 1e-3:
        raise InputError(f"Tags are told from futures every {FRAME_S} s, got {scene.future.ego.interval_s:g} s. Load them so.")
    poses = np.concatenate([np.zeros((1, 3)), driven])
    speeds = np.hypot(*np.gradient(poses[:, :2], FRAME_S, axis=0).T)
    speeds[0] = scene.observation.ego.speed
    line = Polyline(path_ahead(scene).interpolate(np.arange(0.0, _SIGHT_M, 1.0))[:, :2])
    lights = (scene.traffic_lights, *scene.future.traffic_lights[:count])
    states = tuple({light.lane_id: light.state for light in now} for now in lights)
    return Drive(
        scene=scene,
        poses=poses,
        speeds=speeds,
        line=line,
        arcs=np.maximum.accumulate(project(line, poses[:, :2])[0]),
        lights=states + ({},) * (len(poses) - len(states)),
    )


def others_of(drive: Drive) -> Others:
    """Everybody that is annotated at the frames of a drive."""
    future = drive.scene.future
    frames = (drive.scene.agents, *(future.agents[: len(drive.poses) - 1] if future else ()))
    frame = np.repeat(np.arange(len(frames)), [len(agents) for agents in frames])
    boxes = np.concatenate([agents.boxes for agents in frames])
    velocity = np.concatenate([agents.velocities for agents in frames])
    arc, offset = project(drive.line, boxes[:, :2])
    along = drive.line.interpolate(arc)[:, 2]
    turned = wrap_angle(boxes[:, 2] - along)
    reach = (np.abs(np.cos(turned)) * boxes[:, 3] + np.abs(np.sin(turned)) * boxes[:, 4]) / 2
    return Others(
        frame=frame,
        token=np.array([token for agents in frames for token in agents.track_tokens], dtype=str),
        kind=np.array([kind.value for agents in frames for kind in agents.kinds], dtype=str),
        center=boxes[:, :2],
        heading=boxes[:, 2],
        speed=np.hypot(*velocity.T),
        gap=arc - reach - drive.arcs[frame] - FRONT_M,
        offset=offset,
        turned=turned,
        crossing=velocity[:, 1] * np.cos(along) - velocity[:, 0] * np.sin(along),
    )


def project(line: Polyline, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arc length [N] of the place on ``line`` that is nearest to each of ``points`` [N, 2], and signed distance [N] to it."""
    start, step = line.points[:-1], np.diff(line.points, axis=0)
    to_point = points[:, None] - start
    share = np.clip(np.einsum("nkj,kj->nk", to_point, step) / np.sum(step * step, axis=1), 0.0, 1.0)
    away = to_point - share[..., None] * step
    distance = np.hypot(away[..., 0], away[..., 1])
    rows = np.arange(len(points))
    k = np.argmin(distance, axis=1)
    side = step[k, 0] * away[rows, k, 1] - step[k, 1] * away[rows, k, 0]
    arc = line.arc[k] + share[rows, k] * (line.arc[k + 1] - line.arc[k])
    return arc, np.copysign(distance[rows, k], side)
