"""Small charts as SVG text, so that a report needs no files beside it and stays sharp at any zoom. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.evaluation.aggregate import Interval

_WIDTH = 520.0
_HEIGHT = 300.0
_FONT = 'font-family="inherit"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Named values in one colour (a CSS colour)."""

    name: str
    colour: str
    values: tuple[float, ...]
    interval: Interval | None = None
    """Shown as a bar around its mean, where a chart shows means."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """A linear map from values to pixels."""

    start: float
    stop: float
    limit: float
    """The value at ``stop``; 0 is at ``start``."""

    def __call__(self, value: float) -> float:
        return self.start + (self.stop - self.start) * value / self.limit


def strip_chart(series: Sequence[Series], label: str) -> str:
    """One row per series: a dot per value, a diamond at the mean with its interval. Values are not negative."""
    _require(series)
    top, left = 8.0, 150.0
    row = max(34.0, (_HEIGHT - top - 44) / len(series))
    height = top + row * len(series) + 44
    step, limit = _ticks(max(max(one.values) for one in series))
    x = _Scale(left, _WIDTH - 16, limit)
    parts = _grid_x(x, step, limit, top, top + row * len(series), label)
    for index, one in enumerate(series):
        middle = top + row * (index + 0.5)
        parts.append(_text(left - 12, middle + 4, one.name, anchor="end", size=13, colour="#1b1f24"))
        for rank, value in enumerate(one.values):
            # A fixed low-discrepancy offset keeps equal values apart and the picture the same every time.
            offset = ((rank * 0.6180339887) % 1.0 - 0.5) * row * 0.56
            parts.append(_dot(x(value), middle + offset, 2.8, one.colour, 0.38))
        parts.extend(_mean_mark(x, middle, one))
    return _svg(height, parts, f"{label}, one dot per scene")


def line_chart(series: Sequence[Series], at: Sequence[float], x_label: str, y_label: str, *, from_origin: bool = False) -> str:
    """One line per series over the places ``at`` (not negative), labelled at its end; lines may start at the origin."""
    _require(series)
    top, bottom, left, right, height = 14.0, 46.0, 48.0, 138.0, _HEIGHT
    y_step, y_limit = _ticks(max(max(one.values) for one in series))
    x_step, _ = _ticks(max(at))
    x = _Scale(left, _WIDTH - right, max(at))
    y = _Scale(height - bottom, top, y_limit)
    parts = _grid_x(x, x_step, max(at), top, height - bottom, x_label) + _grid_y(y, y_step, y_limit, x, y_label)
    ends = _spread([y(one.values[-1]) for one in series], 17.0)
    for one, end in zip(series, ends, strict=True):
        points = [(0.0, 0.0)] * from_origin + list(zip(at, one.values, strict=True))
        path = " ".join(f"{x(time):.1f},{y(value):.1f}" for time, value in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{one.colour}" stroke-width="2" stroke-linejoin="round"/>')
        parts.extend(_dot(x(time), y(value), 2.6, one.colour, 1.0) for time, value in points[from_origin:])
        parts.append(_text(x(max(at)) + 10, end + 4, one.name, size=12.5, colour=one.colour))
    return _svg(height, parts, f"{y_label} over {x_label}")


def scatter_chart(horizontal: Series, vertical: Series, label: str) -> str:
    """One dot per scene, ``horizontal`` against ``vertical`` on equal axes: below the diagonal ``vertical`` is smaller."""
    _require([horizontal, vertical])
    side, left, top = _HEIGHT - 60.0, (_WIDTH - _HEIGHT) / 2 + 50.0, 14.0
    step, limit = _ticks(max(*horizontal.values, *vertical.values))
    x, y = _Scale(left, left + side, limit), _Scale(top + side, top, limit)
    parts = _grid_x(x, step, limit, top, top + side, f"{horizontal.name}: {label}")
    parts += _grid_y(y, step, limit, x, f"{vertical.name}: {label}")
    parts.append(
        f'<polygon points="{x(0)},{y(0)} {x(limit)},{y(0)} {x(limit)},{y(limit)}" fill="{vertical.colour}" opacity="0.06"/>'
    )
    parts.append(_line(x(0), y(0), x(limit), y(limit), "#68707a", dash="4 4"))
    for a, b in zip(horizontal.values, vertical.values, strict=True):
        parts.append(_dot(x(a), y(b), 3.6, vertical.colour, 0.6))
    parts.append(_text(x(limit) - 8, y(0) - 10, f"{vertical.name} is closer", anchor="end", size=12, colour="#68707a"))
    parts.append(_text(x(0) + 8, y(limit) + 16, f"{horizontal.name} is closer", size=12, colour="#68707a"))
    return _svg(top + side + 46, parts, f"{vertical.name} against {horizontal.name}")


def _require(series: Sequence[Series]) -> None:
    values = [value for one in series for value in one.values]
    if not values or any(not one.values for one in series):
        raise InputError("A chart needs at least one series and one value in each.")
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise InputError(f"A chart needs finite values that are not negative, got a smallest of {min(values)}.")


def _ticks(largest: float) -> tuple[float, float]:
    """A step of 1, 2 or 5 times a power of ten, and the multiple of it that covers ``largest``."""
    rough = max(largest, 1e-9) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
    return step, step * math.ceil(max(largest, 1e-9) / step - 1e-9)


def _spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move label positions apart until neighbours are ``gap`` pixels apart, keeping their order and their centre."""
    order = np.argsort(positions, kind="stable")
    placed = np.array(positions, dtype=np.float64)[order]
    for _ in range(50):
        overlap = gap - np.diff(placed)
        crowded = np.maximum(overlap, 0.0) / 2
        if not (crowded > 0.05).any():
            break
        placed[:-1] -= crowded
        placed[1:] += crowded
    result = np.empty_like(placed)
    result[order] = placed
    return [float(value) for value in result]


def _grid_x(x: _Scale, step: float, limit: float, top: float, bottom: float, label: str) -> list[str]:
    parts = []
    for value in np.arange(0.0, limit + step / 2, step):
        parts.append(_line(x(value), top, x(value), bottom, "#e6e8eb"))
        parts.append(_text(x(value), bottom + 17, f"{value:g}", anchor="middle"))
    parts.append(_text((x.start + x.stop) / 2, bottom + 37, label, anchor="middle", size=12.5))
    return parts


def _grid_y(y: _Scale, step: float, limit: float, x: _Scale, label: str) -> list[str]:
    parts = []
    for value in np.arange(0.0, limit + step / 2, step):
        parts.append(_line(x.start, y(value), x.stop, y(value), "#e6e8eb"))
        parts.append(_text(x.start - 8, y(value) + 4, f"{value:g}", anchor="end"))
    middle, edge = (y.start + y.stop) / 2, x.start - 34
    turned = f'transform="rotate(-90 {edge:.1f} {middle:.1f})"'
    parts.append(_text(edge, middle, label, anchor="middle", size=12.5, extra=turned))
    return parts


def _mean_mark(x: _Scale, middle: float, one: Series) -> list[str]:
    mean = x(one.interval.mean if one.interval else sum(one.values) / len(one.values))
    parts = []
    if one.interval:
        low, high = x(max(one.interval.low, 0.0)), x(min(one.interval.high, x.limit))
        parts.append(_line(low, middle, high, middle, "#ffffff", width=6.5))
        parts.append(_line(low, middle, high, middle, "#1b1f24", width=2.4))
    shape = f"{mean:.1f},{middle - 7:.1f} {mean + 6:.1f},{middle:.1f} {mean:.1f},{middle + 7:.1f} {mean - 6:.1f},{middle:.1f}"
    parts.append(f'<polygon points="{shape}" fill="{one.colour}" stroke="#ffffff" stroke-width="1.5"/>')
    return parts


def _dot(x: float, y: float, radius: float, colour: str, opacity: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" opacity="{opacity}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1.0, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", size: float = 11.5, colour: str = "#4a525c", extra: str = ""
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" {_FONT} {extra}'
    return f"<text {place}>{escape(words)}</text>"


def _svg(height: float, parts: list[str], title: str) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" style="max-width:{1.1 * _WIDTH:.0f}px" '
    head += f'aria-label="{escape(title, quote=True)}">'
    return "".join([head, *parts, "</svg>"])
