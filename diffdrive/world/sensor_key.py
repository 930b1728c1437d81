"""What rendered sensors depend on, as one hash: the name of a file in the cache.

Nothing in it depends on how much past and future a scene was cut with, so the frames of a scene's history are the scenes of
half a second ago.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from diffdrive.scene import Scene, VectorMap
from diffdrive.world.conditions import conditions_of
from diffdrive.world.render import SPEC_VERSION, Camera, LidarRig
from diffdrive.world.render.archive import FORMAT
from diffdrive.world.render.lidar import SWEEP_VERSION

_MAPS_KNOWN = 128


class MapDigests:
    """Hashes of whole maps, each computed once while its map is in use."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[VectorMap, str]] = {}

    def of(self, world_map: VectorMap) -> str:
        """32 bytes in hexadecimal that change with anything in the map."""
        found = self._known.get(id(world_map))
        if found is None:
            if len(self._known) >= _MAPS_KNOWN:
                self._known.clear()
            # Keeping the map beside its digest keeps its id from being given to another map.
            found = self._known[id(world_map)] = (world_map, _map_digest(world_map))
        return found[1]


def sensor_key(scene: Scene, map_digest: str, rig: Sequence[Camera], lidar: LidarRig) -> str:
    """Hash of everything that the sensors of ``scene`` depend on, the renderer's name aside."""
    agents, ego = scene.agents, scene.observation.ego
    names = [
        f"look {SPEC_VERSION} sweep {SWEEP_VERSION} format {FORMAT}", repr(tuple(rig)), repr(lidar),
        # The light, and the errors of the LiDAR: see diffdrive.world.render.studio.sweep_errors.
        repr(conditions_of(scene.log_name)), scene.log_name, str(ego.timestamp_us),
        scene.location, map_digest,
        *agents.track_tokens, *(kind.value for kind in agents.kinds),
        *(f"{light.lane_id}={light.state.value}" for light in scene.traffic_lights),
    ]  # fmt: skip
    motion = np.array([*ego.velocity, ego.yaw_rate])
    return _digest(names, [scene.world_from_ego, motion, agents.boxes, agents.vertical, agents.velocities])


def _map_digest(world_map: VectorMap) -> str:
    names: list[str] = []
    arrays: list[np.ndarray] = []
    for lane in world_map.lanes:
        names.append(
            f"{lane.lane_id} {lane.predecessor_ids} {lane.successor_ids} {lane.left_lane_id} {lane.right_lane_id} "
            f"{lane.lane_group_id} {lane.intersection_id} {lane.speed_limit_mps} {lane.is_bike_lane}"
        )
        arrays += [lane.centerline, lane.left_boundary, lane.right_boundary]
    for area in world_map.areas:
        names.append(f"{area.area_id} {area.kind.value} {area.lane_ids}")
        arrays.append(area.outline)
    for line in world_map.lines:
        names.append(line.kind.value)
        arrays.append(line.points)
    return _digest(names, arrays)


def _digest(names: list[str], arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256("\0".join(names).encode())
    for array in arrays:
        # Rounding to a tenth of a millimetre: the last bits of a float differ between machines.
        digest.update(np.round(np.asarray(array, dtype=np.float64) * 1e4).astype(np.int64).tobytes() + b"|")
    return digest.hexdigest()
