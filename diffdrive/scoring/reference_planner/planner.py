"""PDM-Closed (Dauner et al. 2023, arXiv 2306.07962), the planner whose progress is the yardstick of ego progress."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from diffdrive.geometry import box_corners
from diffdrive.scene import Agents
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.reference_planner.choice import proposal_scores
from diffdrive.scoring.reference_planner.forecast import Forecast, forecast, stopping_polygons
from diffdrive.scoring.reference_planner.proposals import proposals
from diffdrive.scoring.reference_planner.timing import at_simulation_times
from diffdrive.scoring.rules import EPDMS, NUM_STEPS, PDMS, Protocol
from diffdrive.scoring.scoring_scene import DrivableMap, RedLights, ScoringScene
from diffdrive.vehicle import PACIFICA
from diffdrive.vehicle.state import STATE_SIZE, VELOCITY_X


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What PDM-Closed knows, all in one planar frame: the map and the present, not the future."""

    timestamp_us: int
    ego_state: np.ndarray
    """[11]."""

    agents: Agents
    drivable_map: DrivableMap
    centerline: np.ndarray
    """[K, 3] x, y, heading along the corrected route."""

    speed_limit_mps: float | None
    red: Polygons
    """Connectors of the corrected route that are red at t = 0; they stay red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """PDM-Closed's answer and how it came to it."""

    proposals: np.ndarray
    """[15, 41, 3]."""

    scores: np.ndarray
    """[15]."""

    choice: int
    """The first best."""

    reference: np.ndarray
    """[41, 3] the chosen proposal at the times of simulation."""


def drive(situation: Situation, protocol: Protocol, *, corrected: bool = False) -> Plan:
    """What PDM-Closed would do, judged by the rules of ``protocol``.

    The devkit never forgets a track that touched the ego at t = 0 as long as its process lives, so its answers depend on the
    order of scenes. Here every scene begins anew, as the first one of a devkit process does.
    """
    pose = situation.ego_state[:3]
    rules = PDMS if protocol is Protocol.V1 else EPDMS
    ego = PACIFICA.boxes(pose)
    box = shapely.Polygon(box_corners(ego))
    others = forecast(situation.agents, ego[:2], box, rules.observation_steps)
    made = proposals(
        situation.centerline,
        pose,
        float(situation.ego_state[VELOCITY_X]),
        situation.speed_limit_mps,
        others,
        stopping_polygons(situation.red, box),
        corrected=corrected,
    )
    scores = proposal_scores(_expected(situation, protocol, others, corrected), made)
    choice = int(np.argmax(scores))
    return Plan(
        proposals=made, scores=scores, choice=choice, reference=at_simulation_times(situation.timestamp_us, made[choice])
    )


def _expected(situation: Situation, protocol: Protocol, others: Forecast, corrected: bool) -> ScoringScene:
    """The scene as it will be if everybody keeps their velocity."""
    num_steps = others.tracks.corners.shape[1]
    return ScoringScene(
        token="forecast",
        log_name="",
        protocol=protocol,
        corrected=corrected,
        timestamp_us=situation.timestamp_us,
        ego_state=situation.ego_state,
        past_states=np.zeros((0, STATE_SIZE)),
        tracks=others.tracks,
        drivable_map=situation.drivable_map,
        red_lights=RedLights(polygons=situation.red, is_red=np.ones((len(situation.red), num_steps), dtype=bool)),
        centerline=situation.centerline[:, :2],
        reference=np.zeros((NUM_STEPS, 3)),
    )
