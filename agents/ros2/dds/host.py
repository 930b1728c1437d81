"""The planner on ROS 2's topics without ROS: ``python -m diffdrive_agents.ros2.dds.host [--params FILE] [name=value ...]``.

A cycle begins every ``period_s`` by the clock of this machine, or, with ``--sim-time``, with every message on /clock.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import AskInThread

from ..bag_types import make_bag_message
from ..bridge import Bridge
from ..config import DEFAULT_PARAMS, config_from_file
from ..conversion.making import stamp_us
from ..network import load_network
from ..topics import Delivery, Topic
from .transport import Transport

CLOCK = Topic(name="/clock", type_name="rosgraph_msgs/msg/Clock", delivery=Delivery.RELIABLE)
_PATIENCE_S = 0.2


class Host:
    """A bridge on a DDS domain."""

    def __init__(self, bridge: Bridge, *, domain: int, sim_time: bool) -> None:
        listened = [*bridge.subscriptions, CLOCK] if sim_time else bridge.subscriptions
        self.bridge, self.transport = bridge, Transport(listened, bridge.publications, domain=domain)
        self._topics = tuple(topic.name for topic in bridge.subscriptions)
        self._next_s = time.monotonic()

    def step_by_clock(self) -> None:
        """Wait for the next messages on /clock and do a cycle for each of them."""
        self.transport.wait(_PATIENCE_S)
        for _, tick in self.transport.take(CLOCK.name):
            self._cycle(stamp_us(tick.clock))

    def step_by_timer(self) -> None:
        """Wait until the next cycle is due and do it. Cycles that were slept through are left out."""
        period_s = self.bridge.config.period_s
        self._next_s += period_s
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = max(self._next_s, time.monotonic() - period_s)
        self._cycle(time.time_ns() // 1000)

    def _cycle(self, now_us: int) -> None:
        for topic, message in self.transport.take(*self._topics):
            self.bridge.receive(topic, message)
        for out in self.bridge.cycle(now_us):
            self.transport.publish(out.topic, out.message)


def main(arguments: list[str]) -> None:
    """The command; runs until it is interrupted. Ends with a message where an argument is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m diffdrive_agents.ros2.dds.host", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--params", type=Path, default=DEFAULT_PARAMS, help="a ROS parameter file")
    parser.add_argument(
        "--domain", type=int, default=int(os.environ.get("ROS_DOMAIN_ID", "0")), help="default: ROS_DOMAIN_ID, or 0"
    )
    parser.add_argument("--sim-time", action="store_true", help="a cycle for every message on /clock, at its time")
    parser.add_argument("overrides", nargs="*", help="parameters as name=value")
    given = parser.parse_intermixed_args(arguments)
    try:
        config = config_from_file(given.params, tuple(given.overrides))
        network = load_network(config)
        network.planner.warm_up()
        bridge = Bridge(AskInThread(network.planner), config, make_bag_message, warm_start=network.warm_start)
    except InputError as error:
        sys.exit(str(error))
    host = Host(bridge, domain=given.domain, sim_time=given.sim_time)
    step: Any = host.step_by_clock if given.sim_time else host.step_by_timer
    try:
        while True:
            step()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
