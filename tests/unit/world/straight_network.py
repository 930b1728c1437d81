"""A road network made by hand: three streets in a row, two lanes each, with parking along the first."""

import numpy as np

from diffdrive.scene import Lane, VectorMap
from diffdrive.world.roads import Approach, RoadNetwork

STREET_M, JUNCTION_M, WIDTH_M = 100.0, 20.0, 3.0


def lane(lane_id: str, start: np.ndarray, end: np.ndarray, successors: tuple[str, ...], junction: str | None = None) -> Lane:
    center = np.linspace(start, end, 12)
    half = np.array([0.0, WIDTH_M / 2])
    return Lane(
        lane_id=lane_id,
        centerline=center,
        left_boundary=center + half,
        right_boundary=center - half,
        successor_ids=successors,
        lane_group_id=lane_id,
        intersection_id=junction,
    )


def network() -> RoadNetwork:
    """Street k has lanes 'k0' (right) and 'k1' (left); only the left lane goes on to the last street."""
    lanes, streets = [], {}
    for k in range(3):
        x = k * (STREET_M + JUNCTION_M)
        open_lanes = (0, 1) if k == 0 else ((1,) if k == 1 else ())
        for side in (0, 1):
            y = side * WIDTH_M
            ahead = (f"{k}{side}9",) if side in open_lanes else ()
            lanes.append(lane(f"{k}{side}", np.array([x, y]), np.array([x + STREET_M, y]), ahead))
            if ahead:
                end = np.array([x + STREET_M + JUNCTION_M, y])
                lanes.append(lane(ahead[0], np.array([x + STREET_M, y]), end, (f"{k + 1}{side}",), junction=str(k)))
        streets[f"e{k}"] = Approach(
            edge_id=f"e{k}",
            lane_ids=(f"{k}0", f"{k}1"),
            bike_lane_ids=(),
            next_edge_ids=(f"e{k + 1}",) if k < 2 else (),
            walk_edge_ids=(f"e{k}",),
            length=STREET_M,
            from_junction=str(k - 1),
            to_junction=str(k),
            opposite_edge_id=None,
            speed_limit=13.89,
            parking_strip=np.array([[0.0, -3.0], [STREET_M, -3.0]]) if k == 0 else None,
        )
    return RoadNetwork(vector_map=VectorMap(lanes=tuple(lanes)), approaches=streets, lane_of={}, signals={})
