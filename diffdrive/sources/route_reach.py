"""Which lane groups a route may need besides those it names: what the search for a route can run through."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from diffdrive.scene import AreaKind, VectorMap

_MAX_LINKS = 30
"""How many groups ahead NAVSIM's correction of a route looks (15 where it looks back)."""

_ENTRIES = 3
"""At how many groups of its beginning a route may be joined."""

_NEAR_M = 2.0
"""The correction takes the groups that meet a square of 2 x 2 m around the ego."""

_KEPT_SEARCHES = 256


class RouteReach:
    """The lane groups of a whole map and how they follow each other.

    NAVSIM corrects a listed route with shortest paths: from the ego to the route's beginning, and between two neighbours of
    the route that do not touch. ``needed`` names every group on any of those paths, so that a map cut down to them gives the
    same corrected route as the whole map.
    """

    def __init__(self, vector_map: VectorMap) -> None:
        self.lanes: dict[str, list[int]] = {}
        """Rows of each group's lanes in the map."""

        self.areas: dict[str, list[int]] = {}
        """Rows of each group's areas."""

        for row, lane in enumerate(vector_map.lanes):
            if lane.lane_group_id is not None:
                self.lanes.setdefault(lane.lane_group_id, []).append(row)
        for row, area in enumerate(vector_map.areas):
            if area.kind is AreaKind.LANE_GROUP and area.area_id in self.lanes:
                self.areas.setdefault(area.area_id, []).append(row)
        self._groups = np.array(list(self.lanes), dtype=object)
        self._bounds = np.array([self._box(vector_map, group) for group in self.lanes]).reshape(-1, 4)
        self._is_connector = np.array([vector_map.lanes[rows[0]].intersection_id is not None for rows in self.lanes.values()])
        self._successors: dict[str, dict[str, None]] = {group: {} for group in self.lanes}
        self._predecessors: dict[str, dict[str, None]] = {group: {} for group in self.lanes}
        group_of = {lane.lane_id: lane.lane_group_id for lane in vector_map.lanes}
        for lane in vector_map.lanes:
            for following in lane.successor_ids:
                self._link(lane.lane_group_id, group_of.get(following))
        self._searches: OrderedDict[str, dict[str, int]] = OrderedDict()

    def _box(self, vector_map: VectorMap, group: str) -> np.ndarray:
        shapes = [vector_map.lanes[row].polygon for row in self.lanes[group]]
        points = np.concatenate([*shapes, *(vector_map.areas[row].outline for row in self.areas.get(group, ()))])
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    def _link(self, group: str | None, following: str | None) -> None:
        if group is not None and following is not None and group != following:
            self._successors[group][following] = None
            self._predecessors[following][group] = None

    def needed(self, route: Sequence[str], point: np.ndarray) -> set[str]:
        """The groups of ``route``, those that may lead from ``point`` [2] into it, and those that may close its gaps."""
        known = [group for group in dict.fromkeys(route) if group in self.lanes]
        needed = set(known)
        for entry in known[:_ENTRIES]:
            for start in self._groups_near(point) - set(known):
                needed |= self._between(start, entry)
        for group, following in pairwise(known):
            if following not in self._successors[group]:
                needed |= self._between(group, following)
        return needed

    def _groups_near(self, point: np.ndarray) -> set[str]:
        """The groups that ``point`` may be in: those it comes near; without any, all that may be the nearest of their kind."""
        outside = np.maximum(np.maximum(self._bounds[:, :2] - point, point - self._bounds[:, 2:]), 0.0)
        distances = np.hypot(*outside.T)
        near = distances <= _NEAR_M
        if not near.any():
            farthest = np.hypot(*np.abs(self._bounds.reshape(-1, 2, 2) - point).max(axis=1).T)
            for kind in (False, True):
                own = self._is_connector == kind
                near |= own & (distances <= farthest[own].min(initial=np.inf))
        return set(self._groups[near])

    def _between(self, start: str, goal: str) -> set[str]:
        """Every group on a shortest path from ``start`` to ``goal``; empty where there is none."""
        links = self._links_to(goal)
        found: set[str] = set()
        level = {start} if start in links else set()
        while level:
            found |= level
            level = {
                following
                for group in level
                for following in self._successors[group]
                if links.get(following) == links[group] - 1
            }
        return found

    def _links_to(self, goal: str) -> dict[str, int]:
        """How many links each group is away from ``goal``, as far as a search looks."""
        if goal in self._searches:
            self._searches.move_to_end(goal)
            return self._searches[goal]
        links, level = {goal: 0}, [goal]
        for count in range(1, _MAX_LINKS + 1):
            level = [i for i in dict.fromkeys(p for group in level for p in self._predecessors[group]) if i not in links]
            links.update((group, count) for group in level)
        self._searches[goal] = links
        if len(self._searches) > _KEPT_SEARCHES:
            self._searches.popitem(last=False)
        return links
