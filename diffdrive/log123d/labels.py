"""How 123D's box labels and NAVSIM's seven object classes correspond, in both directions."""

from __future__ import annotations

from typing import Any

from diffdrive.scene import AgentKind

LABEL_FROM_KIND: dict[AgentKind, str] = {
    AgentKind.VEHICLE: "VEHICLE",
    AgentKind.PEDESTRIAN: "PERSON",
    AgentKind.BICYCLE: "TWO_WHEELER",
    AgentKind.TRAFFIC_CONE: "TRAFFIC_CONE",
    AgentKind.BARRIER: "BARRIER",
    AgentKind.CZONE_SIGN: "TRAFFIC_SIGN",
    AgentKind.GENERIC_OBJECT: "GENERIC_OBJECT",
}
"""Names of py123d's ``DefaultBoxDetectionLabel``, for writing."""

# A train is a large vehicle; an animal and "other" are obstacles. The ego is no agent; a traffic light is no obstacle on the
# road, and its state is kept elsewhere.
_KIND_FROM_LABEL: dict[str, AgentKind | None] = {
    **{label: kind for kind, label in LABEL_FROM_KIND.items()},
    "TRAIN": AgentKind.VEHICLE,
    "ANIMAL": AgentKind.GENERIC_OBJECT,
    "OTHER": AgentKind.GENERIC_OBJECT,
    "EGO": None,
    "TRAFFIC_LIGHT": None,
}


def kind_from_label(label: Any) -> AgentKind | None:
    """The class of a ``DefaultBoxDetectionLabel``, or None for what is no agent."""
    return _KIND_FROM_LABEL[label.name]
