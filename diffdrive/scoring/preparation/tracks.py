"""Other road users between the 2 Hz frames in which they were seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from diffdrive.scene import Agents
from diffdrive.scoring.reference_planner.boxes import box_rings, ring_centroids
from diffdrive.scoring.reference_planner.forecast import STATIC_KINDS
from diffdrive.scoring.scoring_scene import Tracks

STEPS_PER_FRAME = 5
"""Frames lie 0.5 s apart, whatever their clocks say; steps 0.1 s."""


def interpolated_tracks(frames: Sequence[Agents]) -> Tracks:
    """Tracks at (F - 1) * 5 + 1 steps from F ``frames`` half a second apart, all in one planar frame.

    Position and unwrapped heading are linear in time between sightings, across gaps too. A track is there from its first to
    its last sighting; one that was seen once is there, frozen, at every step. Size, kind and speed are those of the first
    sighting.
    """
    tokens = tuple(dict.fromkeys(token for frame in frames for token in frame.track_tokens))
    rows = {token: row for row, token in enumerate(tokens)}
    boxes = np.zeros((len(tokens), len(frames), 5))
    is_seen = np.zeros((len(tokens), len(frames)), dtype=bool)
    speeds, is_agent = np.zeros(len(tokens)), np.zeros(len(tokens), dtype=bool)
    for column in reversed(range(len(frames))):  # so that the first sighting is written last
        frame = frames[column]
        seen = np.array([rows[token] for token in frame.track_tokens], dtype=np.int64)
        moves = np.array([kind not in STATIC_KINDS for kind in frame.kinds], dtype=bool)
        boxes[seen, column], is_seen[seen, column] = frame.boxes, True
        speeds[seen] = np.where(moves, np.hypot(*frame.velocities.T), 0.0)
        is_agent[seen] = moves
    poses, is_present = _between_sightings(boxes[..., :3], is_seen)
    first = np.argmax(is_seen, axis=1) if len(tokens) else np.zeros(0, dtype=np.int64)
    sizes = np.broadcast_to(boxes[np.arange(len(tokens)), first, None, 3:], (*poses.shape[:2], 2))
    corners = box_rings(np.concatenate([poses, sizes], axis=-1))
    return Tracks(
        tokens=tokens,
        corners=corners,
        is_present=is_present,
        centroids=ring_centroids(corners),
        is_agent=is_agent,
        speeds=speeds,
    )


def _between_sightings(poses: np.ndarray, is_seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses [A, O, 3] and presence [A, O] from poses [A, F, 3] where ``is_seen`` [A, F]."""
    num_tracks, num_frames = is_seen.shape
    num_steps = (num_frames - 1) * STEPS_PER_FRAME + 1
    frame = np.arange(num_frames)
    before = np.maximum.accumulate(np.where(is_seen, frame, -1), axis=1)
    after = np.minimum.accumulate(np.where(is_seen, frame, num_frames)[:, ::-1], axis=1)[:, ::-1]
    steps = np.arange(num_steps)
    left = before[:, steps // STEPS_PER_FRAME]
    right = after[:, -(-steps // STEPS_PER_FRAME)]
    is_present = (left >= 0) & (right < num_frames)
    row = np.arange(num_tracks)[:, None]
    unwrapped = _unwrapped(poses, is_seen, before)
    low, high = np.where(is_present, left, 0), np.where(is_present, right, 0)
    span = np.maximum((high - low) * STEPS_PER_FRAME, 1)
    share = np.where(is_present, (steps - low * STEPS_PER_FRAME) / span, 0.0)
    start = unwrapped[row, low]
    moved = start + (unwrapped[row, high] - start) * share[..., None]
    once = is_seen.sum(axis=1) == 1
    only = unwrapped[np.arange(num_tracks), np.maximum(before[:, -1], 0)]
    return np.where(once[:, None, None], only[:, None], moved), is_present | once[:, None]


def _unwrapped(poses: np.ndarray, is_seen: np.ndarray, before: np.ndarray) -> np.ndarray:
    """``poses`` whose heading never jumps by more than half a turn from one sighting to the next."""
    result = poses.copy()
    rows = np.arange(len(poses))
    for column in range(1, poses.shape[1]):
        last = before[:, column - 1]
        previous = result[rows, np.maximum(last, 0), 2]
        turns = np.round((result[:, column, 2] - previous) / (2 * np.pi))
        result[:, column, 2] -= np.where(is_seen[:, column] & (last >= 0), turns * 2 * np.pi, 0.0)
    return result


def without_initial_contact(tracks: Tracks, ego_box: shapely.Polygon) -> Tracks:
    """Without the tracks that touch the ego at t = 0: nobody can answer for those."""
    polygons = shapely.polygons(tracks.corners[:, 0])
    kept = ~(np.atleast_1d(shapely.intersects(polygons, ego_box)) & tracks.is_present[:, 0])
    if kept.all():
        return tracks
    return Tracks(
        tokens=tuple(token for token, keep in zip(tracks.tokens, kept, strict=True) if keep),
        corners=tracks.corners[kept],
        is_present=tracks.is_present[kept],
        centroids=tracks.centroids[kept],
        is_agent=tracks.is_agent[kept],
        speeds=tracks.speeds[kept],
    )
