"""Replay a recorded bag through bridge and planner: ``python -m diffdrive_agents.ros2.replay IN OUT [--checkpoint FOLDER]``.

Time is the bag's: a cycle begins every ``period_s`` after the first message, sees what was recorded up to then, and is over at
once. The same bag, parameters and network give the same output, to the byte.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import AskInline, CycleOutcome, WarmStart
from diffdrive.runtime.envelope.watchdog import AnswersObservations

from .bag_types import make_bag_message
from .bags import BagWriter, Recorded, read_bag
from .bridge import Bridge
from .config import DEFAULT_PARAMS, BridgeConfig, config_from_file
from .network import load_network


def replay(
    source: Path,
    target: Path,
    planner: AnswersObservations,
    config: BridgeConfig,
    *,
    warm_start: WarmStart | None = None,
    seen: Callable[[CycleOutcome], None] = lambda outcome: None,
) -> int:
    """Write what the bridge publishes on the bag ``source`` to the bag ``target``; returns the number of cycles.

    ``seen`` is shown the outcome of every cycle. Raises ``InputError`` for a bag that cannot be read, that holds none of the
    bridge's topics, and where ``target`` is there already.
    """
    ask, count = AskInline(planner=planner, clock=_still), 0
    bridge = Bridge(ask, config, make_bag_message, warm_start=warm_start, clock=_still)
    recorded = read_bag(source, {topic.name for topic in bridge.subscriptions})
    with BagWriter(target) as writer:
        writer.add_topics(bridge.publications)
        for now_ns in _cycles(bridge, recorded, round(config.period_s * 1e9)):
            for out in bridge.cycle(now_ns // 1000):
                writer.write(out.topic, out.message, now_ns)
            count += 1
            if bridge.outcome is not None:
                seen(bridge.outcome)
        if not count:
            listened = ", ".join(topic.name for topic in bridge.subscriptions)
            raise InputError(f"'{source}' holds no message on any topic of the bridge ({listened}). Set inputs.*.")
    return count


def _still() -> float:
    """A clock on which nothing takes time."""
    return 0.0


def _cycles(bridge: Bridge, recorded: Iterable[Recorded], period_ns: int) -> Iterator[int]:
    """Hand the bridge its messages; yield the time of each cycle once it has all that were recorded up to then."""
    now_ns: int | None = None
    for each in recorded:
        now_ns = each.received_ns if now_ns is None else now_ns
        while each.received_ns > now_ns:
            yield now_ns
            now_ns += period_ns
        bridge.receive(each.topic, each.message)
    if now_ns is not None:
        yield now_ns


def main(arguments: list[str]) -> None:
    """The command. Ends with a message where an argument is wrong."""
    parser = argparse.ArgumentParser(prog="python -m diffdrive_agents.ros2.replay", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="a bag of ROS 2: a folder, or an .mcap or .db3 file")
    parser.add_argument("target", type=Path, help="the bag to write: a folder, or an .mcap file")
    parser.add_argument("--checkpoint", default="", help="a folder; default: the one in the parameters, else the shipped one")
    parser.add_argument("--params", type=Path, default=DEFAULT_PARAMS, help="a ROS parameter file")
    parser.add_argument("overrides", nargs="*", help="parameters as name=value, e.g. history.max_gap_s=0.5")
    given = parser.parse_intermixed_args(arguments)
    try:
        config = config_from_file(given.params, tuple(given.overrides))
        config = replace(config, checkpoint=given.checkpoint or config.checkpoint)
        network = load_network(config)
        counts: dict[str, int] = {}

        def count_status(outcome: CycleOutcome) -> None:
            name = outcome.decision.status.name
            counts[name] = counts.get(name, 0) + 1

        total = replay(given.source, given.target, network.planner, config, warm_start=network.warm_start, seen=count_status)
    except InputError as error:
        sys.exit(str(error))
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    sys.stdout.write(f"{given.target}: {total} cycles ({told})\n")


if __name__ == "__main__":
    main(sys.argv[1:])
