"""Two directions take turns past an obstacle."""

import numpy as np
import pytest
from event_traffic import DT, Kept, advance, car, gate, streets

from diffdrive.scene import AgentKind
from diffdrive.world.events import EventKind
from diffdrive.world.traffic.events.bottleneck import AHEAD, HARD, ONCOMING, BottleneckScript, Reservation
from diffdrive.world.traffic.events.sites import Bottleneck, Prop
from diffdrive.world.traffic.events.streets import Car

# The obstacle lies from 90 to 95 m of a street of 200 m; oncoming traffic counts its metres from the other end.
FIRST_M, LAST_M = 90.0, 95.0
PROP = Prop(token="d0", type_name="sedan", kind=AgentKind.VEHICLE, pose=(92.5, -0.5, 0.0), size=(5.0, 1.9, 1.5))
SITE = Bottleneck(
    kind=EventKind.DOUBLE_PARKED,
    lane_id="1",
    first_m=FIRST_M,
    last_m=LAST_M,
    left_m=0.5,
    props=(PROP,),
    ahead=gate("there", 71.0, 110.0),
    oncoming=gate("back", 77.0, 125.0),
)


def test_lane_changes_hands_only_when_the_last_one_has_left() -> None:
    reservation = Reservation()
    assert reservation.open == ONCOMING
    reservation.update(1.0, (True, False), (False, True))
    assert reservation.open is None, "somebody is still in there"
    reservation.update(2.0, (True, False), (False, False))
    assert reservation.open == AHEAD


def test_a_direction_that_others_wait_for_gives_way_after_a_while() -> None:
    reservation = Reservation()
    opened = []
    for k in range(1000):
        reservation.update(k * DT, (True, True), (False, False))
        opened.append(reservation.open)
    turns = np.flatnonzero(np.diff([-1 if side is None else side for side in opened]))
    assert len(turns) >= 6
    assert np.diff(turns).max() * DT < 15.0


def _run(every_s: tuple[float, float], seconds: float) -> tuple[list[list[Car]], BottleneckScript]:
    """Streams of both directions through the bottleneck: all vehicles at every step."""
    script, reins = BottleneckScript(SITE), Kept(DT)
    cars: list[Car] = []
    history: list[list[Car]] = []
    for k in range(round(seconds / DT)):
        for edge, interval in zip(("there", "back"), every_s, strict=True):
            if k % round(interval / DT) == 0 and all(c.edge_id != edge or c.tail > 4.0 for c in cars):
                cars.append(car(f"{edge}{k}", edge, 0.0, 8.0))
        script.step(streets(k * DT, cars), reins)
        cars = advance(cars, reins.take(), 11.0)
        history.append(cars)
    return history, script


@pytest.mark.parametrize("every_s", [(7.0, 9.0), (4.0, 4.0), (30.0, 3.0)])
def test_nobody_meets_anybody_beside_the_obstacle_and_nobody_waits_for_ever(every_s: tuple[float, float]) -> None:
    history, script = _run(every_s, 200.0)
    waits: dict[str, float] = {}
    previous: dict[str, float] = {}
    for cars in history:
        passing = [c for c in cars if c.edge_id == "there" and c.position > 73.0 and c.tail < 108.0]
        against = [c for c in cars if c.edge_id == "back" and c.position > 79.0 and c.tail < 123.0]
        assert not (passing and against)
        for one in cars:
            assert previous.get(one.name, one.speed) - one.speed <= (HARD + 0.1) * DT
            waits[one.name] = waits.get(one.name, 0.0) + (DT if one.speed < 0.1 else 0.0)
        previous = {one.name: one.speed for one in cars}
    assert max(waits.values()) < 60.0
    gone = {name for name in waits if name not in previous}
    assert {name[:4] for name in gone} == {"ther", "back"}
    assert [happening.tokens for happening in script.happenings(200.0)] == [("d0",)]


def test_who_passes_is_slow_beside_the_obstacle_and_alone_need_not_stop() -> None:
    history, _ = _run((500.0, 500.0), 60.0)
    ours = [c for cars in history for c in cars if c.edge_id == "there"]
    beside = [c.speed for c in ours if FIRST_M < c.position < LAST_M]
    assert min(beside) > 5.5 and max(beside) < 7.0


def test_nothing_happened_where_nobody_came() -> None:
    assert BottleneckScript(SITE).happenings(100.0) == ()
