"""Commands one after the other: each is shown as a shell would take it, logged, checked, and not run again once it worked."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.files import written_aside

LAST_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command and what proves that it worked."""

    name: str
    words: Sequence[str]
    out: Path | None
    """What it writes; removed before it runs, so that what is checked is its own. None: nothing but its log."""

    check: Callable[[Path], dict[str, Any]] | None
    """What was found in ``out``, as JSON. Raises ``InputError`` where that is not what was asked for."""

    environment: Mapping[str, str]

    @property
    def command(self) -> str:
        """For a shell that has the environment."""
        return shlex.join(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a step went."""

    name: str
    command: str
    seconds: float
    found: Mapping[str, Any]
    error: str
    """Empty where it worked."""


class StepRunner:
    """Runs steps; keeps a log and a record of each in ``folder``."""

    def __init__(self, folder: Path, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._tell = tell
        self._clock = clock
        self.outcomes: list[Outcome] = []

    def run(self, step: Step) -> bool:
        """Run ``step`` unless the same command worked before and its output is still there. Says whether it worked."""
        kept = self._kept(step)
        self._tell(f"\n[{step.name}]{' done before' if kept else ''}\n{step.command}")
        outcome = kept or self._fresh(step)
        self.outcomes.append(outcome)
        if outcome.error:
            self._tell(f"  FAILED: {outcome.error}")
        else:
            told = ", ".join(f"{key} {value}" for key, value in outcome.found.items())
            self._tell(f"  ok, {outcome.seconds:.0f} s: {told}")
        return not outcome.error

    def _fresh(self, step: Step) -> Outcome:
        if step.out is not None:
            _make_room(step.out)
        self._folder.mkdir(parents=True, exist_ok=True)
        log, start = self._folder / f"{step.name}.log", self._clock()
        with log.open("w") as stream:
            done = subprocess.run(
                list(step.words),
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **step.environment},
                check=False,
            )
        found: dict[str, Any] = {}
        error = ""
        if done.returncode:
            error = f"exit status {done.returncode}; the end of {log}:\n{_end(log)}"
        elif step.out is not None and step.check is not None:
            try:
                found = step.check(step.out)
            except InputError as problem:
                error = f"{problem} Its log: {log}"
        outcome = Outcome(name=step.name, command=step.command, seconds=self._clock() - start, found=found, error=error)
        if not error:
            record = {"command": step.command, "seconds": outcome.seconds, "found": found}
            with written_aside(self._record(step)) as aside:
                aside.write_text(json.dumps(record, indent=1) + "\n")
        return outcome

    def _kept(self, step: Step) -> Outcome | None:
        record = self._record(step)
        if not record.is_file() or (step.out is not None and not step.out.exists()):
            return None
        kept = json.loads(record.read_text())
        if kept["command"] != step.command:
            return None
        return Outcome(name=step.name, command=step.command, seconds=kept["seconds"], found=kept["found"], error="")

    def _record(self, step: Step) -> Path:
        return self._folder / f"{step.name}.json"


def _make_room(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)


def _end(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return "\n".join(f"    {line}" for line in lines[-LAST_LINES:])
