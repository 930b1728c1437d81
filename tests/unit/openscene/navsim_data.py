"""A small NAVSIM data set: the drive of ``hand_made_town``, exported, then tilted and lifted as real drives are."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hand_made_town import START_US, frame, town
from PIL import Image

from diffdrive.openscene import LogToExport, export_logs
from diffdrive.openscene.format import token_of
from diffdrive.scene import CameraFrame, CameraId, Scene

BOSTON = "us-ma-boston"
NAME = "drive"
FRAMES = 16
PICKLE = Path("navsim_logs/mini/drive.pkl")
Frames = list[dict[str, Any]]


def drive(sensors: bool = True) -> list[Scene]:
    """Its frames, without past and future."""
    return [_with_cameras(frame(i, sensors=sensors), i) if sensors else frame(i) for i in range(FRAMES)]


def token(index: int) -> str:
    """Of a frame of the drive."""
    return token_of(f"{NAME}-{START_US + index * 500_000}")


def heights() -> np.ndarray:
    """[T] of the ego, metres."""
    return 12.0 + 0.25 * np.arange(FRAMES)


def write_navsim_root(root: Path, *, sensors: bool = True) -> Path:
    """Returns ``root``."""
    scenes = {scene.token: scene for scene in drive(sensors)}
    log = LogToExport(
        name=NAME,
        split="mini",
        location="hand",
        vector_map=town(),
        route=("a", "b", "x", "y", "c"),
        tokens=tuple(scenes),
        load=scenes.__getitem__,
    )
    export_logs([log], root, city=BOSTON, sensors=sensors)
    change_log(root, _tilt_and_lift)
    for path in (root / "sensor_blobs").rglob("CAM_?0/*.jpg"):
        # The smallest size that features can be made of; the exporter would write sixteen times as many pixels.
        Image.open(path).resize((480, 270)).save(path)
    return root


def copy_without_sensors(root: Path, to: Path) -> Path:
    """A copy whose log may be changed; maps and sensors are those of ``root``."""
    for name in ("sensor_blobs", "maps"):
        to.mkdir(exist_ok=True)
        (to / name).symlink_to(root / name)
    shutil.copytree(root / "navsim_logs", to / "navsim_logs")
    return to


def change_log(root: Path, change: Callable[[Frames], Any], file: Path = PICKLE) -> None:
    """Let ``change`` change the frames of a log, or return others."""
    frames = pickle.loads((root / file).read_bytes())
    changed = change(frames)
    (root / file).write_bytes(pickle.dumps(frames if changed is None else changed))


def _with_cameras(scene: Scene, index: int) -> Scene:
    cameras = {
        camera: CameraFrame(
            image=np.full((32, 64, 3), (40 * place, 100, 10 * index), dtype=np.uint8),
            intrinsics=np.array([[40.0, 0, 32 + place], [0, 40, 16], [0, 0, 1]]),
            ego_from_camera=np.array([[0.0, 0, 1, 1.5 + place], [-1, 0, 0, 0.2], [0, -1, 0, 1.6], [0, 0, 0, 1]]),
        )
        for place, camera in enumerate((CameraId.L0, CameraId.F0, CameraId.R0))
    }
    return replace(scene, observation=replace(scene.observation, cameras=cameras))


def _tilt_and_lift(frames: Frames) -> None:
    for index, (values, height) in enumerate(zip(frames, heights(), strict=True)):
        heading = 2 * np.arctan2(values["ego2global_rotation"][3], values["ego2global_rotation"][0])
        values["ego2global_translation"][2] = height
        values["ego2global_rotation"] = tilted(heading, roll=0.02, pitch=-0.03 + 0.001 * index)
        values["anns"]["gt_boxes"] = values["anns"]["gt_boxes"].astype(np.float32)


def tilted(yaw: float, *, roll: float, pitch: float) -> np.ndarray:
    """[4] w, x, y, z: turned by ``yaw`` about z, then by ``pitch`` about the fixed y, then by ``roll`` about the fixed x."""

    def about(axis: int, angle: float) -> np.ndarray:
        values = np.zeros(4)
        values[0], values[axis] = np.cos(angle / 2), np.sin(angle / 2)
        return values

    return _product(about(1, roll), _product(about(2, pitch), about(3, yaw)))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([a[0] * b[0] - a[1:] @ b[1:], *(a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:]))])
