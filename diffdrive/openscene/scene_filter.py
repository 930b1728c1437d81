"""Read the devkit's YAML files that say which scenes make a split (``navtrain.yaml``, ``navtest.yaml``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.openscene.format import FRAME_INTERVAL_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFilter:
    """A ``SceneFilter`` of the devkit in seconds, without synthetic scenes."""

    logs: tuple[str, ...] | None
    """Names of logs; None for all."""

    tokens: tuple[str, ...] | None
    """Of presents; None for all."""

    history_s: float
    future_s: float
    stride_s: float
    has_route: bool

    def options(self, *, future_s: float = 0.0) -> dict[str, Any]:
        """As options of ``OpenSceneLogSource``, with at least ``future_s`` of future."""
        return {
            "logs": self.logs,
            "tokens": self.tokens,
            "history_s": self.history_s,
            "future_s": max(self.future_s, future_s),
            "stride_s": self.stride_s,
            "has_route": self.has_route,
        }


def read_scene_filter(path: Path) -> SceneFilter:
    """The filter in the file ``path``. Raises ``InputError``, which names the file, for what is no such filter.

    A filter that takes the first ``max_scenes`` scenes is refused, for they depend on the order of a folder, and so is one that
    asks for synthetic scenes, which come from no log.
    """
    values = _values(path)
    try:
        history, future = int(values.get("num_history_frames", 4)), int(values.get("num_future_frames", 10))
        interval = values.get("frame_interval")
        found = SceneFilter(
            logs=_names(values.get("log_names")),
            tokens=_names(values.get("tokens")),
            history_s=(history - 1) * FRAME_INTERVAL_S,
            future_s=future * FRAME_INTERVAL_S,
            stride_s=(history + future if _is_unset(interval) else int(str(interval))) * FRAME_INTERVAL_S,
            has_route=_truth(values.get("has_route", "true")),
        )
        is_synthetic = _truth(values.get("include_synthetic_scenes", "false"))
    except (TypeError, ValueError) as error:
        raise InputError(f"'{path}' is no scene filter of NAVSIM: {error}.") from error
    if not _is_unset(values.get("max_scenes")):
        raise InputError(
            f"'{path}' sets max_scenes, and which scenes come first depends on the folder's order. Remove it there."
        )
    if is_synthetic:
        raise InputError(f"'{path}' asks for synthetic scenes, which come from no log. Give a filter without them.")
    return found


def _values(path: Path) -> dict[str, Any]:
    import yaml

    # Text alone: a token of digits must not become a number. The C parser is twenty times as fast, and navtrain has 103,288.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        values = yaml.load(Path(path).read_text(), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The scene filter '{path}' cannot be read: {error}") from error
    if not isinstance(values, dict) or not {"log_names", "tokens", "num_history_frames"} & values.keys():
        raise InputError(f"'{path}' is no scene filter of NAVSIM: it names no log_names, tokens or num_history_frames.")
    return values


def _is_unset(value: Any) -> bool:
    return value in (None, "", "null", "~", "None")


def _truth(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"'{value}' is neither true nor false")
    return value.lower() == "true"


def _names(values: Any) -> tuple[str, ...] | None:
    if _is_unset(values):
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("log_names and tokens are lists of names")
    return tuple(values)
