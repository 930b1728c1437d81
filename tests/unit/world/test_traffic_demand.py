"""Demand and parked cars, on a network made by hand."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from straight_network import STREET_M, network

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.vehicle import PACIFICA
from diffdrive.world.traffic import TrafficConfig, demand_xml
from diffdrive.world.traffic.parking import CLEAR_OF_JUNCTION_M, parked_cars


def test_trips_come_in_order_and_only_on_streets_of_the_town() -> None:
    root = ElementTree.fromstring(demand_xml(network(), 5, TrafficConfig()))
    trips = [*root.findall("trip"), *root.findall("person/personTrip")]
    assert {trip.get("from") for trip in trips} | {trip.get("to") for trip in trips} == {"e0", "e1", "e2"}
    times = [float(str(user.get("depart"))) for user in root if user.tag in ("trip", "person")]
    assert times == sorted(times)


def test_demand_is_a_function_of_its_seed_and_follows_the_intervals() -> None:
    calm, busy = TrafficConfig(car_interval_s=2.0), TrafficConfig(car_interval_s=0.5)
    assert demand_xml(network(), 5, calm) == demand_xml(network(), 5, calm)
    assert demand_xml(network(), 5, calm) != demand_xml(network(), 6, calm)
    cars = [len(re.findall('type="cars"', demand_xml(network(), 5, config))) for config in (calm, busy)]
    assert 3.0 < cars[1] / cars[0] < 5.0


def test_ego_type_has_the_body_of_the_ego_vehicle() -> None:
    root = ElementTree.fromstring(demand_xml(network(), 5, TrafficConfig()))
    ego = next(kind for kind in root.iter("vType") if kind.get("id") == "ego")
    assert (float(str(ego.get("length"))), float(str(ego.get("width")))) == (PACIFICA.length, PACIFICA.width)
    assert ego.get("lcMaxSpeedLatStanding") == "0", "a standing car does not slide sideways"


def test_parked_cars_fit_their_strip_and_each_other() -> None:
    cars = parked_cars(network(), 5, occupancy=1.0, steps=4)
    assert len(cars) >= 12
    corners = np.array([box_corners(np.concatenate([car.poses[0], car.size[:2]])) for car in cars])
    assert np.abs(corners[..., 1] + 3.0).max() < 1.3
    low, high = corners[..., 0].min(axis=1), corners[..., 0].max(axis=1)
    assert (low[1:] > high[:-1]).all()
    assert low.min() > CLEAR_OF_JUNCTION_M - 4.0 and high.max() < STREET_M - CLEAR_OF_JUNCTION_M + 4.0
    assert all(np.ptp(car.poses, axis=0).max() == 0.0 for car in cars)


def test_occupancy_is_the_share_of_taken_spaces() -> None:
    full, half, none = (len(parked_cars(network(), 5, occupancy=share, steps=1)) for share in (1.0, 0.5, 0.0))
    assert none == 0 < half < full


def test_wrong_traffic_says_the_rule() -> None:
    with pytest.raises(InputError, match="warm_up_s must lie within"):
        TrafficConfig(duration_s=10.0, warm_up_s=20.0)
    with pytest.raises(InputError, match="positive seconds"):
        TrafficConfig(car_interval_s=0.0)
