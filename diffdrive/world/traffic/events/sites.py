"""Where scripted events can take place: values that a plan is made of, and nothing but numbers and names."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.scene import AgentKind
from diffdrive.world.events import EventKind

RAMP_M = 18.0
"""Length of the way back and forth around an obstacle."""

SPARE_M = 1.0
"""Beyond the ends of the obstacle one stays as far aside as beside it, for this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A line across one direction of a street at which vehicles can be made to wait."""

    edge_id: str
    feeder_edge_ids: tuple[str, ...]
    """Streets that lead into this one."""

    junction: str
    """The junction at which the street begins."""

    stop_m: float
    """Where front bumpers stop, in SUMO's metres from the beginning of the street."""

    end_m: float
    """Where it is over for a rear bumper, likewise."""

    length_m: float
    """Of the whole street, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prop:
    """Something that stands where it is from beginning to end."""

    token: str
    type_name: str
    kind: AgentKind
    pose: tuple[float, float, float]
    """x, y, heading of its centre in the world frame."""

    size: tuple[float, float, float]
    """Length, width, height, metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """Something stands in the only lane of one direction; one goes round it through the other lane."""

    kind: EventKind
    lane_id: str
    """The blocked lane of the map."""

    first_m: float
    last_m: float
    """What stands there reaches from here to there along the lane's centre line."""

    left_m: float
    """Its left edge, from the centre line, positive to the left."""

    props: tuple[Prop, ...]
    """All that stands there."""

    ahead: Gate
    """For those who have to go round."""

    oncoming: Gate
    """For those whose lane they use."""

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(prop.token for prop in self.props)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Somebody on foot, who may cross in mid-block."""

    token: str
    start: tuple[float, float]
    end: tuple[float, float]
    """Where they stand, on either side, world frame, metres."""

    speed: float
    """Of walking, m/s."""

    brink_m: float
    """How far one can walk from either side without being in anybody's way."""

    gates: tuple[Gate, ...]
    """One for each direction; ``stop_m`` is before the crossing line, ``end_m`` on it."""

    spans: tuple[tuple[float, float], ...]
    """For each gate: the part of the way, metres from ``start``, that lies on its lanes, with a margin."""

    seed: int
    """Of what this person decides."""
