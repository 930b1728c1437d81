"""Who is on the road: bodies, and the manners of those who drive them. One table, read by everybody who needs a size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diffdrive.scene import AgentKind
from diffdrive.vehicle import PACIFICA

EGO_TYPE = "ego"
"""Names of types with the ego vehicle's body begin with this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadUser:
    """Body and manner of one type of road user."""

    share: float
    """Of everybody of its way to travel (cars and motorcycles, bicycles, people on foot); 0 for what only parks."""

    kind: AgentKind
    length: float
    width: float
    height: float
    sumo: str
    """Attributes of SUMO's vType beyond the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manner:
    """How somebody drives: gaps in metres and seconds, accelerations in m/s^2, speeds as a share of the limit."""

    gap: float
    tau: float
    accel: float
    decel: float
    sigma: float
    speed: tuple[float, float, float, float]
    """Mean, standard deviation, least and greatest."""

    lane_changes: tuple[float, float, float]
    """SUMO's eagerness to gain speed by changing lanes, readiness to make room, and boldness about gaps; 1 is common."""


# Experts: unhurried and lawful, with gaps that leave a second's reach in front of the car free.
_EGO_MANNERS = {
    "": _Manner(gap=3.0, tau=1.5, accel=1.8, decel=2.3, sigma=0.1, speed=(0.97, 0.03, 0.88, 1.0), lane_changes=(1.0, 1.0, 1.0)),
    "_calm": _Manner(
        gap=3.4, tau=1.8, accel=1.4, decel=2.0, sigma=0.1, speed=(0.88, 0.04, 0.78, 0.96), lane_changes=(0.3, 1.0, 0.8)
    ),
    "_brisk": _Manner(
        gap=2.6, tau=1.3, accel=2.1, decel=2.6, sigma=0.05, speed=(1.0, 0.02, 0.95, 1.03), lane_changes=(2.0, 0.8, 1.2)
    ),
}
_MANNERS = {
    "": _Manner(gap=2.2, tau=1.3, accel=1.9, decel=2.8, sigma=0.15, speed=(1.0, 0.08, 0.8, 1.15), lane_changes=(1.0, 1.0, 1.0)),
    "_timid": _Manner(
        gap=3.0, tau=1.8, accel=1.3, decel=2.3, sigma=0.25, speed=(0.85, 0.07, 0.65, 0.98), lane_changes=(0.2, 1.0, 0.7)
    ),
    "_bold": _Manner(
        gap=1.7, tau=1.0, accel=2.5, decel=3.3, sigma=0.1, speed=(1.12, 0.07, 1.0, 1.3), lane_changes=(3.0, 0.3, 1.5)
    ),
}
_HEAVY = {
    "": _Manner(gap=2.8, tau=1.6, accel=1.1, decel=2.8, sigma=0.2, speed=(0.88, 0.07, 0.7, 1.0), lane_changes=(0.5, 1.0, 1.0))
}
_NIMBLE = {
    "": _Manner(
        gap=2.0, tau=1.2, accel=2.4, decel=3.2, sigma=0.15, speed=(1.05, 0.08, 0.85, 1.25), lane_changes=(1.5, 0.8, 1.2)
    )
}
_MANNER_SHARES = {"": 0.5, "_timid": 0.25, "_bold": 0.25, "_calm": 0.3, "_brisk": 0.2}

# By default SUMO slides standing cars sideways, which no car can do.
_STEADY = 'lcMaxSpeedLatStanding="0" lcMaxSpeedLatFactor="0.2"'

Body = tuple[float, float, float]
"""Length, width, height, metres."""

_CARS: dict[str, tuple[Body, float]] = {
    "small": ((3.7, 1.66, 1.52), 0.07),
    "hatchback": ((4.25, 1.79, 1.46), 0.11),
    "sedan": ((4.75, 1.85, 1.45), 0.14),
    "estate": ((4.85, 1.86, 1.49), 0.06),
    "suv": ((4.7, 1.9, 1.7), 0.11),
    "large_suv": ((5.15, 2.02, 1.85), 0.05),
    "pickup": ((5.6, 2.0, 1.88), 0.04),
    "van": ((5.3, 1.98, 1.98), 0.05),
    "delivery_van": ((6.2, 2.05, 2.65), 0.03),
}
_EGO_SHARE = 0.24


def _driven(name: str, body: Body, share: float, manners: Mapping[str, _Manner], vehicle_class: str) -> dict[str, RoadUser]:
    """One body under several manners."""
    whole = sum(_MANNER_SHARES[manner] for manner in manners)
    kind = AgentKind.BICYCLE if vehicle_class == "motorcycle" else AgentKind.VEHICLE
    return {
        name + suffix: RoadUser(
            share=share * _MANNER_SHARES[suffix] / whole,
            kind=kind,
            length=body[0],
            width=body[1],
            height=body[2],
            sumo=f'vClass="{vehicle_class}" {_attributes(manner)}',
        )
        for suffix, manner in manners.items()
    }


def _attributes(manner: _Manner) -> str:
    gain, cooperation, boldness = manner.lane_changes
    speed = ",".join(str(value) for value in manner.speed)
    return (
        f'minGap="{manner.gap}" tau="{manner.tau}" accel="{manner.accel}" decel="{manner.decel}" emergencyDecel="8" '
        f'sigma="{manner.sigma}" speedFactor="normc({speed})" lcSpeedGain="{gain}" lcCooperative="{cooperation}" '
        f'lcAssertive="{boldness}" {_STEADY}'
    )


def _cyclist(body: Body, share: float, top_speed: float) -> RoadUser:
    text = (
        f'vClass="bicycle" minGap="0.9" accel="1.0" decel="2.5" sigma="0.3" maxSpeed="{top_speed}" '
        f'speedFactor="normc(0.9,0.15,0.5,1.2)" {_STEADY}'
    )
    return RoadUser(share=share, kind=AgentKind.BICYCLE, length=body[0], width=body[1], height=body[2], sumo=text)


def _walker(body: Body, share: float, pace: str) -> RoadUser:
    text = f'vClass="pedestrian" speedFactor="normc({pace})"'
    return RoadUser(share=share, kind=AgentKind.PEDESTRIAN, length=body[0], width=body[1], height=body[2], sumo=text)


DRIVERS: dict[str, RoadUser] = {
    **_driven(EGO_TYPE, (PACIFICA.length, PACIFICA.width, PACIFICA.height), _EGO_SHARE, _EGO_MANNERS, "passenger"),
    **{
        key: user
        for name, (body, share) in _CARS.items()
        for key, user in _driven(name, body, share, _MANNERS, "passenger").items()
    },
    # Motorcycles are bicycles to nuPlan, and so to NAVSIM.
    **_driven("motorcycle", (2.2, 0.8, 1.5), 0.03, _NIMBLE, "motorcycle"),
    **_driven("box_truck", (7.2, 2.35, 3.0), 0.03, _HEAVY, "truck"),
    **_driven("truck", (8.8, 2.48, 3.4), 0.02, _HEAVY, "truck"),
    **_driven("bus", (11.5, 2.55, 3.1), 0.02, _HEAVY, "bus"),
}
"""Everybody who shares the lanes. Shares add up to one."""

CYCLISTS: dict[str, RoadUser] = {
    "bicycle": _cyclist((1.8, 0.65, 1.72), 0.6, 5.5),
    "racer": _cyclist((1.75, 0.6, 1.62), 0.25, 7.5),
    "cargo_bike": _cyclist((2.4, 0.8, 1.7), 0.15, 4.5),
}

WALKERS: dict[str, RoadUser] = {
    "walker": _walker((0.5, 0.6, 1.72), 0.45, "1,0.15,0.7,1.4"),
    "tall_walker": _walker((0.55, 0.65, 1.87), 0.2, "1.05,0.15,0.75,1.5"),
    "short_walker": _walker((0.45, 0.55, 1.58), 0.2, "0.9,0.15,0.6,1.2"),
    "child": _walker((0.35, 0.42, 1.2), 0.15, "0.95,0.2,0.6,1.4"),
}

ROAD_USERS: dict[str, RoadUser] = {**DRIVERS, **CYCLISTS, **WALKERS}

PARKED: dict[str, float] = {name: share for name, (_, share) in _CARS.items()}
"""Bodies that stand in parking strips, and how often, relative to each other."""
