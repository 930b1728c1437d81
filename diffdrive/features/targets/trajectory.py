"""The trajectory that was driven."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scene import Scene
from diffdrive.tensors import TargetLayout


def driven_trajectory(scene: Scene, layout: TargetLayout) -> Tensor:
    """[T, 3] float32 x, y, heading of the rear axle at the layout's times.

    A future recorded more finely is thinned. Raises ``InputError`` for a scene without a future, for one that ends too
    soon, and for an interval that does not divide the layout's.
    """
    if scene.future is None:
        raise InputError(
            f"Scene '{scene.token}' has no future, so there is nothing to learn from it. "
            f"Take scenes that have {layout.horizon_s:g} s of recording after them."
        )
    try:
        driven = scene.future.ego.thinned(layout.num_poses, layout.interval_s)
    except InputError as error:
        raise InputError(f"The future of scene '{scene.token}' does not fit the layout. {error}") from error
    return torch.tensor(driven.poses, dtype=torch.float32)
