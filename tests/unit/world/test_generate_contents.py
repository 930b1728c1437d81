"""The hash of a town's map and drives, and what goes into a log of a long trip."""

from dataclasses import replace

import numpy as np
import pytest
from straight_network import network

from diffdrive.log123d.write import LogRecord
from diffdrive.scene import Agents
from diffdrive.vehicle import PACIFICA
from diffdrive.world.contents import content_hash
from diffdrive.world.records import rest_of_trip

TOWN = network().vector_map
LOG = LogRecord(
    dataset="drivetown",
    split="val",
    name="a",
    location="town0001",
    timestamps_us=np.array([0, 100_000]),
    poses=np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    velocities=np.full((2, 2), 0.25),
    accelerations=np.zeros((2, 2)),
    yaw_rates=np.zeros(2),
    vehicle=PACIFICA,
    agents=(Agents.none(), Agents.none()),
    traffic_lights=((), ()),
    route=None,
)


def test_hash_is_of_the_facts_to_a_millimetre() -> None:
    first = content_hash(TOWN, [LOG])
    assert first == content_hash(TOWN, [replace(LOG, poses=LOG.poses + 1e-5)])
    assert len(first) == 32


def test_a_fact_that_a_type_learns_does_not_change_the_hashes_of_the_benchmarks() -> None:
    assert content_hash(TOWN, [LOG]) == "87d672aede0e619d57c5f2b7edbe0566"


@pytest.mark.parametrize(
    "other",
    [
        replace(LOG, poses=LOG.poses + 0.002),
        replace(LOG, timestamps_us=np.array([0, 200_000])),
        replace(LOG, name="b"),
        replace(LOG, route=np.zeros((2, 2))),
    ],
)
def test_hash_changes_with_any_fact_of_a_drive(other: LogRecord) -> None:
    assert content_hash(TOWN, [LOG]) != content_hash(TOWN, [other])


def test_hash_changes_with_the_map_and_the_number_of_drives() -> None:
    fewer = replace(TOWN, lanes=TOWN.lanes[1:])
    assert len({content_hash(TOWN, [LOG]), content_hash(fewer, [LOG]), content_hash(TOWN, [])}) == 3


def test_rest_of_a_trip_that_comes_by_a_street_twice() -> None:
    trip = ("a", "b", "c", "a", "b", "d")
    assert rest_of_trip(trip, ["a", "a", ""]) == list(trip)
    assert rest_of_trip(trip, ["a", "b", "", "c", "a", "b"]) == ["b", "d"]
