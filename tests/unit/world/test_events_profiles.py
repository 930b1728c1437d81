"""Motion by formula."""

import numpy as np
import pytest

from diffdrive.world.traffic.events.profiles import Walk, bump, needed_deceleration, speed_towards

DT = 0.1


def test_bump_is_one_beside_the_obstacle_nothing_far_away_and_smooth_between() -> None:
    arc = np.arange(0.0, 100.0, 0.1)
    share = bump(arc, 40.0, 50.0, 18.0)
    assert (share[(arc >= 40.0) & (arc <= 50.0)] == 1.0).all()
    assert (share[(arc <= 22.0) | (arc >= 68.0)] < 1e-12).all()
    assert np.abs(np.diff(share)).max() <= np.pi / 2 / 18.0 * 0.1 + 1e-9, "no step"
    assert np.abs(np.diff(share, 2)).max() <= 0.5 * (np.pi / 18.0 * 0.1) ** 2 * 1.01, "no kink"


@pytest.mark.parametrize("end_speed", [0.0, 6.5])
@pytest.mark.parametrize("speed", [8.0, 13.9])
def test_who_keeps_below_the_speed_towards_a_line_brakes_evenly_and_does_not_cross_it_faster(
    speed: float, end_speed: float
) -> None:
    distance, speeds = 60.0, [speed]
    while distance > 0.05 and len(speeds) < 400:
        speeds.append(min(speeds[-1], speed_towards(distance, 2.0, DT, end_speed)))
        distance -= speeds[-1] * DT
    assert distance > -speeds[-1] * DT - 1e-9
    assert -np.diff(speeds).min() / DT <= 2.0 + 0.06
    assert speeds[-1] == pytest.approx(end_speed, abs=0.5)


def test_needed_deceleration_leads_exactly_to_the_line() -> None:
    assert needed_deceleration(10.0, 25.0) == pytest.approx(2.0)
    assert needed_deceleration(10.0, 0.0) == np.inf
    assert needed_deceleration(5.0, 3.0, end_speed=6.0) == 0.0


def test_walk_starts_from_standing_and_time_undoes_distance() -> None:
    walk = Walk(speed=1.4)
    assert walk.distance(0.0) == 0.0 and walk.distance(-1.0) == 0.0
    for metres in (0.1, 0.42, 3.0, 12.0):
        assert walk.distance(walk.time(metres)) == pytest.approx(metres)
    steps = np.diff([walk.distance(t) for t in np.arange(0.0, 3.0, DT)]) / DT
    assert steps[0] < 0.2 and steps[-1] == pytest.approx(1.4)
    assert np.diff(steps).max() / DT < 1.4 / 0.6 + 0.01
