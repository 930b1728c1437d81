"""Demand and parked cars, on a network made by hand."""

import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from straight_network import STREET_M, lane, network

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind, VectorMap
from diffdrive.vehicle import PACIFICA
from diffdrive.world.roads import RoadNetwork
from diffdrive.world.traffic import TrafficConfig, demand_xml
from diffdrive.world.traffic.cycling import cycling_streets
from diffdrive.world.traffic.demand import DemandLevel, demand_level
from diffdrive.world.traffic.road_users import CYCLISTS, DRIVERS, EGO_TYPE, ROAD_USERS, WALKERS
from diffdrive.world.traffic.standing import CLEAR_OF_JUNCTION_M, parked_cars

NORMAL = TrafficConfig(quiet_share=0.0, busy_share=0.0, cars_per_lane_km=60.0)


def routes(config: TrafficConfig = NORMAL, seed: int = 5, town: RoadNetwork | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(demand_xml(town or network(), seed, config))


def test_trips_come_in_order_and_only_on_streets_of_the_town() -> None:
    root = routes()
    trips = [*root.findall("trip"), *root.findall("person/personTrip")]
    assert {trip.get("from") for trip in trips} | {trip.get("to") for trip in trips} == {"e0", "e1", "e2"}
    times = [float(str(user.get("depart"))) for user in root if user.tag in ("trip", "person")]
    assert times == sorted(times)


def test_everybody_sets_out_before_the_streets_are_watched_and_has_a_long_way_to_go() -> None:
    root = routes()
    assert max(float(str(user.get("depart"))) for user in root if user.tag != "vType") < NORMAL.warm_up_s
    middle = {f"e{k}": k * 120.0 + 50.0 for k in range(3)}
    for trip in (t for t in root.findall("trip") if str(t.get("id")).startswith("v")):
        stops = [str(trip.get("from")), *str(trip.get("via") or "").split(), str(trip.get("to"))]
        way = sum(abs(middle[a] - middle[b]) for a, b in pairwise(stops))
        assert way >= NORMAL.duration_s * 13.89, "even at the speed limit all the time nobody arrives"


def test_demand_is_a_function_of_its_seed_and_follows_the_numbers() -> None:
    calm, busy = replace(NORMAL, cars_per_lane_km=20.0), replace(NORMAL, cars_per_lane_km=80.0)
    assert demand_xml(network(), 5, calm) == demand_xml(network(), 5, calm)
    assert demand_xml(network(), 5, calm) != demand_xml(network(), 6, calm)
    cars = [sum(str(t.get("id")).startswith("v") for t in routes(config).findall("trip")) for config in (calm, busy)]
    assert cars == [12, 48], "of 0.6 lane kilometres"


def test_towns_are_quiet_normal_and_busy_in_the_given_shares() -> None:
    levels = Counter(demand_level(seed, TrafficConfig()) for seed in range(400))
    assert abs(levels[DemandLevel.QUIET] / 400 - 0.2) < 0.06 and abs(levels[DemandLevel.BUSY] / 400 - 0.45) < 0.06
    assert demand_level(3, NORMAL) is DemandLevel.NORMAL
    people = [len(routes(replace(NORMAL, quiet_share=quiet, busy_share=1 - quiet)).findall("person")) for quiet in (1.0, 0.0)]
    assert people[1] > 2.5 * people[0]


def test_nobody_ends_in_a_roundabout_and_only_cars_take_the_expressway() -> None:
    town = network()
    streets = dict(town.approaches)
    streets["e1"] = replace(streets["e1"], is_expressway=True)
    streets["e2"] = replace(streets["e2"], is_ring=True)
    root = routes(town=replace(town, approaches=streets))
    stops = {
        kind: {
            name
            for trip in root.findall("trip")
            if str(trip.get("id")).startswith(kind)
            for name in (trip.get("from"), trip.get("to"), *str(trip.get("via") or "").split())
        }
        for kind in "vb"
    }
    assert stops["v"] == {"e0", "e1"} and not stops["b"]
    assert {name for trip in root.iter("personTrip") for name in (trip.get("from"), trip.get("to"))} == {"e0"}


def test_bicycles_stay_where_they_can_ride_to_and_fro() -> None:
    town = network()
    lanes = list(town.vector_map.lanes)
    # A way back from the second street to the first; from the third there is none.
    back = replace(lane("back", np.zeros(2), np.array([0.0, 9.0]), ("00",)), intersection_id="9")
    lanes = [replace(item, successor_ids=("back", *item.successor_ids)) if item.lane_id == "11" else item for item in lanes]
    town = replace(town, vector_map=VectorMap(lanes=(*lanes, back)))
    assert cycling_streets(town) == ("e0", "e1")
    closed = dict(town.approaches) | {"e1": replace(town.approaches["e1"], is_expressway=True)}
    assert len(cycling_streets(replace(town, approaches=closed))) == 1


def test_road_users_are_of_many_bodies_and_manners() -> None:
    assert sum(user.share for user in DRIVERS.values()) == pytest.approx(1.0)
    assert sum(user.share for user in CYCLISTS.values()) == pytest.approx(1.0)
    assert sum(user.share for user in WALKERS.values()) == pytest.approx(1.0)
    assert ROAD_USERS["motorcycle"].kind is AgentKind.BICYCLE and ROAD_USERS["motorcycle"].length > 2.0
    assert ROAD_USERS["child"].height < 1.4
    assert len({user.sumo for name, user in ROAD_USERS.items() if name.startswith("sedan")}) == 3
    for name, user in DRIVERS.items():
        if name.startswith(EGO_TYPE):
            assert (user.length, user.width, user.height) == (PACIFICA.length, PACIFICA.width, PACIFICA.height)
        assert 'lcMaxSpeedLatStanding="0"' in user.sumo, "a standing car does not slide sideways"
    assert len([name for name in DRIVERS if name.startswith(EGO_TYPE)]) == 3


def test_parked_cars_fit_their_strip_and_each_other() -> None:
    cars = parked_cars(network(), 5, occupancy=1.0, steps=4)
    assert len(cars) >= 11
    corners = np.array([box_corners(np.concatenate([car.poses[0], car.size[:2]])) for car in cars])
    assert np.abs(corners[..., 1] + 3.0).max() < 1.3
    low, high = corners[..., 0].min(axis=1), corners[..., 0].max(axis=1)
    assert (low[1:] > high[:-1] + 0.5).all()
    assert low.min() > CLEAR_OF_JUNCTION_M - 0.5 and high.max() < STREET_M - CLEAR_OF_JUNCTION_M + 0.5
    assert all(np.ptp(car.poses, axis=0).max() == 0.0 for car in cars)


def test_nobody_parks_in_a_sharp_bend() -> None:
    angle = np.linspace(0.0, np.pi / 2, 60)
    bend = 60.0 * np.column_stack([np.sin(angle), 1.0 - np.cos(angle)])
    town = network()
    streets = dict(town.approaches) | {"e0": replace(town.approaches["e0"], parking_strip=bend)}
    assert not parked_cars(replace(town, approaches=streets), 5, occupancy=1.0, steps=1)
    wide = dict(streets) | {"e0": replace(streets["e0"], parking_strip=5.0 * bend)}
    assert parked_cars(replace(town, approaches=wide), 5, occupancy=1.0, steps=1)


def test_occupancy_is_the_share_of_taken_spaces() -> None:
    full, half, none = (len(parked_cars(network(), 5, occupancy=share, steps=1)) for share in (1.0, 0.5, 0.0))
    assert none == 0 < half < full


def test_wrong_traffic_says_the_rule() -> None:
    with pytest.raises(InputError, match="warm_up_s must lie within"):
        TrafficConfig(duration_s=10.0, warm_up_s=20.0)
    with pytest.raises(InputError, match="must not be negative"):
        TrafficConfig(walkers_per_km=-1.0)
    with pytest.raises(InputError, match="add up to one at most"):
        TrafficConfig(quiet_share=0.7, busy_share=0.7)
