"""What a sequence of poses asks of a vehicle: the speed and the curvature along it, by regularised least squares.

Poses at equal intervals are fitted by constant accelerations and constant curvature rates within each interval (the profile
estimation of nuPlan's tracker). Steps come first in every tensor here, so that a step is one contiguous row.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from diffdrive.vehicle.angles import wrap_angle


def fit_velocities(positions: Tensor, directions: Tensor, interval_s: float, *, penalty: float, textbook: bool) -> Tensor:
    """Speeds [K, B] (m/s, signed) at the start of each of K steps between positions [K + 1, 2, B].

    ``directions`` [K, 2, B] are the unit vectors of the headings at the start of each step. They drop out of the normal
    equations (cos^2 + sin^2 = 1), so the fit is one constant matrix for all rows. ``penalty`` weighs squared changes of
    acceleration; see ``_velocity_operator`` for ``textbook``.
    """
    steps = len(directions)
    advance = ((positions[1:] - positions[:-1]) * directions).sum(dim=1)
    operator = torch.from_numpy(_velocity_operator(steps, interval_s, penalty, textbook)).to(positions.device)
    return operator @ advance


def fit_curvatures(headings: Tensor, velocities: Tensor, interval_s: float, *, rate_penalty: float, ridge: float) -> Tensor:
    """Curvatures [K, B] (1/m) at each of K steps, from headings [K + 1, B] and the speeds [K, B] of ``fit_velocities``.

    Minimises sum (turn_i - d_i k_i)^2 + rate_penalty * sum ((k_i+1 - k_i) / interval)^2 + ridge * k_0^2, where d_i is the way
    driven in a step. The normal equations are tridiagonal. Divided by p = rate_penalty / interval^2, their pivots are 1 + g
    with g_i = d_i^2 / p + g_i-1 / (1 + g_i-1): sums of positive numbers, so nothing cancels, at standstill neither.
    """
    ways = velocities * interval_s
    stiffness = rate_penalty / interval_s**2
    weights = ways.square() / stiffness
    weights[0] += ridge / stiffness
    sums = ways * wrap_angle(headings[1:] - headings[:-1]) / stiffness

    pivots = torch.empty_like(weights)
    for (now, then), pivot in zip(pairwise(weights.unbind()), pivots.unbind(), strict=False):
        torch.add(now, 1.0, out=pivot)
        then.addcdiv_(now, pivot)
    pivots[-1] = weights[-1]
    inverses = pivots.reciprocal_().unbind()
    for (now, then), inverse in zip(pairwise(sums.unbind()), inverses, strict=False):
        then.addcmul_(now, inverse)
    curvatures = sums.mul_(pivots)
    for (now, then), inverse in reversed(list(zip(pairwise(curvatures.unbind()), inverses, strict=False))):
        now.addcmul_(then, inverse)
    return curvatures


@lru_cache(maxsize=8)
def _velocity_operator(steps: int, interval_s: float, penalty: float, textbook: bool) -> np.ndarray:
    """[K, K] that turns advances along the heading into fitted speeds. Never written to.

    NAVSIM's regulariser misses the entries right of the diagonal but for its last row, so it pulls accelerations to zero where
    nuPlan's, the textbook one, pulls neighbours together.
    """
    speeds_from_unknowns = np.tril(np.full((steps, steps), interval_s))
    speeds_from_unknowns[:, 0] = 1.0
    advances_from_unknowns = interval_s * speeds_from_unknowns

    differences = np.zeros((max(steps - 2, 0), steps))
    rows = np.arange(len(differences))
    differences[rows, rows + 1] = -1.0
    kept = rows if textbook else rows[-1:]
    differences[kept, kept + 2] = 1.0

    normal = advances_from_unknowns.T @ advances_from_unknowns + penalty * differences.T @ differences
    return speeds_from_unknowns @ np.linalg.solve(normal, advances_from_unknowns.T)
