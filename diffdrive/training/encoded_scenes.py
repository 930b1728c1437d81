"""Scenes as a perception that no longer moves sees them: what the decoder's view is made of, kept in half precision.

Perception is most of a step's work, and what it says of a scene is the same in every epoch once it is frozen. A scene takes
about 80 kB for nano. Kept in a folder they are mapped, not read: several trainings on one machine share them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, SceneFeatures
from diffdrive.tensors import AgentPredictions
from diffdrive.training.cache import PackedBatch

_ENCODE_BATCH = 32


class ReadsScenes(Protocol):
    """A ``FeatureCache``, or whoever stands between it and its bad scenes."""

    def batch(self, rows: np.ndarray) -> PackedBatch: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedScenes:
    """What the decoder reads of N scenes, and what was driven."""

    ego_query: Tensor
    """[N, 1, D] float16, or float32."""

    agent_queries: Tensor
    """[N, A, D], likewise."""

    coarse_bev: Tensor
    """[N, D, h, w], likewise: the cells that the queries attended to."""

    fine_bev: Tensor
    """[N, C, H, W], likewise."""

    trajectory: Tensor
    """[N, T, 3] float32."""

    def __len__(self) -> int:
        return len(self.trajectory)

    def features(self, model: PlannerModel, rows: Tensor) -> SceneFeatures:
        """As ``model.encode`` returns them, without the outputs that only perception's own losses read.

        The BEV map is joined here, by the model's present weights: joining belongs to what the decoder stage trains.
        """
        device = model.anchors.device
        nothing = torch.empty(0)
        return SceneFeatures(
            ego_query=self.ego_query[rows].to(device).float(),
            agent_queries=self.agent_queries[rows].to(device).float(),
            bev=self._joined(model, rows) if model.config.reads_bev else nothing,
            agents=AgentPredictions(nothing, nothing),
            bev_logits=nothing,
        )

    def _joined(self, model: PlannerModel, rows: Tensor) -> Tensor:
        coarse, fine = (maps[rows].to(model.anchors.device).float() for maps in (self.coarse_bev, self.fine_bev))
        return model.neck.join(coarse, fine)

    @classmethod
    def load(cls, folder: Path) -> EncodedScenes:
        """Map what ``encode_into`` wrote. Raises ``InputError`` where it is not there."""
        columns = {}
        for field in fields(cls):
            path = folder / f"{field.name}.npy"
            if not path.is_file():
                raise InputError(f"'{folder}' holds no encoded scenes: {path.name} is missing. Encode them first.")
            # Copy on write: torch wants memory that it may write to, and nobody does.
            columns[field.name] = torch.from_numpy(np.load(path, mmap_mode="c"))
        return cls(**columns)


def encode_scenes(model: PlannerModel, cache: ReadsScenes, rows: np.ndarray, *, half: bool = True) -> EncodedScenes:
    """Perception's view of the scenes at ``rows`` of the cache, in memory; in single precision unless ``half``."""
    parts = [_encoded(model, cache, some, half) for some in _batches(rows)]
    columns = {field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(EncodedScenes)}
    return EncodedScenes(**columns)


def encode_into(folder: Path, model: PlannerModel, cache: ReadsScenes, rows: np.ndarray) -> EncodedScenes:
    """As ``encode_scenes``, kept in ``folder``; the folder has its name only once it is whole."""
    aside = folder.with_name(folder.name + ".partial")
    aside.mkdir(parents=True, exist_ok=True)
    columns: dict[str, np.ndarray] = {}
    done = 0
    for some in _batches(rows):
        part = _encoded(model, cache, some, half=True)
        for field in fields(part):
            values = getattr(part, field.name).numpy()
            if field.name not in columns:
                shape = (len(rows), *values.shape[1:])
                path = aside / f"{field.name}.npy"
                columns[field.name] = np.lib.format.open_memmap(path, mode="w+", dtype=values.dtype, shape=shape)
            columns[field.name][done : done + len(some)] = values
        done += len(some)
    for column in columns.values():
        column.flush()  # type: ignore[attr-defined]
    aside.replace(folder)
    return EncodedScenes.load(folder)


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    if not len(rows):
        raise InputError("There are no scenes to encode.")
    return [rows[start : start + _ENCODE_BATCH] for start in range(0, len(rows), _ENCODE_BATCH)]


@torch.no_grad()
def _encoded(model: PlannerModel, cache: ReadsScenes, rows: np.ndarray, half: bool) -> EncodedScenes:
    model.eval()
    batch = cache.batch(rows)
    inputs = batch.to(model.anchors.device).inputs(model.config.inputs)
    fused, fine_bev = model.backbone(inputs.camera, inputs.lidar)
    queries, coarse_bev = model.neck.look(fused, inputs.status)
    kind = torch.float16 if half else torch.float32
    return EncodedScenes(
        ego_query=queries[:, :1].to("cpu", kind),
        agent_queries=queries[:, 1:].to("cpu", kind),
        coarse_bev=coarse_bev.to("cpu", kind),
        fine_bev=fine_bev.to("cpu", kind),
        trajectory=batch.trajectory,
    )
