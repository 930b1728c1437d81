"""The trajectory that was driven."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scene import Scene
from diffdrive.tensors import TargetLayout

# Intervals within 1 ms of a whole ratio are that ratio: recorded clocks jitter by less.
_RATIO_TOLERANCE = 1e-3


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
    driven = scene.future.ego
    step = round(layout.interval_s / driven.interval_s)
    if step < 1 or abs(step * driven.interval_s - layout.interval_s) > _RATIO_TOLERANCE:
        raise InputError(
            f"Scene '{scene.token}' holds a pose every {driven.interval_s:g} s, which does not divide the layout's "
            f"{layout.interval_s:g} s. Load it with an interval of {layout.interval_s:g} s."
        )
    poses = driven.poses[step - 1 :: step][: layout.num_poses]
    if len(poses) < layout.num_poses:
        raise InputError(
            f"Scene '{scene.token}' has {driven.horizon_s:g} s of future but the layout needs {layout.horizon_s:g} s "
            f"({layout.num_poses} poses every {layout.interval_s:g} s). Load the scene with a longer future, or leave it out."
        )
    return torch.from_numpy(poses.copy()).to(torch.float32)
