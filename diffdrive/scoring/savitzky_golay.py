"""Savitzky-Golay filters as matrices, so that a filter of many signals is one product.

Equal to ``scipy.signal.savgol_filter`` with ``mode="interp"``: inside, a polynomial is fitted to the window around each sample;
near an end, the window that touches it serves all samples up to its middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS


@dataclass(frozen=True, slots=True)
class SavitzkyGolay:
    """Fits polynomials of ``order`` to ``window`` samples (all of them, if there are fewer) and takes a derivative."""

    window: int
    order: int = 2
    derivative: int = 0

    def __call__(self, signals: Tensor, num_missing: Tensor | None = None) -> Tensor:
        """Filtered signals of samples 0.1 s apart [S, ..., T], rounded to 8 decimals as the devkit does.

        The first ``num_missing`` [S] of each scene are no samples: anything finite there, and zero in the result.
        """
        samples = signals.shape[-1]
        if num_missing is None:
            matrix = torch.from_numpy(_matrix(self, samples)).to(signals.device)
        else:
            matrix = torch.from_numpy(_matrices(self, samples)).to(signals.device)[num_missing]
        return _round_8(torch.matmul(signals.flatten(1, -2), matrix.mT).reshape(signals.shape))


def _round_8(values: Tensor) -> Tensor:
    return torch.round(values, decimals=8)


@lru_cache(maxsize=64)
def _matrices(filter_: SavitzkyGolay, samples: int) -> np.ndarray:
    """[M + 1, T, T] for 0 .. M missing samples of T; at least the simulated ones are there. Never written to."""
    matrices = np.zeros((samples - NUM_STEPS + 1, samples, samples))
    for missing, matrix in enumerate(matrices):
        matrix[missing:, missing:] = _matrix(filter_, samples - missing)
    return matrices


@lru_cache(maxsize=256)
def _matrix(filter_: SavitzkyGolay, samples: int) -> np.ndarray:
    """[T, T] that filters T samples. Never written to."""
    window = min(filter_.window, samples)
    half = window // 2
    matrix = np.zeros((samples, samples))
    for sample in range(samples):
        is_inside = half <= sample < samples - half
        # An even window has no middle sample: scipy gives its value to the earlier of the two around its middle.
        start = sample - (window - 1) // 2 if is_inside else min(max(sample - half, 0), samples - window)
        position = (window - 1) / 2 if is_inside else float(sample - start)
        matrix[sample, start : start + window] = _weights(filter_, window, position)
    return matrix


@lru_cache(maxsize=1024)
def _weights(filter_: SavitzkyGolay, window: int, position: float) -> np.ndarray:
    """[window] weights of the samples in the derivative, at ``position``, of the polynomial fitted to them."""
    # Around the position, the n-th derivative of a polynomial is its n-th coefficient times n!.
    basis = (np.arange(window)[:, None] - position) ** np.arange(filter_.order + 1)
    coefficients = np.linalg.pinv(basis)[filter_.derivative]
    return coefficients * math.factorial(filter_.derivative) / INTERVAL_S**filter_.derivative
