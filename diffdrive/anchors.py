"""Anchors: the trajectories that planning starts from, one per mode. Cluster them, keep them in a file, load them verified.

A set of anchors is two files: ``NAME.npy`` holds the points, ``NAME.json`` says where they came from, what they must hash to
and which box of metres encloses all the trajectories they were clustered from (the box in which noise is added).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.files import written_aside

_KMEANS_RESTARTS = 10
_DISTANCE = "euclidean over flattened xy"
_MARGIN_SHARE, _MARGIN_MIN_M = 0.05, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A box of metres in the ego frame. The names are those of ``diffdrive.diffusion.BoxNormalizer``."""

    x_min_m: float
    x_max_m: float
    y_min_m: float
    y_max_m: float

    def __post_init__(self) -> None:
        numbers = (self.x_min_m, self.x_max_m, self.y_min_m, self.y_max_m)
        if not (all(np.isfinite(numbers)) and self.x_min_m < self.x_max_m and self.y_min_m < self.y_max_m):
            raise InputError(f"Bounds must be finite with minimum below maximum, got x_min, x_max, y_min, y_max = {numbers}.")

    @classmethod
    def around(cls, trajectories: np.ndarray) -> Bounds:
        """The box of every point of ``trajectories`` [..., >= 2], grown on each side by 5 % of its extent and at least 1 m."""
        points = np.asarray(trajectories, dtype=np.float64)[..., :2].reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        margin = np.maximum(_MARGIN_SHARE * (high - low), _MARGIN_MIN_M)
        (x_min, y_min), (x_max, y_max) = (low - margin).tolist(), (high + margin).tolist()
        return cls(x_min_m=x_min, x_max_m=x_max, y_min_m=y_min, y_max_m=y_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSet:
    """Anchor trajectories and where they came from."""

    points: np.ndarray
    """[M, T, 2] float32 x, y in the ego frame at interval_s, 2 interval_s, ...; metres."""

    interval_s: float
    source: str
    """What the trajectories were: data set, split, selection."""

    count: int
    """How many trajectories were clustered."""

    seed: int
    inertia: float
    """Sum of squared distances of the trajectories to their anchors, square metres."""

    bounds: Bounds

    def __post_init__(self) -> None:
        points = frozen_array(self.points, np.float32)
        Axes("AnchorSet").check("points", points, "M T 2", finite=True)
        object.__setattr__(self, "points", points)
        if points.size == 0 or not self.interval_s > 0 or self.count < len(points):
            raise InputError(
                f"AnchorSet needs at least one anchor and pose, a positive interval and as many trajectories as anchors, "
                f"got shape {list(points.shape)}, {self.interval_s} s and {self.count} trajectories."
            )

    @property
    def num_modes(self) -> int:
        return int(self.points.shape[0])

    @property
    def num_poses(self) -> int:
        return int(self.points.shape[1])

    @property
    def sha256(self) -> str:
        """Of the points' bytes: float32, little-endian, row by row."""
        return hashlib.sha256(np.ascontiguousarray(self.points, dtype="<f4").tobytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Write ``path`` (.npy) and the description beside it (.json), each whole or not at all."""
        _check_suffix(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        description = {
            "k": self.num_modes,
            "num_poses": self.num_poses,
            "interval_s": self.interval_s,
            "source": self.source,
            "count": self.count,
            "seed": self.seed,
            "distance": _DISTANCE,
            "inertia_m2": self.inertia,
            "normalizer": dataclasses.asdict(self.bounds),
            "sha256": self.sha256,
        }
        with written_aside(path.with_suffix(".json")) as text, written_aside(path) as points:
            with points.open("wb") as file:
                np.save(file, self.points, allow_pickle=False)
            text.write_text(json.dumps(description, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> AnchorSet:
        """Read what ``save`` wrote.

        Raises ``InputError`` for a missing or unreadable file, and for points that are not those that were described.
        """
        _check_suffix(path)
        points = _read_points(path)
        text = _read_description(path.with_suffix(".json"))
        try:
            anchors = cls(
                points=points,
                interval_s=float(text["interval_s"]),
                source=str(text["source"]),
                count=int(text["count"]),
                seed=int(text["seed"]),
                inertia=float(text["inertia_m2"]),
                bounds=Bounds(**{name: float(value) for name, value in text["normalizer"].items()}),
            )
            sha256 = str(text["sha256"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"'{path.with_suffix('.json')}' is no description of anchors ({type(error).__name__}: {error}). "
                "Cluster again with: diffdrive anchors fit"
            ) from error
        if anchors.sha256 != sha256:
            raise InputError(
                f"Anchors '{path}' are not the ones that '{path.with_suffix('.json').name}' describes: "
                f"sha256 {anchors.sha256[:12]}..., described {sha256[:12]}.... Restore both files, or cluster again."
            )
        return anchors


def fit_anchors(trajectories: np.ndarray, k: int, seed: int, source: str, interval_s: float = 0.5) -> AnchorSet:
    """Cluster ``trajectories`` [N, T, >= 2] (ego frame, metres; only x and y count) into ``k`` anchors with k-means.

    Anchors are ordered by how far ahead they end (then from right to left), so equal clusters give equal files.
    Raises ``InputError`` for non-finite or mis-shaped input and for fewer distinct trajectories than anchors.
    """
    values = np.asarray(trajectories, dtype=np.float64)
    if values.ndim != 3 or values.shape[1] == 0 or values.shape[2] < 2:
        raise InputError(
            f"fit_anchors needs trajectories with axes [N T C], T >= 1 and C >= 2, got shape {list(values.shape)}."
        )
    values = values[..., :2]
    Axes("fit_anchors").check("trajectories", values, "N T 2", finite=True)
    flat = values.reshape(len(values), values.shape[1] * 2)
    distinct = len(np.unique(flat, axis=0))
    if not 1 <= k <= distinct:
        raise InputError(
            f"{k} anchors cannot be clustered from {distinct} distinct trajectories ({len(values)} in all). "
            f"Choose k between 1 and {distinct}, or give more data."
        )
    centres, inertia = _kmeans(flat, k, seed)
    points = centres.reshape(k, -1, 2).astype(np.float32)
    order = np.lexsort((points[:, -1, 1], points[:, -1, 0]))
    return AnchorSet(
        points=points[order],
        interval_s=interval_s,
        source=source,
        count=len(values),
        seed=seed,
        inertia=inertia,
        bounds=Bounds.around(values),
    )


def _kmeans(flat: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, float]:
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise InputError("Clustering anchors needs scikit-learn. Install it with: pip install 'diffdrive[train]'") from error
    fitted = KMeans(n_clusters=k, n_init=_KMEANS_RESTARTS, random_state=seed).fit(flat)
    return fitted.cluster_centers_, float(fitted.inertia_)


def _check_suffix(path: Path) -> None:
    if path.suffix != ".npy":
        raise InputError(f"An anchor file ends in .npy (its description in .json beside it), got '{path}'.")


def _read_points(path: Path) -> np.ndarray:
    try:
        points = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"Anchor file '{path}' does not exist. Make one with: diffdrive anchors fit --out {path}") from error
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"Anchor file '{path}' cannot be read: {error}. Cluster again with: diffdrive anchors fit") from error
    if not isinstance(points, np.ndarray) or points.dtype != np.float32:
        raise InputError(
            f"Anchor file '{path}' must hold one float32 array, got {getattr(points, 'dtype', type(points).__name__)}."
        )
    return points


def _read_description(path: Path) -> dict[str, Any]:
    try:
        text = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"The anchors' description '{path}' does not exist. For points from elsewhere, write both files with "
            "diffdrive.anchors.AnchorSet(points=..., ...).save(path)."
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"The anchors' description '{path}' cannot be read: {error}.") from error
    if not isinstance(text, dict):
        raise InputError(f"The anchors' description '{path}' must be a JSON mapping, got {type(text).__name__}.")
    return text
