"""A drive as a film: the front cameras as the driver saw them, everything from above as it is, and what is going on in words.

Cameras change when a plan is made, the view from above with every picture. Needs the extra ``viz``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from diffdrive.geometry import to_local, to_world
from diffdrive.scene import Scene, Trajectory
from diffdrive.simulation.episode import Moment
from diffdrive.simulation.record import EndReason, EpisodeRecord
from diffdrive.vehicle.state import VELOCITY_X
from diffdrive.viz import PlanOverlay, palette
from diffdrive.viz.compose import FRONT_CAMERAS
from diffdrive.viz.film import FilmWriter, Picture, Words, draw_picture, pixels_of

PICTURES_PER_S = 5
"""Films play in real time."""

LAST_PICTURE_S = 2.0
"""How long the end is shown."""

_STEPS = 10 // PICTURES_PER_S
_DOTS_S = 0.5
_BAD = "#c1121f"
_ENDS = {
    EndReason.GOAL: "The goal is reached.",
    EndReason.TIME: "The time is over.",
    EndReason.COLLISION: "A collision by fault ends the drive.",
    EndReason.OFF_ROUTE: "The vehicle is far off its route.",
}


class Film:
    """Spectator of ``drive_episode`` that draws a picture at every other step."""

    def __init__(self, writer: FilmWriter, *, title: str) -> None:
        self._writer, self._title = writer, title
        self._last: Moment | None = None

    def see(self, moment: Moment) -> None:
        self._last = moment
        if moment.trace.step % _STEPS == 0:
            self._writer.add(pixels_of(draw_picture(picture_of(moment, self._title))))

    def end(self, record: EpisodeRecord) -> None:
        """The last picture says how the drive ended."""
        if self._last is not None:
            told = (_ENDS[record.end], f"Driving score: {100 * record.driving_score:.0f}")
            pixels = pixels_of(draw_picture(picture_of(self._last, self._title, end=told)))
            for _ in range(round(LAST_PICTURE_S * PICTURES_PER_S)):
                self._writer.add(pixels)


def picture_of(moment: Moment, title: str, *, end: Sequence[str] = ()) -> Picture:
    """What a film shows of a moment. ``end``: lines that say how it came out."""
    trace, seen = moment.trace, moment.scene.observation.cameras
    now = moment.view.scene(trace, trace.step)
    return Picture(
        cameras=[seen[name] for name in FRONT_CAMERAS if name in seen],
        seen_plan=moment.drive.trajectory,
        scene=now,
        overlay=_overlay(moment, now),
        words=_words(moment, now, title, end),
        speeds=trace.states(0, trace.step)[:, VELOCITY_X],
    )


def _overlay(moment: Moment, now: Scene) -> PlanOverlay:
    """The last plan and its proposals, seen from where the ego is now."""
    drive, then, here = moment.drive, moment.scene.world_from_ego, now.world_from_ego
    proposals = drive.proposals
    if proposals is not None:
        proposals = to_local(to_world(proposals.reshape(-1, 3), then), here).reshape(proposals.shape)
    trajectory = drive.trajectory
    age_s = (now.observation.ego.timestamp_us - moment.scene.observation.ego.timestamp_us) * 1e-6
    every = max(1, round(_DOTS_S / trajectory.interval_s))
    kept = np.flatnonzero(trajectory.times_s > age_s + 1e-3)
    # The dots stay where they are on the ground, however old the plan is.
    kept = kept[(kept + 1) % every == 0]
    chosen = Trajectory(to_local(to_world(trajectory.poses[kept], then), here), every * trajectory.interval_s)
    return PlanOverlay(chosen=chosen, proposals=proposals, scores=drive.scores if proposals is not None else None)


def _words(moment: Moment, now: Scene, title: str, end: Sequence[str]) -> list[Words]:
    trace, drive, ego = moment.trace, moment.drive, now.observation.ego
    completion = 100 * trace.route.completion(trace.arcs[-1])
    facts = f"{trace.step / 10:.1f} s      {ego.speed:.1f} m/s      {completion:.0f} % of the route"
    lines = [
        Words(text=title, size=9.5, is_bold=True),
        Words(text=facts),
        Words(text=f"command: {now.observation.command.name.lower()}"),
        Words(text=drive.status.replace("_", " ").lower(), size=9.0, colour=palette.CHOSEN, is_bold=True),
    ]
    said = textwrap.wrap(f"{drive.sentence} {drive.detail}", 60)[:4]
    lines += [Words(text=line, size=7.5, colour=palette.FAINT_INK) for line in said]
    for wrong in moment.infractions:
        lines.append(Words(text=f"{wrong.time_s:.1f} s: {wrong.kind.value.replace('_', ' ')}", colour=_BAD, is_bold=True))
    lines += [Words(text=text, size=9.0, is_bold=True) for text in end]
    return lines
