"""Compare how we prepare scenes with what the official NAVSIM caches hold: routes, centrelines, maps, tracks, PDM-Closed.

    python tools/parity_reference_planner.py MAP.json.gz [MAP.json.gz ...] [--limit SCENES]

A map file holds a map, the log's frames, and per scene what the devkit made of them. The results files of the same scenes
(``*_near.json.gz``, beside the map files) hold the tracks, pasts and red lights. Prints, by item, how many were compared, how
many differ, and the largest error; items without an error must be equal. The last line is the verdict; exit status 0 when
everything agrees, 1 when something differs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffdrive.geometry import box_corners, to_world, wrap_angle
from diffdrive.geometry.se2 import rotate
from diffdrive.scene import AgentKind, Agents, EgoState, LightState, TrafficLight
from diffdrive.scoring.preparation.centerline import centerline_of, lane_sequence, start_lane
from diffdrive.scoring.preparation.drivable_map import Surroundings, surroundings
from diffdrive.scoring.preparation.history import initial_state, past_states
from diffdrive.scoring.preparation.lane_graph import Block, GraphLane, LaneGraph, linked, with_headings
from diffdrive.scoring.preparation.red_lights import red_lights
from diffdrive.scoring.preparation.route import corrected_route
from diffdrive.scoring.preparation.tracks import interpolated_tracks
from diffdrive.scoring.reference_planner import Situation, drive
from diffdrive.scoring.rules import EPDMS, PDMS, Rules
from diffdrive.scoring.scoring_scene import RedLights, Tracks
from diffdrive.scoring.simulation import interpolate_references
from diffdrive.vehicle import PACIFICA

TOLERANCE = 1e-6
"""Metres, radians, m/s, points of score. The devkit worked in the coordinates of the files."""

VERSIONS = (("v2", EPDMS), ("v1", PDMS))


class Comparison:
    """Counts by item what was compared and what differs."""

    def __init__(self) -> None:
        self.compared: dict[str, int] = {}
        self.different: dict[str, int] = {}
        self.largest: dict[str, float] = {}

    @property
    def num_different(self) -> int:
        return sum(self.different.values())

    def equal(self, item: str, got: Any, expected: Any) -> None:
        self._count(item, got == expected)

    def close(self, item: str, got: Any, expected: Any, *, headings: Sequence[int] = ()) -> None:
        """Arrays of one shape; ``headings`` are columns of angles."""
        ours, theirs = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
        if ours.shape != theirs.shape:
            self._count(item, False)
            return
        error = ours - theirs
        for column in headings:
            error[..., column] = wrap_angle(error[..., column])
        worst = float(np.abs(error).max(initial=0.0))
        self.largest[item] = max(self.largest.get(item, 0.0), worst)
        self._count(item, worst <= TOLERANCE)

    def _count(self, item: str, agrees: bool) -> None:
        self.compared[item] = self.compared.get(item, 0) + 1
        self.different[item] = self.different.get(item, 0) + (not agrees)

    def print(self) -> None:
        for item, count in self.compared.items():
            largest = f"{self.largest[item]:.1e}" if item in self.largest else ""
            print(f"{item:32s} {count:6d} compared {self.different[item]:6d} different {largest:>10s}")


def read(file: Path) -> Any:
    with gzip.open(file) as stream:
        return json.load(stream)


def graph_of(data: dict[str, Any]) -> LaneGraph:
    """The lane graph of a map file, in its order."""
    drawn = [(each, False, each["lanes"]) for each in data["roadblocks"]]
    drawn += [(each, True, each["lane_connectors"]) for each in data["roadblock_connectors"]]
    successors, predecessors = linked(
        {each["id"]: each["successors"] for each, _, _ in drawn}, [each["id"] for each, _, _ in drawn]
    )
    lanes = [(each, each["roadblock"]) for each in data["lanes"]]
    lanes += [(each, each["roadblock_connector"]) for each in data["lane_connectors"]]
    follows, _ = linked({each["id"]: each["successors"] for each, _ in lanes}, [each["id"] for each, _ in lanes])
    return LaneGraph(
        lanes={
            each["id"]: GraphLane(
                lane_id=each["id"],
                block_id=block_id,
                baseline=with_headings(np.array(each["baseline"])),
                polygon=shapely.Polygon(each["polygon"]),
                successor_ids=follows[each["id"]],
                speed_limit_mps=each["speed_limit_mps"],
            )
            for each, block_id in lanes
        },
        blocks={
            each["id"]: Block(
                block_id=each["id"],
                is_connector=is_connector,
                polygon=shapely.Polygon(each["polygon"]),
                lane_ids=tuple(lane_ids),
                successor_ids=successors[each["id"]],
                predecessor_ids=tuple(predecessors[each["id"]]),
            )
            for each, is_connector, lane_ids in drawn
        },
        intersections={each["id"]: shapely.Polygon(each["polygon"]) for each in data["intersections"]},
        carparks={each["id"]: shapely.Polygon(each["polygon"]) for each in data["carparks"]},
    )


def agents_of(frame: dict[str, Any]) -> Agents:
    """A frame's objects in the world."""
    boxes = np.array(frame["boxes"]).reshape(-1, 7)
    pose = np.array(frame["ego_xyh"])
    return Agents(
        track_tokens=tuple(frame["track_tokens"]),
        kinds=tuple(AgentKind(name) for name in frame["names"]),
        boxes=np.column_stack([to_world(boxes[:, [0, 1, 6]], pose), boxes[:, 3:5]]),
        vertical=np.ones((len(boxes), 2)),
        velocities=rotate(np.array(frame["velocity_3d"]).reshape(-1, 3)[:, :2], pose[2]),
    )


def ego_of(frame: dict[str, Any]) -> EgoState:
    motion = np.array(frame["ego_dynamic_state"])
    return EgoState(
        timestamp_us=frame["timestamp_us"], pose=np.array(frame["ego_xyh"]), velocity=motion[:2], acceleration=motion[2:]
    )


def lights_of(frame: dict[str, Any]) -> list[TrafficLight]:
    return [
        TrafficLight(lane_id=lane_id, state=LightState.RED if is_red else LightState.GREEN)
        for lane_id, is_red in frame["traffic_lights"]
    ]


class Log:
    """One map file and the results of its scenes."""

    def __init__(self, file: Path, results: dict[str, dict[str, Any]], comparison: Comparison) -> None:
        self.data = read(file)
        self.graph = graph_of(self.data)
        self.results = results
        self.found = comparison

    def compare(self, limit: int | None = None) -> None:
        """The first ``limit`` scenes of the file."""
        for expected in self.data["expected"][:limit]:
            frames = self.data["frames"][expected["frame_idx"] :]
            around = self._map(expected, frames[0])
            self._planner(expected, frames[0], around)
            for version, rules in VERSIONS:
                case = self.results[version].get(expected["token"])
                if case is not None:
                    self._scene(case, frames, version, rules)
                    self._polygons(case, expected, around, version)
            past = self.data["frames"][expected["frame_idx"] - 3 : expected["frame_idx"] + 1]
            case = self.results["v2"].get(expected["token"])
            if case is not None:
                self.found.close("past states", past_states([ego_of(f) for f in past]), case["past"], headings=[2])
                self._human(case)

    def _map(self, expected: dict[str, Any], frame: dict[str, Any]) -> Surroundings:
        found, graph, pose = self.found, self.graph, np.array(expected["ego0"][:3])
        route = corrected_route(graph, frame["roadblock_ids"], pose)
        around = surroundings(graph, PACIFICA.boxes(pose)[:2])
        box = shapely.Polygon(box_corners(PACIFICA.boxes(pose)))
        first = start_lane(graph, route, around.lanes_around(pose[:2]), pose, box)
        lanes, is_reached = lane_sequence(graph, route, first)
        found.close("initial state", initial_state(ego_of(frame)), expected["ego0"], headings=[2])
        found.equal("corrected route", route, expected["corrected_route"])
        found.equal("route lanes", [lane.lane_id for lane in graph.lanes_of(route)], expected["route_lane_ids"])
        found.equal("start lane", first, expected["start_lane"])
        found.equal("lane sequence", lanes, expected["lane_sequence"])
        found.equal("goal reached", is_reached, expected["path_found"])
        found.close("centreline", centerline_of([graph.lanes[i] for i in lanes]), expected["centerline_discrete"], headings=[2])
        found.equal("drivable map", list(around.ids), expected["drivable_tokens"])
        return around

    def _planner(self, expected: dict[str, Any], frame: dict[str, Any], around: Surroundings) -> None:
        """From the expected map work, so that one mistake counts once."""
        situation = Situation(
            timestamp_us=frame["timestamp_us"],
            ego_state=np.array(expected["ego0"]),
            agents=agents_of(frame),
            drivable_map=around.with_route(expected["route_lane_ids"]),
            centerline=np.array(expected["centerline_discrete"]),
            speed_limit_mps=self.graph.lanes[expected["start_lane"]].speed_limit_mps,
            red=red_lights(self.graph, expected["corrected_route"], [lights_of(frame)], 1).polygons,
        )
        for version, rules in VERSIONS:
            plan = drive(situation, rules.protocol)
            if version == "v2" or expected["proposals_equal_v1"]:
                proposals = np.array(expected["proposals"])[:, : plan.proposals.shape[1], :3]
                self.found.close(f"{version} proposals", plan.proposals, proposals, headings=[2])
            self.found.close(f"{version} proposal scores", plan.scores, expected[f"proposal_scores_{version}"])
            self.found.equal(f"{version} choice", plan.choice, expected[f"argmax_{version}"])
            reference = expected["pdm_ref" if version == "v2" else "pdm_ref_v1"]
            self.found.close(f"{version} reference", plan.reference, reference, headings=[2])

    def _scene(self, case: dict[str, Any], frames: list[dict[str, Any]], version: str, rules: Rules) -> None:
        ahead = frames[: (rules.observation_steps - 1) // 5 + 1]
        self._tracks(case, interpolated_tracks([agents_of(frame) for frame in ahead]), version)
        if version == "v2":
            lights = [lights_of(frame) for frame in ahead]
            ours = red_lights(self.graph, frames[0]["roadblock_ids"], lights, rules.observation_steps)
            self.found.equal("red lights", _red_rings(ours), _expected_red(case["red"]))

    def _tracks(self, case: dict[str, Any], tracks: Tracks, version: str) -> None:
        row = {token: index for index, token in enumerate(tracks.tokens)}
        seen: dict[str, dict[int, Any]] = {token: {} for token in case["first"]}
        for step, boxes in enumerate(case["tracks"]):
            for token, corners in boxes:
                seen[token][step] = corners
        for token, corners in seen.items():
            index, first = row[token], case["first"][token]
            self.found.equal(f"{version} track presence", np.flatnonzero(tracks.is_present[index]).tolist(), list(corners))
            self.found.close(f"{version} track corners", tracks.corners[index][list(corners)], list(corners.values()))
            self.found.close(f"{version} track speed", tracks.speeds[index], first["speed"])
            self.found.equal(f"{version} track is agent", bool(tracks.is_agent[index]), first["agent"])

    def _polygons(self, case: dict[str, Any], expected: dict[str, Any], around: Surroundings, version: str) -> None:
        drivable = around.with_route(expected["route_lane_ids"])
        row = {token: index for index, token in enumerate(around.ids)}
        for token, kind, on_route, ring in zip(
            case["poly_token"], case["poly_type"], case["on_route"], case["polys"], strict=True
        ):
            index = row[token]
            got = (int(drivable.types[index]), bool(drivable.on_route[index]))
            self.found.equal(f"{version} polygon type and route", got, (kind, bool(on_route)))
            ours, theirs = shapely.Polygon(drivable.polygons.ring(index)), shapely.Polygon(ring)
            self.found.equal(f"{version} polygon outline", ours.normalize().equals_exact(theirs.normalize(), TOLERANCE), True)

    def _human(self, case: dict[str, Any]) -> None:
        poses = torch.tensor(case["human_poses_filter"], dtype=torch.float64)
        start = torch.tensor(case["ego0"][:3], dtype=torch.float64)
        reference = interpolate_references(start[None], torch.tensor([case["start_time_us"]]), poses[None, None], 0.5)
        self.found.close("human reference", reference[0, 0].numpy(), case["human_ref"], headings=[2])


def _red_rings(lights: RedLights) -> list[Any]:
    rings = [shapely.Polygon(lights.polygons.ring(i)).normalize().wkt for i in range(len(lights.polygons))]
    return sorted((ring, np.flatnonzero(red).tolist()) for ring, red in zip(rings, lights.is_red, strict=True) if red.any())


def _expected_red(steps: Sequence[Sequence[Any]]) -> list[Any]:
    found: dict[str, list[int]] = {}
    for step, rings in enumerate(steps):
        for ring in rings:
            found.setdefault(shapely.Polygon(ring).normalize().wkt, []).append(step)
    return sorted(found.items())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, help="scenes of each file; all by default")
    given = parser.parse_args(arguments)
    files: list[Path] = given.maps
    torch.set_num_threads(1)
    comparison = Comparison()
    for folder in dict.fromkeys(file.parent for file in files):
        near = {"v2": folder.glob("epdms_v2*_near.json.gz"), "v1": folder.glob("pdms_v1*_near.json.gz")}
        results = {
            version: {case["token"]: case for file in sorted(found) for case in read(file)} for version, found in near.items()
        }
        for file in files:
            if file.parent == folder:
                Log(file, results, comparison).compare(given.limit)
    comparison.print()
    if comparison.num_different:
        print(f"DIFFERENT: {comparison.num_different} of {sum(comparison.compared.values())} comparisons")
        return 1
    print(f"EQUAL: {sum(comparison.compared.values())} comparisons, none different")
    return 0


if __name__ == "__main__":
    sys.exit(main())
