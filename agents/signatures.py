"""What differs between the devkits, found by looking instead of by version: they do not say which version they are."""

from __future__ import annotations

import inspect
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.tensors import TargetLayout

SUPPORTED = {
    frozenset({"requires_scene"}): "v1.1",
    frozenset({"trajectory_sampling", "requires_scene"}): "v2.2",
}
"""Arguments of ``AbstractAgent``'s constructor, and the devkit that has them."""


def base_arguments(base: type, trajectory_sampling: Any, requires_scene: bool) -> dict[str, Any]:
    """The arguments for the constructor of ``base``, the devkit's ``AbstractAgent``. Raises ``InputError`` for others."""
    names = frozenset(inspect.signature(base.__init__).parameters) - {"self"}  # type: ignore[misc]
    if names not in SUPPORTED:
        known = "; ".join(f"{version}: {', '.join(sorted(each))}" for each, version in SUPPORTED.items())
        raise InputError(
            f"This NAVSIM devkit is none of the versions that the agent supports: its AbstractAgent takes "
            f"({', '.join(sorted(names))}), known are {known}. Install NAVSIM v1.1 or v2.2."
        )
    values = {"trajectory_sampling": trajectory_sampling, "requires_scene": requires_scene}
    return {name: values[name] for name in names}


def check_sampling(sampling: Any, layout: TargetLayout) -> None:
    """Raise ``InputError`` unless the devkit's ``TrajectorySampling`` is what the network plans."""
    if sampling.num_poses != layout.num_poses or abs(sampling.interval_length - layout.interval_s) > 1e-6:
        raise InputError(
            f"The network plans {layout.num_poses} poses every {layout.interval_s:g} s, but trajectory_sampling asks for "
            f"{sampling.num_poses} every {sampling.interval_length:g} s. Set agent.trajectory_sampling to "
            f"time_horizon={layout.horizon_s:g}, interval_length={layout.interval_s:g}."
        )
