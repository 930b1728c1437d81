"""The traffic around one episode: a handle on the process in which SUMO runs.

with Traffic(stage, start) as traffic:
    briefing = traffic.begin()
    frame = traffic.move(pose, speed)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from multiprocessing import Pipe
from types import TracebackType
from typing import Any

import numpy as np

from diffdrive.configuration import build
from diffdrive.contracts import InputError
from diffdrive.simulation.frames import Briefing, Failure, Frame, Move
from diffdrive.simulation.stage import Stage, StageFiles, Start
from diffdrive.simulation.traffic_process import BEGIN, END
from diffdrive.vehicle import PACIFICA
from diffdrive.world.traffic.events.story import Happening
from diffdrive.world.traffic.recording import INTERVAL_S

_SUMO_SEEDS = 2**31 - 1
_FRONT_M = PACIFICA.rear_axle_to_center + PACIFICA.length / 2


class TrafficError(RuntimeError):
    """SUMO failed in the middle of a drive."""


class Traffic:
    """SUMO, advanced to a start. ``begin`` as often as there are drivers; each gets the same moment."""

    def __init__(self, stage: Stage, files: StageFiles, start: Start, num_steps: int) -> None:
        """Starts the process, which takes as long as the town took to get there; ``begin`` waits for it."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (``close`` closes it)
        ours, theirs = Pipe()
        self._connection, self._is_driving = ours, False
        inputs = [str(files.network), str(files.routes), str(files.plan), str(stage.seed % _SUMO_SEEDS), str(INTERVAL_S)]
        command = [sys.executable, "-m", "diffdrive.simulation.traffic_process", str(theirs.fileno()), *inputs]
        command += [start.ego, str(start.first_step), str(num_steps)]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors
        )
        theirs.close()

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def begin(self) -> Briefing:
        """A drive begins, and one that was broken off ends. Raises ``InputError`` where SUMO is missing, ``TrafficError`` where
        it fails."""
        if self._is_driving:
            self.end()
        briefing = self._ask(BEGIN)
        if not isinstance(briefing, Briefing):
            raise TrafficError(f"SUMO answered a beginning with {type(briefing).__name__}.")
        self._is_driving = True
        return briefing

    def move(self, pose: np.ndarray, speed: float) -> Frame:
        """The next step, at whose end the ego's rear axle is at ``pose`` [3] (world frame). Raises ``TrafficError``."""
        front = pose[:2] + _FRONT_M * np.array([np.cos(pose[2]), np.sin(pose[2])])
        angle = 90.0 - float(np.rad2deg(pose[2]))
        frame = self._ask(Move(front=(float(front[0]), float(front[1])), angle_deg=angle, speed=max(speed, 0.0)))
        if not isinstance(frame, Frame):
            raise TrafficError(f"SUMO answered a step with {type(frame).__name__}.")
        return frame

    def end(self) -> tuple[Happening, ...]:
        """The drive is over. Returns what happened by script up to now."""
        self._is_driving = False
        return tuple(build(Happening, value) for value in json.loads(self._ask(END)))

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _ask(self, question: Any) -> Any:
        try:
            self._connection.send(question)
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._why_it_ended() from error
        if isinstance(answer, Failure):
            self._is_driving = False
            raise TrafficError(answer.reason)
        return answer

    def _why_it_ended(self) -> Exception:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        if "ModuleNotFoundError" in said and "libsumo" in said:
            return InputError("Driving in the embedded world needs SUMO. Install it with: pip install 'diffdrive[world]'")
        return TrafficError(f"SUMO ended with status {self._process.returncode}: {said[-500:]}")
