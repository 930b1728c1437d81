"""Which scenes a submission must hold: from a list, from a devkit's scene filter, or from the logs themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.openscene.format import LOGS_FOLDER, TOKEN_LENGTH
from diffdrive.openscene.read_log import LogReader

NUM_BEFORE, NUM_AFTER = 3, 10
"""Frames that a scene of the usual filter needs before and after its present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTokens:
    """The scenes to plan, by stage. Recorded scenes have tokens of 16 characters, synthetic ones longer."""

    first: frozenset[str]
    second: frozenset[str]


def expected_from_file(path: Path) -> ExpectedTokens:
    """The tokens of a scene filter of the devkit (YAML), of a JSON list, or of a text file with one in a line.

    Raises ``InputError`` for a file that cannot be read or names no tokens.
    """
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' cannot be read as text ({error}). Give a scene filter or a list of tokens.") from error
    if path.suffix in (".yaml", ".yml"):
        return _from_filter(path, _yaml(path, text))
    if path.suffix == ".json":
        return _by_length(path, _json(path, text))
    return _by_length(path, [line.strip() for line in text.splitlines() if line.strip()])


def expected_from_data(root: Path, split: str) -> ExpectedTokens:
    """Every frame of the split's logs that has a route, 3 frames before it and 10 after: the usual filter, frame by frame.

    Raises ``InputError`` if there are no logs, or no such scene in them.
    """
    folder = Path(root) / LOGS_FOLDER / split
    logs = sorted(folder.glob("*.pkl"))
    if not logs:
        raise InputError(f"'{folder}' has no log pickles. Give the folder that holds {LOGS_FOLDER}/ and one of its splits.")
    tokens = [token for log in logs for token in _scenes_of(log)]
    if not tokens:
        raise InputError(
            f"no frame in the {len(logs)} logs of '{folder}' has a route, {NUM_BEFORE} frames before it and {NUM_AFTER} after. "
            "Give the split's scene filter with --tokens instead."
        )
    return ExpectedTokens(first=frozenset(tokens), second=frozenset())


def _scenes_of(path: Path) -> list[str]:
    log = LogReader(path)
    return [log.token(index) for index in range(NUM_BEFORE, len(log) - NUM_AFTER) if log.route(index)]


def _from_filter(path: Path, content: Any) -> ExpectedTokens:
    if not isinstance(content, dict):
        return _by_length(path, content)
    tokens = content.get("tokens")
    if not tokens:
        raise InputError(
            f"'{path}' names no tokens. Give the file of this name in the devkit's scene_filter folder if this is a split, "
            "or the logs with --data and --split if the filter takes every scene."
        )
    listed = _by_length(path, tokens)
    # Where the filter says which synthetic scenes are planned, it lists more than these.
    reactive = content.get("reactive_synthetic_initial_tokens") or content.get("synthetic_scene_tokens")
    return ExpectedTokens(first=listed.first, second=_by_length(path, reactive).second if reactive else listed.second)


def _by_length(path: Path, tokens: Iterable[Any]) -> ExpectedTokens:
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"'{path}' must list tokens, each a text (in quotes, where only digits make it a number).")
    if short := [token for token in tokens if len(token) < TOKEN_LENGTH]:
        raise InputError(f"'{path}' lists {short[0][:40]!r}, which is no token: they have {TOKEN_LENGTH} characters or more.")
    first = frozenset(token for token in tokens if len(token) == TOKEN_LENGTH)
    return ExpectedTokens(first=first, second=frozenset(tokens) - first)


def _yaml(path: Path, text: str) -> Any:
    import yaml

    # The loader in C, where there is one: a training split lists 100,000 tokens.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise InputError(f"'{path}' is no YAML ({' '.join(str(error).split())}).") from error


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"'{path}' is no JSON ({error}).") from error
