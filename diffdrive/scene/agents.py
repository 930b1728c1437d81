"""Other road users and objects at one instant."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array


class AgentKind(enum.Enum):
    """NAVSIM's seven object classes."""

    VEHICLE = "vehicle"
    PEDESTRIAN = "pedestrian"
    BICYCLE = "bicycle"
    TRAFFIC_CONE = "traffic_cone"
    BARRIER = "barrier"
    CZONE_SIGN = "czone_sign"
    GENERIC_OBJECT = "generic_object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """A boxes, one row each, in the ego frame at t = 0. Rows of one track share a token from instant to instant."""

    track_tokens: tuple[str, ...]
    kinds: tuple[AgentKind, ...]
    boxes: np.ndarray
    """[A, 5] x, y (box centre), heading, length, width; metres and radians."""

    vertical: np.ndarray
    """[A, 2] height of the box centre above the ego's ground, and box height; metres."""

    velocities: np.ndarray
    """[A, 2] vx, vy over ground, in the ego frame's axes, m/s."""

    def __post_init__(self) -> None:
        axes = Axes("Agents")
        for name, contract in (("boxes", "A 5"), ("vertical", "A 2"), ("velocities", "A 2")):
            array = frozen_array(getattr(self, name), np.float64)
            axes.check(name, array, contract, finite=True)
            object.__setattr__(self, name, array)
        if not len(self.track_tokens) == len(self.kinds) == axes.sizes["A"]:
            raise InputError(
                f"Agents needs one token and one kind per box: {axes.sizes['A']} boxes, "
                f"{len(self.track_tokens)} tokens, {len(self.kinds)} kinds."
            )
        if len(set(self.track_tokens)) != len(self.track_tokens):
            raise InputError("Agents.track_tokens must be unique within one instant.")
        if (self.boxes[:, 3:5] <= 0).any() or (self.vertical[:, 1] <= 0).any():
            raise InputError("Agents: box length, width and height must be positive metres.")

    def __len__(self) -> int:
        return len(self.track_tokens)

    def select(self, mask: np.ndarray) -> Agents:
        """The rows where ``mask`` [A] is true, or the rows at integer indices, in that order."""
        rows = np.arange(len(self))[mask]
        return Agents(
            track_tokens=tuple(self.track_tokens[i] for i in rows),
            kinds=tuple(self.kinds[i] for i in rows),
            boxes=self.boxes[rows],
            vertical=self.vertical[rows],
            velocities=self.velocities[rows],
        )

    def of_kind(self, *kinds: AgentKind) -> Agents:
        return self.select(np.array([kind in kinds for kind in self.kinds], dtype=bool))

    @classmethod
    def none(cls) -> Agents:
        """No agents at all."""
        return cls(track_tokens=(), kinds=(), boxes=np.zeros((0, 5)), vertical=np.ones((0, 2)), velocities=np.zeros((0, 2)))
