"""Official simulations and comforts of golden files as arrays. Scenes S of one file have the same number N of trajectories."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

HERE = Path(__file__).resolve()
AUTHORED = HERE.parents[2] / "parity" / "data"
REAL_ROADS = Path(os.environ.get("DIFFDRIVE_PARITY_DATA", HERE.parents[3].parent / "shared" / "parity")) / "av2"


@dataclass(frozen=True)
class GoldenDrives:
    scenes: list[dict[str, Any]]

    def by_scene(self, value: Callable[[dict[str, Any]], Any]) -> Tensor:
        return torch.tensor([value(scene) for scene in self.scenes], dtype=torch.float64)

    def by_trajectory(self, value: Callable[[dict[str, Any]], Any]) -> Tensor:
        """[S, N, ...]; a missing value is NaN."""
        rows = [[value(trajectory) for trajectory in scene["trajs"]] for scene in self.scenes]
        return torch.tensor([[float("nan") if cell is None else cell for cell in row] for row in rows], dtype=torch.float64)

    @property
    def ego_states(self) -> Tensor:
        return self.by_scene(lambda scene: scene["ego0"])

    @property
    def references(self) -> Tensor:
        return self.by_trajectory(lambda trajectory: trajectory["ref"])

    @property
    def timestamps_us(self) -> Tensor:
        return torch.tensor([scene["start_time_us"] for scene in self.scenes])

    def past(self) -> tuple[Tensor, Tensor]:
        """Past states [S, H, 11], the latest last, and how many of them are there [S]."""
        lengths = torch.tensor([len(scene["past"]) for scene in self.scenes])
        states = torch.zeros(len(lengths), int(lengths.max()), 11, dtype=torch.float64)
        for row, scene in zip(states, self.scenes, strict=True):
            row[-len(scene["past"]) :] = torch.tensor(scene["past"])
        return states, lengths

    def pairs(self) -> tuple[list[int], list[int]]:
        """Scenes that have a preceding one, and that one."""
        place = {(scene["variant"], scene["token"]): index for index, scene in enumerate(self.scenes)}
        later = [index for index, scene in enumerate(self.scenes) if scene["prev_token"] is not None]
        return later, [place[self.scenes[index]["variant"], self.scenes[index]["prev_token"]] for index in later]


@cache
def authored(version: str) -> GoldenDrives:
    """Straight roads in UTM coordinates: ``version`` is "pdms_v1" or "epdms_v2"."""
    return _read(AUTHORED / f"{version}.json.gz")


@cache
def real_roads(version: str) -> GoldenDrives:
    """Two Argoverse 2 logs and variants of them, where they are there."""
    file = REAL_ROADS / f"{version}_av2_near.json.gz"
    if not file.is_file():
        pytest.skip(f"official results on real roads are not here: {file} (set DIFFDRIVE_PARITY_DATA)")
    return _read(file)


def _read(file: Path) -> GoldenDrives:
    with gzip.open(file) as stream:
        scenes = json.load(stream)
    # Maps and traffic take most of the memory, and nothing here needs them.
    for scene in scenes:
        for key in ("polys", "tracks", "red", "centerline"):
            scene.pop(key, None)
    return GoldenDrives(scenes)
