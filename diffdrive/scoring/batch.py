"""Many prepared scenes as tensors, to be judged together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scoring.areas import AreaMap
from diffdrive.scoring.metrics.lane_keeping import MAX_DISTANCE_M
from diffdrive.scoring.metrics.traffic_light_compliance import RedMap
from diffdrive.scoring.overlap.cells import cells_of_line, cells_of_polygons
from diffdrive.scoring.overlap.grid import Grid, Layer
from diffdrive.scoring.overlap.polylines import Lines
from diffdrive.scoring.rules import NUM_STEPS, Protocol
from diffdrive.scoring.scoring_scene import AreaType, ScoringScene
from diffdrive.scoring.track_table import TrackTable
from diffdrive.vehicle.state import STATE_SIZE

_DRIVABLE = (AreaType.ROADBLOCK, AreaType.INTERSECTION, AreaType.CARPARK)
_LANES = (AreaType.LANE, AreaType.LANE_CONNECTOR)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBatch:
    """S scenes of one protocol. Poses and states are in the frame of each scene; the geometry is relative to ``origins``."""

    tokens: tuple[str, ...]
    protocol: Protocol
    corrected: bool
    timestamps_us: Tensor
    """[S] int64, of t = 0."""

    ego_states: Tensor
    """[S, 11] at t = 0."""

    past_states: Tensor
    """[S, H, 11], the latest at the end; zeros before a shorter past."""

    past_lengths: Tensor
    """[S] how many of them are known."""

    references: Tensor
    """[S, 41, 3] of PDM-Closed."""

    human_references: Tensor
    """[S, 41, 3] of the human; zeros where not known."""

    has_human: Tensor
    """[S]."""

    origins: Tensor
    """[S, 2] where the ego is at t = 0."""

    tracks: TrackTable
    areas: AreaMap
    red: RedMap
    centerlines: Lines
    lane_grid: Grid
    """Over the centrelines."""

    @classmethod
    def of(cls, scenes: Sequence[ScoringScene], device: torch.device | str = "cpu") -> SceneBatch:
        """Put ``scenes`` together. Raises ``InputError`` for none, or for scenes that follow different rules."""
        _check_alike(scenes)
        ego_states = _stacked([scene.ego_state for scene in scenes])
        origins = ego_states[:, :2].clone()
        corners = origins.numpy()
        nowhere = np.zeros((NUM_STEPS, 3))
        batch = cls(
            tokens=tuple(scene.token for scene in scenes),
            protocol=scenes[0].protocol,
            corrected=scenes[0].corrected,
            timestamps_us=torch.tensor([scene.timestamp_us for scene in scenes], dtype=torch.int64),
            ego_states=ego_states,
            past_states=_right_aligned([scene.past_states for scene in scenes]),
            past_lengths=torch.tensor([len(scene.past_states) for scene in scenes], dtype=torch.int64),
            references=_stacked([scene.reference for scene in scenes]),
            human_references=_stacked(
                [nowhere if scene.human_reference is None else scene.human_reference for scene in scenes]
            ),
            has_human=torch.tensor([scene.human_reference is not None for scene in scenes]),
            origins=origins,
            tracks=TrackTable.of([scene.tracks for scene in scenes], origins),
            areas=_area_map(scenes, corners),
            red=RedMap.of([scene.red_lights for scene in scenes], corners),
            centerlines=Lines.of([torch.tensor(scene.centerline) - origins[i] for i, scene in enumerate(scenes)]),
            lane_grid=Grid.of([cells_of_line(scene.centerline, corners[i], MAX_DISTANCE_M) for i, scene in enumerate(scenes)]),
        )
        return batch.to(device)

    def __len__(self) -> int:
        return len(self.tokens)

    def to(self, device: torch.device | str) -> SceneBatch:
        """The same batch on another device."""
        return _moved(self, torch.device(device))


def _check_alike(scenes: Sequence[ScoringScene]) -> None:
    if not scenes:
        raise InputError("A SceneBatch needs one scene or more, got none.")
    first = scenes[0]
    for scene in scenes:
        if (scene.protocol, scene.corrected) != (first.protocol, first.corrected):
            raise InputError(
                f"A SceneBatch needs scenes of one protocol and one 'corrected': '{first.token}' follows "
                f"{first.protocol.value} (corrected: {first.corrected}), '{scene.token}' {scene.protocol.value} "
                f"(corrected: {scene.corrected}). Score them in separate calls."
            )


def _area_map(scenes: Sequence[ScoringScene], origins: np.ndarray) -> AreaMap:
    maps = [scene.drivable_map for scene in scenes]
    grid = Grid.of([cells_of_polygons(each.polygons, origin) for each, origin in zip(maps, origins, strict=True)])
    types = torch.from_numpy(np.concatenate([each.types for each in maps]))
    on_route = torch.from_numpy(np.concatenate([each.on_route for each in maps]))
    is_lane = torch.isin(types, torch.tensor(_LANES))
    return AreaMap(
        grid=grid,
        drivable=Layer.of(grid, torch.isin(types, torch.tensor(_DRIVABLE))),
        intersections=Layer.of(grid, types == AreaType.INTERSECTION),
        route=Layer.of(grid, is_lane & on_route),
        is_lane=is_lane,
    )


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _right_aligned(pasts: Sequence[np.ndarray]) -> Tensor:
    longest = max(len(past) for past in pasts)
    aligned = np.zeros((len(pasts), longest, STATE_SIZE))
    for row, past in zip(aligned, pasts, strict=True):
        row[longest - len(past) :] = past
    return torch.from_numpy(aligned)


def _moved(value: T, device: torch.device) -> T:
    """A copy of a tree of dataclasses whose tensors lie on ``device``."""
    changes: dict[str, Any] = {}
    for field in fields(value):  # type: ignore[arg-type]
        part = getattr(value, field.name)
        if isinstance(part, Tensor):
            changes[field.name] = part.to(device)
        elif is_dataclass(part):
            changes[field.name] = _moved(part, device)
    return replace(value, **changes)  # type: ignore[type-var]
