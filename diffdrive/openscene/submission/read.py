"""Read a submission pickle of NAVSIM v1.1 or v2.2 without the devkit and without running anything that it names."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.openscene.submission.finding import shown
from diffdrive.openscene.unpickling import NUMPY_NAMES, PLAIN_NAMES, load_restricted

STAGES = {"v1.1": ("predictions",), "v2.2": ("first_stage_predictions", "second_stage_predictions")}
"""Under which keys each devkit puts its plans."""

_MAX_BYTES = 256 * 2**20
"""A scene takes about 200 bytes, so this is a million scenes: a file beyond it is something else."""

_OTHER_KINDS = {b"\x1f\x8b": "gzip", b"PK": "zip (or torch.save)", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What the file holds, unchecked."""

    version: str
    """Of the devkit that writes such keys: ``v1.1`` or ``v2.2``."""

    content: Mapping[Any, Any]
    is_numpy_2: bool
    """Arrays are spelt as numpy 2 does."""

    @property
    def num_scenes(self) -> dict[str, int]:
        """Trajectories under each key; of several sets, in the largest."""
        stages = {key: self.content.get(key) for key in STAGES[self.version]}
        return {
            key: max((len(plans) for plans in sets if isinstance(plans, dict)), default=0) if isinstance(sets, list) else 0
            for key, sets in stages.items()
        }


class Fields:
    """Stands for a dataclass of the devkits: whatever was saved as its fields."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise pickle.UnpicklingError(f"the state of a {type(self).__name__} is no mapping of its fields")
        self.__dict__.update(state)


class Trajectory(Fields):
    """Stands for ``navsim.common.dataclasses.Trajectory``."""

    poses: Any = None
    trajectory_sampling: Any = None


class TrajectorySampling(Fields):
    """Stands for nuPlan's class of this name."""

    num_poses: Any = None
    time_horizon: Any = None
    interval_length: Any = None


class Foreign:
    """Stands for any object of a library that has no place in a submission; what it held is dropped."""

    def __new__(cls, *_args: Any, **_named: Any) -> Foreign:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class _Names(dict[tuple[str, str], Callable[..., Any]]):
    """Also knows every name of the two libraries whose objects get into submissions by mistake: torch and omegaconf."""

    def __missing__(self, name: tuple[str, str]) -> Callable[..., Any]:
        if name[0].partition(".")[0] in ("torch", "omegaconf") or name in _NAMES_WITHIN_OMEGACONF:
            return type(name[1].rpartition(".")[2], (Foreign,), {"__module__": name[0]})
        raise KeyError(name)


_NAMES_WITHIN_OMEGACONF = {
    ("typing", "Any"),
    ("collections", "defaultdict"),
    *(("builtins", name) for name in ("list", "dict", "str", "int", "float", "bool")),
}

_NAMES = _Names(
    {
        **PLAIN_NAMES,
        **NUMPY_NAMES,
        ("navsim.common.dataclasses", "Trajectory"): Trajectory,
        ("nuplan.planning.simulation.trajectory.trajectory_sampling", "TrajectorySampling"): TrajectorySampling,
    }
)


def read_submission(path: Path) -> Submission:
    """Open the file and tell the devkit from its keys.

    Raises ``InputError``, which names the file, for what is no submission: another kind of file, one too large, a truncated
    pickle, a pickle that names anything but trajectories and arrays, or one that holds something else.
    """
    path = Path(path)
    _check_kind(path)
    content = load_restricted(path, _NAMES)
    if not isinstance(content, dict):
        raise InputError(f"'{path}' holds a {type(content).__name__}; a submission is the dict that the devkit's script wrote.")
    found = [version for version, keys in STAGES.items() if any(key in content for key in keys)]
    if len(found) != 1:
        keys = ", ".join([shown(key) for key in content][:12]) or "nothing"
        raise InputError(
            f"'{path}' is of {'two devkits at once' if found else 'no devkit known here'}. v1.1 writes 'predictions', v2.2 "
            f"'first_stage_predictions' and 'second_stage_predictions'; it has: {keys}. Write it with one devkit's "
            "run_create_submission_pickle."
        )
    return Submission(version=found[0], content=content, is_numpy_2=b"numpy._core" in path.read_bytes())


def _check_kind(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"'{path}' is no file. Check the path.")
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise InputError(
            f"'{path}' has {size / 2**20:.0f} MiB. A submission takes about 200 bytes a scene and at most "
            f"{_MAX_BYTES // 2**20} MiB are read; this is another file."
        )
    with path.open("rb") as file:
        head = file.read(8)
    for start, kind in _OTHER_KINDS.items():
        if head.startswith(start):
            raise InputError(f"'{path}' is a {kind} file. Unpack it: a submission is the bare pickle.")
    if not head.startswith(b"\x80"):
        what = "is text, a table of scores perhaps" if head and head.isascii() else "is empty" if not head else "is no pickle"
        raise InputError(f"'{path}' {what}. Give the submission.pkl that run_create_submission_pickle wrote.")
