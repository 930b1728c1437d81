"""What was driven: the upper bound of open-loop comparison."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffdrive.contracts import InputError
from diffdrive.scene import Scene, Trajectory
from diffdrive.tensors import TargetLayout


@dataclass(frozen=True, slots=True)
class Human:
    """The recorded future, at the layout's times."""

    layout: TargetLayout = field(default_factory=TargetLayout)
    name: str = "human"

    def plan_scene(self, scene: Scene) -> Trajectory:
        """Raises ``InputError`` for a scene without a future, or with one too short or at other times."""
        if scene.future is None:
            raise InputError(f"Scene '{scene.token}' has no future, so nobody knows what the human did. Choose another scene.")
        return scene.future.ego.thinned(self.layout.num_poses, self.layout.interval_s)
