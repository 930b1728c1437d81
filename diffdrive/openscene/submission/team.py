"""Check the fields that say who sent a submission."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from diffdrive.openscene.submission.finding import Finding, error, shown, warning
from diffdrive.openscene.submission.read import STAGES, Foreign

FIELDS = {
    "team_name": "team_name",
    "authors": "authors",
    "email": "email",
    "institution": "institution",
    "country / region": "country",
}
"""Keys as the devkits write them, and the argument of their script that fills each."""

_PLACEHOLDER = re.compile(
    r"[\W_]*|x+|n/?a|none|null|todo|tbd|test|foo|bar|<.*>|\$?\{.*\}|(the |my |your )?"
    r"(team|team[ _-]?name|authors?|names?|e-?mail|institution|affiliation|country)|.*@example\.(com|org|net)",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s.,;<>]{2,}")


def check_team(content: Mapping[Any, Any], version: str) -> Iterator[Finding]:
    """Every field is there, filled in, and nothing else is."""
    for key, argument in FIELDS.items():
        if key in content:
            yield from _check_field(key, argument, content[key])
        else:
            yield error(f"the field '{key}' is missing: pass {argument}=... to run_create_submission_pickle.")
    for key in content:
        if key not in FIELDS and key not in STAGES[version]:
            yield warning(f"{shown(key)} is no field of a {version} submission. Its fields are: {', '.join(FIELDS)}.")


def _check_field(key: str, argument: str, value: Any) -> Iterator[Finding]:
    if isinstance(value, Foreign):
        yield warning(
            f"'{key}' is a {type(value).__module__}.{type(value).__qualname__}. It takes the whole configuration of your run "
            "along, with the names of your folders, and opens only where that library is. "
            f"Pass one text: \"{argument}='A. Author, B. Author'\"."
        )
    elif not isinstance(value, str):
        yield error(f"'{key}' must be text, got {shown(value)}.")
    elif not value.strip():
        yield error(f"'{key}' is empty.")
    elif key == "email" and not _EMAIL.fullmatch(value.strip()):
        yield error(f"'email' must be one address like name@university.edu, got {shown(value)}.")
    elif _PLACEHOLDER.fullmatch(value.strip()):
        yield warning(f"'{key}' looks like a placeholder: {shown(value)}.")
