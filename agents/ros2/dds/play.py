"""Play a bag to a planner on DDS, tick by tick, and measure how long its answers take.

Time is the bag's, sent on /clock. A tick is sent when everything that was recorded up to then has been received, and the
next one waits for the answer, so what the planner sees does not depend on how busy the machine is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from diffdrive.contracts import InputError

from ..bag_types import make_bag_message
from ..bags import Recorded
from ..config import BridgeConfig
from ..conversion.making import time_message
from ..topics import publications, subscriptions
from .host import CLOCK
from .transport import Transport

_PATIENCE_S = 20.0
_MEETING_S = 120.0
"""Loading a network takes a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back for one tick."""

    now_us: int
    frame_s: float
    """From the first message of the tick's frame on its way to the trajectory received, seconds; NaN without a trajectory."""

    tick_s: float
    """From the tick on its way to the trajectory received, seconds; likewise."""

    messages: dict[str, Any] = field(default_factory=dict)
    """By topic."""


def play(
    recorded: Sequence[Recorded], config: BridgeConfig, *, domain: int, awaits_delivery: bool = True
) -> Iterator[Answered]:
    """Send messages in the order given and yield the answer to every tick, one each ``config.period_s`` of their time.

    Without ``awaits_delivery`` the tick follows its messages at once; one that it overtakes counts for the next.

    Waits for a planner that listens (``dds.host --sim-time`` with the same topics). Raises ``InputError`` where none is
    there, where it does not answer, and for a configuration that lets neither be known.
    """
    if not config.outputs.diagnostics or (awaits_delivery and not config.reliable_sensors):
        raise InputError("Playing needs outputs.diagnostics, and reliable_sensors to await delivery. Set them on both sides.")
    transport = Transport(publications(config), [*subscriptions(config), CLOCK], domain=domain)
    _meet(transport, config)
    period_us, waiting = round(config.period_s * 1e6), list(recorded)
    now_us = waiting[0].received_ns // 1000
    while waiting:
        due = [each for each in waiting if each.received_ns // 1000 <= now_us]
        waiting = waiting[len(due) :]
        begin = time.perf_counter()
        for each in due:
            transport.publish(each.topic, each.message)
        if awaits_delivery and not transport.flush(_PATIENCE_S):
            raise InputError(f"The planner did not receive what was sent to it within {_PATIENCE_S:g} s.")
        tick = time.perf_counter()
        transport.publish(CLOCK.name, make_bag_message(CLOCK.type_name, clock=time_message(make_bag_message, now_us)))
        yield _answered(transport, config, now_us, begin, tick)
        now_us += period_us


def _meet(transport: Transport, config: BridgeConfig) -> None:
    topics = [topic.name for topic in (*subscriptions(config), CLOCK)]
    end = time.monotonic() + _MEETING_S
    while not (
        all(transport.partners(name) for name in topics) and all(transport.sources(each.name) for each in publications(config))
    ):
        if time.monotonic() > end:
            raise InputError(f"No planner listens to {', '.join(name for name in topics if not transport.partners(name))}.")
        time.sleep(0.02)


def _answered(transport: Transport, config: BridgeConfig, now_us: int, begin: float, tick: float) -> Answered:
    """The diagnostics come last, whatever else comes before."""
    outputs, messages, arrived = config.outputs, {}, float("nan")
    end = time.monotonic() + _PATIENCE_S
    while outputs.diagnostics not in messages:
        if time.monotonic() > end:
            raise InputError(f"The planner did not answer the tick at {now_us} us within {_PATIENCE_S:g} s.")
        transport.wait(0.1)
        for topic, message in transport.take():
            messages[topic] = message
            arrived = time.perf_counter() if topic == outputs.trajectory else arrived
    return Answered(now_us=now_us, frame_s=arrived - begin, tick_s=arrived - tick, messages=messages)
