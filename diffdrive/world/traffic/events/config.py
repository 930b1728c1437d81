"""How often something out of the ordinary happens in a town."""

from __future__ import annotations

from dataclasses import dataclass, fields

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class EventConfig:
    """Rates of scripted events; 0 means none."""

    jaywalkers_per_km: float = 2.5
    """People who wait in mid-block to cross, for a kilometre of two-way street."""

    double_parked_per_km: float = 1.4
    """Standing vehicles that block the only lane of a direction, for a kilometre of two-way street."""

    work_zones_per_km: float = 1.0
    """Road works that block the only lane of a direction, for a kilometre of two-way street."""

    hard_brake_share: float = 0.5
    """Share of the vehicles with the ego's body whose leader brakes hard once, if they ever follow one closely."""

    cut_in_share: float = 0.5
    """Share of the vehicles with the ego's body that are cut in on once, if there is ever somebody to do so."""

    stop_and_go_share: float = 0.2
    """Share of the vehicles with the ego's body whose leader on a fast street starts to oscillate."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= (1.0 if field.name.endswith("_share") else 20.0):
                limit = "a share between 0 and 1" if field.name.endswith("_share") else "between 0 and 20 for a kilometre"
                raise InputError(f"EventConfig.{field.name} is {limit}, got {value}.")
