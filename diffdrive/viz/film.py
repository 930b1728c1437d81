"""Films of drives: pictures of one size with cameras, the view from above and words, written as an MP4 file (H.264)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.scene import CameraFrame, Scene, Trajectory
from diffdrive.viz import palette
from diffdrive.viz.bev import BevView, paint_bev
from diffdrive.viz.camera import paint_camera
from diffdrive.viz.compose import legend_handles
from diffdrive.viz.figure import chart_axes, legend, new_figure
from diffdrive.viz.overlay import PlanOverlay

WIDTH, HEIGHT = 1280, 720
"""Pixels of a picture."""

_DPI = 100
_WIDTH_IN, _HEIGHT_IN, _SIDE_IN = WIDTH / _DPI, HEIGHT / _DPI, 3.6
_LEFT = 1 - (_SIDE_IN - 0.15) / _WIDTH_IN
_LINE = 0.0225 / 7.0
"""Share of the picture that a line of text takes for each point of its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A line beside the view from above."""

    text: str
    size: float = 8.5
    colour: str = palette.INK
    is_bold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What one picture of a film shows."""

    cameras: Sequence[CameraFrame]
    """Left to right; may be none."""

    seen_plan: Trajectory
    """The plan to lay into the cameras, in the ego frame at which they looked."""

    scene: Scene
    overlay: PlanOverlay
    """Of the view from above, in the frame of ``scene``."""

    words: Sequence[Words]
    speeds: np.ndarray
    """[K] m/s at every 0.1 s up to now."""

    horizon_s: float = 30.0
    """How long the drive may be."""


def draw_picture(picture: Picture) -> Figure:
    """A figure of ``WIDTH`` x ``HEIGHT`` pixels."""
    figure = new_figure(_WIDTH_IN, _HEIGHT_IN)
    figure.set_dpi(_DPI)
    strip = _paint_cameras(figure, picture)
    height, width = 1 - strip, 1 - _SIDE_IN / _WIDTH_IN
    # Without cameras there is room for more of the street.
    reach = 56.0 if picture.cameras else 84.0
    side = reach / 2 * width * _WIDTH_IN / (height * _HEIGHT_IN)
    view = BevView(ahead_m=0.72 * reach, behind_m=0.28 * reach, side_m=side)
    painted = paint_bev(figure.add_axes((0, 0, width, height)), picture.scene, picture.overlay, view, lidar=False)
    handles = legend_handles(picture.overlay, painted)
    legend(figure, handles, loc="lower left", bbox_to_anchor=(_LEFT, 0.3), ncols=2)
    y = height - 0.03
    for line in picture.words:
        look: palette.Look = {"fontsize": line.size, "color": line.colour, "weight": "bold" if line.is_bold else "normal"}
        figure.text(_LEFT, y, line.text, va="top", **look)
        y -= _LINE * line.size
    _paint_speeds(figure, picture)
    return figure


def _paint_cameras(figure: Figure, picture: Picture) -> float:
    """Returns the share of the height that they take."""
    strip, count = 0.0, len(picture.cameras)
    for k, frame in enumerate(picture.cameras):
        strip = frame.image.shape[0] / frame.image.shape[1] * _WIDTH_IN / (count * _HEIGHT_IN)
        axes = figure.add_axes((k / count, 1 - strip, 0.997 / count, strip))
        paint_camera(axes, frame, PlanOverlay(chosen=picture.seen_plan))
    return strip + 0.008 if count else 0.0


def _paint_speeds(figure: Figure, picture: Picture) -> None:
    axes = figure.add_axes((_LEFT + 0.028, 0.075, 1 - _LEFT - 0.045, 0.17))
    chart_axes(axes, "time, s", "speed, m/s")
    times = np.arange(len(picture.speeds)) / 10
    axes.plot(times, picture.speeds, color=palette.INK, linewidth=1.2)
    axes.set_xlim(0, max(picture.horizon_s, float(times[-1])))
    axes.set_ylim(0, max(12.0, 1.1 * axes.get_ylim()[1]))


def pixels_of(figure: Figure) -> np.ndarray:
    """[H, W, 3] uint8."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


class FilmWriter:
    """An MP4 file in the making: ``with FilmWriter(path, pictures_per_s=5) as film: film.add(pixels)``.

    The file appears when it is whole, or not at all. Raises ``InputError`` where PyAV is missing.
    """

    def __init__(self, path: Path, *, pictures_per_s: int) -> None:
        try:
            import av
        except ImportError as error:
            raise InputError("Films need PyAV. Install it with: pip install 'diffdrive[viz]'") from error
        self._av: Any = av
        self._path, self._rate = path, pictures_per_s
        self._files = ExitStack()

    def __enter__(self) -> FilmWriter:
        aside = self._files.enter_context(written_aside(self._path))
        self._container = self._files.enter_context(self._av.open(str(aside), mode="w", format="mp4"))
        # One thread: with several, the bytes depend on how many there are.
        self._stream = self._container.add_stream("libx264", rate=self._rate, options={"crf": "23", "threads": "1"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        self._stream.time_base = Fraction(1, self._rate)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._files.__exit__(kind, error, traceback)

    def add(self, pixels: np.ndarray) -> None:
        """The next picture, [HEIGHT, WIDTH, 3] uint8."""
        for packet in self._stream.encode(self._av.VideoFrame.from_ndarray(pixels, format="rgb24")):
            self._container.mux(packet)
