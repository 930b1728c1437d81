"""Topics of ROS 2 on DDS: readers, writers, and waiting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..topics import Delivery, Topic
from .types import carried, carrier_class

_SECOND_NS = 1_000_000_000


class Transport:
    """One participant of a DDS domain with readers of some topics and writers of others. Not for several threads at once.

    ``domain`` is ROS_DOMAIN_ID. Messages are those of ``make_bag_message``.
    """

    def __init__(self, listened: Iterable[Topic], published: Iterable[Topic], *, domain: int = 0) -> None:
        from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet
        from cyclonedds.domain import DomainParticipant
        from cyclonedds.pub import DataWriter
        from cyclonedds.sub import DataReader
        from cyclonedds.topic import Topic as DdsTopic

        self._participant = DomainParticipant(domain)
        self._readers, self._writers, self._waits = {}, {}, WaitSet(self._participant)
        self._conditions = []
        for topic in listened:
            made = DdsTopic(self._participant, f"rt{topic.name}", carrier_class(topic.type_name))
            reader = DataReader(self._participant, made, qos=_quality(topic.delivery))
            condition = ReadCondition(reader, SampleState.NotRead | ViewState.Any | InstanceState.Any)
            self._waits.attach(condition)
            self._readers[topic.name] = reader
            self._conditions.append(condition)
        for topic in published:
            made = DdsTopic(self._participant, f"rt{topic.name}", carrier_class(topic.type_name))
            self._writers[topic.name] = DataWriter(self._participant, made, qos=_quality(topic.delivery))

    def take(self, *topics: str) -> Iterator[tuple[str, Any]]:
        """What arrived on ``topics`` (all, if none are named) and was not taken yet, topic by topic in the order of arrival."""
        from cyclonedds.internal import InvalidSample

        for name in topics or self._readers:
            for sample in self._readers[name].take(N=1000):
                if not isinstance(sample, InvalidSample):
                    yield name, sample.message

    def wait(self, timeout_s: float) -> bool:
        """Until something arrives, but no longer than ``timeout_s``; whether something did."""
        return bool(self._waits.wait(max(0, int(timeout_s * _SECOND_NS))))

    def publish(self, topic: str, message: Any) -> None:
        """Send a message."""
        self._writers[topic].write(carried(message))

    def flush(self, timeout_s: float) -> bool:
        """Wait until every reliable reader has everything that was sent; false where one does not within ``timeout_s``."""
        return all(writer.wait_for_acks(int(timeout_s * _SECOND_NS)) for writer in self._writers.values())

    def partners(self, topic: str) -> int:
        """How many readers a topic that is published here has."""
        return len(self._writers[topic].get_matched_subscriptions())

    def sources(self, topic: str) -> int:
        """How many writers a topic that is listened to here has."""
        return len(self._readers[topic].get_matched_publications())


def _quality(delivery: Delivery) -> Any:
    from cyclonedds.qos import Policy, Qos

    return Qos(
        Policy.Reliability.BestEffort if delivery.is_best_effort else Policy.Reliability.Reliable(_SECOND_NS),
        Policy.Durability.TransientLocal if delivery is Delivery.LATCHED else Policy.Durability.Volatile,
        Policy.History.KeepLast(delivery.depth),
        # The encoding of ROS 2; without this, cyclonedds would offer its own newer one too.
        Policy.DataRepresentation(use_cdrv0_representation=True),
    )
