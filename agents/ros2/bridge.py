"""The bridge: messages in, whenever they come; once a cycle, messages out. Knows no ROS library.

bridge = Bridge(AskInThread(planner), config, make)
bridge.receive(topic, message)      # from any thread
for out in bridge.cycle(now_us): publish(out.topic, out.message)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.runtime.envelope import CycleOutcome, EnvelopeCounters, SafePlanner, VehicleInputs, WarmStart
from diffdrive.runtime.envelope.watchdog import Asks
from diffdrive.runtime.errors import describe

from .config import BridgeConfig, CommandSource
from .conversion.diagnostics import Told
from .conversion.lanelet_map import read_lanelet_map
from .conversion.making import MakesMessages
from .inputs import InputMemory, receive_inputs
from .outputs import Outgoing, outgoing
from .topics import publications, subscriptions

_log = logging.getLogger(__name__)

_MOST_WAITING = 200
"""Messages of a topic kept until the next cycle; where cycles stop coming, the oldest are dropped."""


class Inbox:
    """What arrived since it was emptied. Safe to fill and empty from different threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[str, list[Any]] = {}

    def put(self, topic: str, message: Any) -> None:
        """Keep a message."""
        with self._lock:
            waiting = self._messages.setdefault(topic, [])
            waiting.append(message)
            del waiting[:-_MOST_WAITING]

    def take(self) -> Mapping[str, list[Any]]:
        """Everything, in the order of arrival on each topic; the inbox is empty then."""
        with self._lock:
            messages, self._messages = self._messages, {}
        return messages


class Bridge:
    """Between topics and a planner in its envelope.

    ``make`` makes outgoing messages. ``warm_start`` begins plans at the plans before. ``clock`` (seconds) measures how long
    cycles take. Raises ``InputError`` where the
    map that the configuration names cannot be read.
    """

    def __init__(
        self,
        ask: Asks,
        config: BridgeConfig,
        make: MakesMessages,
        *,
        warm_start: WarmStart | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.subscriptions, self.publications = subscriptions(config), publications(config)
        self.counters = EnvelopeCounters()
        self.outcome: CycleOutcome | None = None
        """Of the last cycle."""

        self._make, self._inbox, self._memory, self._now_us = make, Inbox(), InputMemory(), 0
        self._planner = SafePlanner(ask, config.envelope, now_us=lambda: self._now_us, clock=clock, warm_start=warm_start)
        self._centre_lines: Mapping[int, np.ndarray] = {}
        if config.command_source is CommandSource.ROUTE:
            self._centre_lines = read_lanelet_map(Path(config.lanelet_map))

    def receive(self, topic: str, message: Any) -> None:
        """Keep a message for the next cycle. Cheap: nothing is converted here."""
        self._inbox.put(topic, message)

    def cycle(self, now_us: int) -> tuple[Outgoing, ...]:
        """Plan with what arrived, at ``now_us``: microseconds on the clock that stamps the messages."""
        self._now_us = now_us
        inputs, failure = VehicleInputs(), ""
        try:
            self._memory, inputs = receive_inputs(self._memory, self._inbox.take(), now_us, self.config, self._centre_lines)
        except Exception as error:  # the vehicle needs a decision all the same, and inputs that did not come grow old
            failure = describe(error)
            _log.exception("The messages of a cycle could not be looked at")
        self.outcome = self._planner.cycle(inputs)
        self.counters.add(self.outcome)
        motion = self._planner.memory.decision.motion
        told = Told(outcome=self.outcome, counters=self.counters, failure=failure)
        return outgoing(self._make, told, motion, self._memory.motion.newest, self.config)
