"""Everything that is wrong with a submission, in the order in which one would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from diffdrive.openscene.format import TOKEN_LENGTH
from diffdrive.openscene.submission.expected import ExpectedTokens
from diffdrive.openscene.submission.finding import Finding, error, warning
from diffdrive.openscene.submission.plausibility import check_plausibility
from diffdrive.openscene.submission.read import STAGES, Submission
from diffdrive.openscene.submission.team import check_team
from diffdrive.openscene.submission.trajectories import check_form, sound_poses

_LOOK = (
    "The devkits leave out scenes in which the agent fails: look for 'Agent failed' in the log of run_create_submission_pickle."
)


def check_submission(submission: Submission, expected: ExpectedTokens | None = None) -> tuple[Finding, ...]:
    """All findings. With ``expected``, scenes that are missing (the devkits leave failed ones out silently) or too many."""
    return tuple(_findings(submission, expected))


def _findings(submission: Submission, expected: ExpectedTokens | None) -> Iterator[Finding]:
    content, keys = submission.content, STAGES[submission.version]
    yield from check_team(content, submission.version)
    if submission.is_numpy_2:
        yield warning(
            "arrays are spelt as numpy 2 does, which numpy before 1.26 cannot open, and the devkits ask for 1.23.4. "
            "Load and save the file with numpy 1.26, which reads both and writes the old spelling."
        )
    seeds: dict[str, list[Mapping[Any, Any]]] = {}
    for key in keys:
        seeds[key] = [plans for plans in _list_of(content.get(key)) if isinstance(plans, dict)]
        yield from _named(key, _check_list(content.get(key), submission.version))
    if len(keys) == 2 and (twice := [token for token in _union(seeds[keys[0]]) if token in _union(seeds[keys[1]])]):
        yield error("these scenes are in both stages; each belongs to one.", twice)
    for stage, key in enumerate(keys):
        wanted = None if expected is None else (expected.first, expected.second)[stage]
        for place, plans in enumerate(seeds[key]):
            name = key if len(seeds[key]) == 1 else f"{key}[{place}]"
            yield from _named(name, _check_plans(plans, wanted, is_synthetic=stage == 1))


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _union(seeds: list[Mapping[Any, Any]]) -> set[Any]:
    return {token for plans in seeds for token in plans}


def _check_list(value: Any, version: str) -> Iterator[Finding]:
    if not isinstance(value, list) or not value or not all(isinstance(plans, dict) for plans in value):
        what = (
            f"a list of {len(value)}"
            if isinstance(value, list)
            else "nothing"
            if value is None
            else f"a {type(value).__name__}"
        )
        yield error(f"must be a list with one dict of trajectories by token, got {what}.")
    elif len(value) > 1:
        message = f"holds {len(value)} sets of plans; run_pdm_score_from_submission takes one."
        # v1.1 has a script that merges several runs of an agent into one file.
        yield warning(f"{message} Right only for a merged submission.") if version == "v1.1" else error(message)


def _check_plans(plans: Mapping[Any, Any], expected: frozenset[str] | None, *, is_synthetic: bool) -> Iterator[Finding]:
    if not plans and (expected is None or expected):
        yield error(f"is empty.{' Two-stage scoring has no result without it.' if is_synthetic else ''} {_LOOK}")
    yield from _check_tokens(plans, is_synthetic)
    if expected is not None and plans:
        yield from _compare(plans, expected)
    yield from check_form(plans)
    for tokens, poses, interval_s in sound_poses(plans):
        yield from check_plausibility(tokens, poses, interval_s)


def _check_tokens(plans: Mapping[Any, Any], is_synthetic: bool) -> Iterator[Finding]:
    def fits(token: Any) -> bool:
        return isinstance(token, str) and (len(token) > TOKEN_LENGTH if is_synthetic else len(token) == TOKEN_LENGTH)

    if bad := [token for token in plans if not fits(token)]:
        rule = f"more than {TOKEN_LENGTH} characters, being synthetic" if is_synthetic else f"{TOKEN_LENGTH} characters"
        yield error(f"tokens must be text of {rule}.", bad)


def _compare(plans: Mapping[Any, Any], expected: frozenset[str]) -> Iterator[Finding]:
    if missing := sorted(expected.difference(plans)):
        yield error(
            f"{len(missing)} of {len(expected)} expected scenes are missing. {_LOOK}",
            missing,
        )
    if unexpected := [token for token in plans if token not in expected]:
        yield error(f"{len(unexpected)} of {len(plans)} scenes are not expected. Is this the right split?", unexpected)


def _named(key: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The same, with the key of the file that they are about."""
    for finding in findings:
        yield Finding(
            severity=finding.severity,
            message=f"{key}: {finding.message}",
            num_scenes=finding.num_scenes,
            examples=finding.examples,
        )
