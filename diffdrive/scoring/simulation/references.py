"""Planned trajectories as references: poses every 0.1 s in the scene's frame, interpolated at the devkit's very times."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdrive.contracts import Axes, InputError
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS
from diffdrive.vehicle.angles import unwrap_angles, wrap_angle

HORIZON_S = (NUM_STEPS - 1) * INTERVAL_S
"""What is scored of a trajectory."""


def interpolate_references(start_poses: Tensor, timestamps_us: Tensor, trajectories: Tensor, interval_s: float) -> Tensor:
    """References [S, N, 41, 3] in the scene's frame: x and y linear, headings along the shorter arc, in [-pi, pi).

    ``start_poses`` [S, 3] of the rear axle at ``timestamps_us`` [S]; ``trajectories`` [S, N, T, 3] in the ego frame, poses
    ``interval_s`` apart, the first one interval from the present. What lies beyond four seconds is cut off. Raises
    ``InputError`` for other shapes and for trajectories that end before.
    """
    axes = Axes("interpolate_references")
    axes.check("start_poses", start_poses, "S 3")
    axes.check("timestamps_us", timestamps_us, "S")
    axes.check("trajectories", trajectories, "S N T 3")
    num_poses = _poses_within_horizon(trajectories.shape[2], interval_s)
    knots = _scene_knots(start_poses.to(torch.float64), trajectories[:, :, :num_poses].to(torch.float64))
    knot_times, query_times = _times_us(timestamps_us, num_poses, interval_s)

    # The left neighbour of each query; a query that meets a knot belongs to the piece before it.
    left = torch.searchsorted(knot_times, query_times).sub_(1).clamp_(0, num_poses - 1)
    elapsed = query_times - knot_times.gather(1, left)
    slopes = knots.diff(dim=2) / knot_times.diff(dim=1)[:, None, :, None]
    pieces = left[:, None, :, None].expand(-1, trajectories.shape[1], -1, 3)
    references = slopes.gather(2, pieces).mul_(elapsed[:, None, :, None]).add_(knots.gather(2, pieces))
    references[..., 2] = wrap_angle(references[..., 2])
    return references


def _poses_within_horizon(num_poses: int, interval_s: float) -> int:
    if not interval_s > 0:
        raise InputError(f"A trajectory's interval_s must be positive seconds, got {interval_s}.")
    needed = math.ceil(HORIZON_S / interval_s - 1e-6)
    if num_poses < needed:
        raise InputError(
            f"A trajectory must reach {HORIZON_S:g} s to be scored, got {num_poses} poses {interval_s:g} s apart = "
            f"{num_poses * interval_s:g} s. Give {needed} poses or more, the first one interval after the present, or check "
            "interval_s."
        )
    return needed


def _scene_knots(start_poses: Tensor, trajectories: Tensor) -> Tensor:
    """[S, N, T + 1, 3] the start and every pose in the scene's frame; headings run on without jumps of a full turn."""
    start = start_poses[:, None, None]
    cosine, sine = start[..., 2].cos(), start[..., 2].sin()
    x = cosine * trajectories[..., 0] - sine * trajectories[..., 1] + start[..., 0]
    y = sine * trajectories[..., 0] + cosine * trajectories[..., 1] + start[..., 1]
    poses = torch.stack([x, y, trajectories[..., 2] + start[..., 2]], dim=-1)
    knots = torch.cat([start.expand(-1, poses.shape[1], -1, -1), poses], dim=2)
    knots[..., 2] = unwrap_angles(wrap_angle(knots[..., 2]))
    return knots


def _times_us(timestamps_us: Tensor, num_poses: int, interval_s: float) -> tuple[Tensor, Tensor]:
    """Times of the knots [S, T + 1] and of the samples [S, 41], whole microseconds as float64.

    The devkit goes through seconds since the epoch as floating-point numbers, and truncates: some times lose a microsecond.
    Multiplying by 1e-6 is part of it; a division rounds otherwise.
    """
    device = timestamps_us.device
    present_s = (timestamps_us.to(torch.float64) * 1e-6)[:, None]
    steps = torch.arange(num_poses, dtype=torch.float64, device=device) * interval_s + interval_s
    samples = torch.arange(NUM_STEPS, dtype=torch.float64, device=device) * INTERVAL_S
    start = timestamps_us.to(torch.float64)[:, None]
    knots = torch.cat([start, ((steps + present_s) * 1e6).trunc()], dim=1)
    queries = ((samples + present_s) * 1e6).trunc()
    return knots, torch.minimum(torch.maximum(queries, start), knots[:, -1:])
