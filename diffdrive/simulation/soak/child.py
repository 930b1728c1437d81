"""A planner in a process of its own, which may be killed, hang or run out of memory, and is started again."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import numpy as np

from diffdrive.runtime import Plan
from diffdrive.runtime.errors import describe
from diffdrive.scene import Observation
from diffdrive.simulation.soak.faults import FaultKind
from diffdrive.simulation.soak.sabotage import SabotagedPlanner

_START_S = 300.0
"""A process that is not ready by then is given up."""

_PROCESSES = Path("/proc")
PRELOADED = "diffdrive.simulation.soak.preloaded"
"""All that a network needs."""


class ChildLostError(RuntimeError):
    """The planner's process died, or was killed because it did not answer."""


class ChildPlanner:
    """Has the process plan. ``make`` runs there; ``patience_s`` is how long an answer may take before the process is killed.

    ``preload`` is a module that the server which processes are forked from imports once: importing takes most of a start.
    ``fault`` is what the next call suffers. For one thread at a time, ``AskInThread``'s.
    """

    def __init__(self, make: Callable[[], SabotagedPlanner], patience_s: float, preload: str = PRELOADED) -> None:
        self._make, self._patience_s = make, patience_s
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([preload])
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._is_ready = False
        self.fault: FaultKind | None = None
        self.num_starts = 0

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        """Raises ``ChildLostError`` where the process is lost; the next call starts another and waits for it."""
        fault = self.fault
        connection = self.start()
        try:
            connection.send((observation, noise, fault))
            if not connection.poll(self._patience_s):
                self.kill()
                raise ChildLostError(f"The planner's process did not answer for {self._patience_s:g} s and was killed.")
            plan, error = connection.recv()
        except (EOFError, OSError) as gone:
            status = None if self._process is None else self._process.exitcode
            self.kill()
            raise ChildLostError(f"The planner's process died (status {status}).") from gone
        if error:
            raise RuntimeError(error)
        return cast(Plan, plan)

    def start(self) -> Connection:
        """Make sure that a process is ready. Raises ``ChildLostError`` where it does not come up."""
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self.kill()
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        self._process.start()
        theirs.close()
        self._connection, self.num_starts = ours, self.num_starts + 1
        try:
            if ours.poll(_START_S):
                ours.recv()
                self._is_ready = True
                return ours
        except (EOFError, OSError) as error:
            raise ChildLostError("The planner's process died while it started.") from error
        raise ChildLostError(f"The planner's process was not ready within {_START_S:g} s.")

    def kill(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None
        self._is_ready = False

    @property
    def resident_bytes(self) -> tuple[int, int] | None:
        """Which process (its number among those started) holds how much memory; None where none is ready, and without /proc."""
        process = self._process
        if process is None or process.pid is None or not self._is_ready:
            return None
        held = resident_bytes(process.pid)
        return None if held is None else (self.num_starts, held)


def resident_bytes(pid: int | str = "self") -> int | None:
    """Memory that a process holds; None where it is gone, or there is no /proc."""
    import resource

    try:
        return int((_PROCESSES / str(pid) / "statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return None


def _serve(connection: Connection, make: Callable[[], SabotagedPlanner]) -> None:
    planner = make()
    planner.warm_up()
    connection.send("ready")
    while True:
        try:
            observation, noise, fault = connection.recv()
        except EOFError:  # the parent is gone
            return
        connection.send(_answered(planner, observation, noise, fault))


def _answered(planner: SabotagedPlanner, *question: Any) -> tuple[Plan | None, str]:
    try:
        return planner.plan(*question), ""
    except Exception as error:  # to be raised where it was asked
        return None, describe(error)
