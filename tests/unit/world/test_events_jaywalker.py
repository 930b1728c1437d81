"""People who cross in mid-block, and cars that brake for them."""

from dataclasses import replace

import numpy as np
from event_traffic import DT, Kept, advance, car, gate, streets

from diffdrive.world.traffic.events.jaywalker import JaywalkerScript, Mood
from diffdrive.world.traffic.events.sites import Crossing
from diffdrive.world.traffic.events.streets import Car

LINE_M = 120.0
SITE = Crossing(
    token="j0",
    start=(LINE_M, -3.0),
    end=(LINE_M, 6.3),
    speed=1.5,
    brink_m=0.8,
    gates=(gate("there", LINE_M - 3.2, LINE_M), gate("back", 200.0 - LINE_M - 3.2, 200.0 - LINE_M)),
    spans=((0.7, 5.4), (4.0, 8.7)),
    seed=0,
)


def _script(mood: Mood) -> JaywalkerScript:
    """Somebody in the given mood the first time."""
    found = (JaywalkerScript(replace(SITE, seed=seed)) for seed in range(100))
    return next(script for script in found if script._mood is mood)


def _run(mood: Mood, cars: list[Car], seconds: float = 60.0) -> tuple[np.ndarray, list[list[Car]], JaywalkerScript]:
    """Places of the walker [T, 3] and all vehicles at every step, from when the walker is ready."""
    script, reins, poses, history = _script(mood), Kept(DT), [], []
    for k in range(round(seconds / DT)):
        now = 12.0 + k * DT
        script.step(streets(now, cars), reins)
        poses.append(script.pose(now))
        cars = advance(cars, reins.take(), 11.0)
        history.append(cars)
    return np.array(poses), history, script


def test_car_brakes_firmly_but_not_hard_and_stops_before_the_walker() -> None:
    poses, history, script = _run(Mood.TIGHT, [car("v0", "there", 30.0, 11.0)])
    assert np.ptp(poses[:, 1]) > 9.0, "the walker has crossed"
    speeds = np.array([cars[0].speed for cars in history if cars])
    assert 1.0 < -np.diff(speeds).min() / DT < 2.7
    for (_, y, _), cars in zip(poses, history, strict=True):
        on_lane = -1.65 < y < 1.65
        assert not (on_lane and any(c.position > LINE_M - 2.0 and c.tail < LINE_M + 1.0 for c in cars))
    assert not history[-1], "and it drives on afterwards"
    assert [told.tokens for told in script.happenings(100.0)] == [("j0",)]


def test_other_direction_is_stopped_as_well() -> None:
    _, history, _ = _run(Mood.TIGHT, [car("v0", "there", 30.0, 11.0), car("v1", "back", 0.0, 11.0, type_name="suv")])
    slowest = {name: min(c.speed for cars in history for c in cars if c.name == name) for name in ("v0", "v1")}
    assert slowest["v0"] < 6.0 and slowest["v1"] < 6.0


def test_nobody_sets_out_when_somebody_could_not_stop() -> None:
    # The ego would be right, but a car from the other side comes at a bad moment.
    for position in (53.0, 55.0):
        poses, _, _ = _run(Mood.TIGHT, [car("v0", "there", 89.0, 11.0), car("v1", "back", position, 11.0, "suv")], seconds=3.0)
        assert np.ptp(poses[:, 1]) == 0.0


def test_nobody_sets_out_into_a_queue_or_without_an_audience() -> None:
    queue = [car("v0", "there", 30.0, 11.0), car("v1", "there", 128.0, 0.0)]
    script, reins = _script(Mood.TIGHT), Kept(DT)
    for k in range(60):
        script.step(streets(12.0 + k * DT, [replace(queue[0], position=30.0 + 1.1 * k), queue[1]]), reins)
    assert script.happenings(100.0) == ()
    poses, _, _ = _run(Mood.TIGHT, [car("v0", "there", 30.0, 11.0, type_name="sedan")])
    assert np.ptp(poses[:, 1]) == 0.0


def test_who_waits_steps_up_to_the_brink_lets_the_car_pass_and_steps_back() -> None:
    poses, history, script = _run(Mood.WAIT, [car("v0", "there", 60.0, 11.0)], seconds=15.0)
    assert np.ptp(poses[:, 1]) == np.float64(poses[:, 1].max() - SITE.start[1])
    assert abs(poses[:, 1].max() - (SITE.start[1] + SITE.brink_m)) < 0.01
    assert abs(poses[-1, 1] - SITE.start[1]) < 0.01
    assert min(c.speed for cars in history for c in cars) > 10.9
    assert len(script.happenings(100.0)) == 1


def test_who_crosses_early_is_over_before_the_car_comes_near() -> None:
    poses, history, _ = _run(Mood.EARLY, [car("v0", "there", 15.0, 9.0)], seconds=12.0)
    gone = next(k for k, pose in enumerate(poses) if pose[1] > 2.0)
    assert LINE_M - history[gone][0].position > 8.0
