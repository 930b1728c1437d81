"""Pictures: scenes and plans from above and in the cameras, towns, anchors, training curves. Needs the extra ``viz``.

``draw_*`` functions return a matplotlib ``Figure`` that belongs to the caller; pyplot is never touched, so no window, no
global state and no leak in a long run. ``paint_*`` functions add one layer to axes that the caller made.
"""

from importlib.util import find_spec

from diffdrive.contracts import InputError

if find_spec("matplotlib") is None:
    raise InputError("diffdrive.viz draws with matplotlib, which is not installed. Get it with: pip install 'diffdrive[viz]'")

from diffdrive.viz.anchors import draw_anchors
from diffdrive.viz.bev import BevView, paint_bev
from diffdrive.viz.camera import paint_camera, pixels_of_path
from diffdrive.viz.compose import draw_bev, draw_cameras, draw_scene
from diffdrive.viz.curves import draw_training_curves
from diffdrive.viz.figure import save_figure
from diffdrive.viz.overlay import PlanOverlay
from diffdrive.viz.plan_sheet import draw_plan_sheet
from diffdrive.viz.town import draw_town

__all__ = [
    "BevView",
    "PlanOverlay",
    "draw_anchors",
    "draw_bev",
    "draw_cameras",
    "draw_plan_sheet",
    "draw_scene",
    "draw_town",
    "draw_training_curves",
    "paint_bev",
    "paint_camera",
    "pixels_of_path",
    "save_figure",
]
