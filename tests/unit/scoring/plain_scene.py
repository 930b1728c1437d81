"""A small scene by hand: a straight road, one car far ahead, a human who keeps 10 m/s."""

from dataclasses import replace
from typing import Any

import numpy as np

from diffdrive.geometry import box_corners
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import Protocol
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap, RedLights, ScoringScene, Tracks

SPEED_MPS = 10.0


def plain_scene(protocol: Protocol = Protocol.V2, **changes: Any) -> ScoringScene:
    """The ego at the origin at 10 m/s on a road 7 m wide from -20 to 120 m; a car stands at 90 m."""
    steps = 51 if protocol is Protocol.V1 else 41
    outline = np.array([[-20.0, -3.5], [120.0, -3.5], [120.0, 3.5], [-20.0, 3.5]])
    straight = np.stack([SPEED_MPS * 0.1 * np.arange(41), np.zeros(41), np.zeros(41)], axis=1)
    ego = np.zeros(11)
    ego[3] = SPEED_MPS
    car = np.repeat(box_corners(np.array([[90.0, 0.0, 0.0, 4.5, 1.9]]))[:, None], steps, axis=1)
    scene = ScoringScene(
        token="plain",
        log_name="by hand",
        protocol=protocol,
        timestamp_us=1_000_000,
        ego_state=ego,
        past_states=np.zeros((0, 11)),
        tracks=Tracks(
            tokens=("car",),
            corners=car,
            is_present=np.ones((1, steps), dtype=bool),
            centroids=car.mean(axis=2),
            is_agent=np.array([True]),
            speeds=np.zeros(1),
        ),
        drivable_map=DrivableMap(
            polygons=Polygons.of([outline, outline]),
            types=np.array([AreaType.ROADBLOCK, AreaType.LANE]),
            on_route=np.array([False, True]),
        ),
        red_lights=RedLights(polygons=Polygons.of([]), is_red=np.zeros((0, steps), dtype=bool)),
        centerline=np.stack([np.linspace(-20, 120, 141), np.zeros(141)], axis=1),
        reference=straight,
        human_reference=straight,
    )
    return replace(scene, **changes)


def straight_plans(*speeds: float) -> np.ndarray:
    """[N, 8, 3] straight ahead at constant speeds, m/s."""
    times = 0.5 * np.arange(1, 9)
    return np.stack([np.stack([speed * times, np.zeros(8), np.zeros(8)], axis=1) for speed in speeds])
