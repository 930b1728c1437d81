"""Axis-aligned rectangles (a car in its own frame) against turned boxes and pieces of line. Touching counts."""

from __future__ import annotations

from torch import Tensor


def touches_box(x: Tensor, y: Tensor, low: tuple[Tensor | float, float], high: tuple[Tensor | float, float]) -> Tensor:
    """[N] whether boxes with corners ``x``, ``y`` [N, 4] (in order around) meet the rectangles from ``low`` to ``high``.

    A rectangle may have no length. By the separating axis theorem: the axes of the rectangle, then those of the box.
    """
    meets = (x.amin(-1) <= high[0]) & (x.amax(-1) >= low[0]) & (y.amin(-1) <= high[1]) & (y.amax(-1) >= low[1])
    for side in (0, 1):
        along_x, along_y = x[:, side + 1] - x[:, side], y[:, side + 1] - y[:, side]
        projected = x * along_x[:, None] + y * along_y[:, None]
        middle = ((low[0] + high[0]) * along_x + (low[1] + high[1]) * along_y) / 2
        reach = ((high[0] - low[0]) * along_x.abs() + (high[1] - low[1]) * along_y.abs()) / 2
        meets = meets & (projected.amin(-1) <= middle + reach) & (projected.amax(-1) >= middle - reach)
    return meets


def touches_segment(x: Tensor, y: Tensor, half_length: float, half_width: float) -> Tensor:
    """[N] whether pieces of line with ends ``x``, ``y`` [N, 2] meet the rectangle around the origin."""
    (ax, bx), (ay, by) = x.unbind(1), y.unbind(1)
    across = (ax * by - ay * bx).abs()
    reach = half_length * (by - ay).abs() + half_width * (bx - ax).abs()
    beside_x = (ax.minimum(bx) <= half_length) & (ax.maximum(bx) >= -half_length)
    return beside_x & (ay.minimum(by) <= half_width) & (ay.maximum(by) >= -half_width) & (across <= reach)
