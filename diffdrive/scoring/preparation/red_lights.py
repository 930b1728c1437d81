"""Which connectors of a route are red, and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdrive.scene import LightState, TrafficLight
from diffdrive.scoring.preparation.drivable_map import flat_polygons
from diffdrive.scoring.preparation.lane_graph import LaneGraph
from diffdrive.scoring.preparation.tracks import STEPS_PER_FRAME
from diffdrive.scoring.scoring_scene import RedLights


def red_lights(graph: LaneGraph, route: Sequence[str], frames: Sequence[Sequence[TrafficLight]], num_steps: int) -> RedLights:
    """Red lights on ``route`` [block ids] at ``num_steps`` steps of 0.1 s.

    ``frames``: the lights every 0.5 s from t = 0; each holds until the next, the last for good. Which route it is differs: the
    one as listed for what is scored, the corrected one for what PDM-Closed heeds.
    """
    on_route = {lane.lane_id: lane for lane in graph.lanes_of(route)}
    red = [[light.lane_id for light in frame if light.state is LightState.RED] for frame in frames]
    ids = [i for i in dict.fromkeys(i for frame in red for i in frame) if i in on_route]
    frame_of = np.minimum(np.arange(num_steps) // STEPS_PER_FRAME, max(len(frames) - 1, 0))
    is_red = np.array([[i in frame for frame in red] for i in ids], dtype=bool).reshape(len(ids), len(frames))
    return RedLights(
        polygons=flat_polygons(np.array([on_route[i].polygon for i in ids], dtype=object)),
        is_red=is_red[:, frame_of] if len(ids) else np.zeros((0, num_steps), dtype=bool),
    )
