"""What goes wrong with messages on their way: some are lost, some come late, some overtake others. The same for a seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from diffdrive.contracts import InputError

from .bags import Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """How often messages suffer, each topic on its own. Shares lie in 0..1."""

    seed: int = 0
    drop: float = 0.0
    """Share of messages that never arrive."""

    delay: float = 0.0
    """Share of messages that come late."""

    max_delay_s: float = 0.3
    """Seconds by which they do, at most."""

    reorder: float = 0.0
    """Share of messages that come right after the one that follows them on their topic."""

    spared: tuple[str, ...] = ()
    """Topics on which nothing happens."""

    def __post_init__(self) -> None:
        shares = (self.drop, self.delay, self.reorder)
        if not all(share >= 0 for share in shares) or sum(shares) > 1 or not self.max_delay_s >= 0:
            raise InputError(f"Disturbance needs shares that sum to 1 at most and a delay of 0 or more, got {self}.")


def disturbed(recorded: Iterable[Recorded], disturbance: Disturbance) -> list[Recorded]:
    """The messages that arrive, in the order of their arrival; ``received_ns`` is when they do."""
    rng = np.random.default_rng(disturbance.seed)
    arriving: list[Recorded] = []
    overtaken: dict[str, Recorded] = {}
    for each in recorded:
        fate, lateness = rng.random(2)
        if each.topic in disturbance.spared:
            arriving.append(each)
            continue
        before = overtaken.pop(each.topic, None)
        if fate < disturbance.drop:
            pass
        elif fate < disturbance.drop + disturbance.delay:
            arriving.append(replace(each, received_ns=each.received_ns + round(lateness * disturbance.max_delay_s * 1e9)))
        elif fate < disturbance.drop + disturbance.delay + disturbance.reorder:
            overtaken[each.topic] = each
        else:
            arriving.append(each)
        if before is not None:
            arriving.append(replace(before, received_ns=each.received_ns))
    return sorted(arriving, key=lambda each: each.received_ns)
