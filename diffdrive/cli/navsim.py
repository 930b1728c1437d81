"""``diffdrive navsim``: help with the NAVSIM benchmark, without its devkit."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffdrive.openscene.submission import ExpectedTokens, Finding, Submission


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    navsim = subparsers.add_parser("navsim", help="check a NAVSIM submission before it is uploaded")
    verbs = navsim.add_subparsers(dest="navsim_verb", required=True, metavar="VERB")
    check = verbs.add_parser(
        "submit-check",
        help="what is wrong with a submission pickle of devkit v1.1 or v2.2",
        description="List what is wrong with a submission pickle of NAVSIM v1.1 or v2.2. Nothing that the file names is run. "
        "Errors are what a devkit cannot read or score, or what surely costs the score; warnings only look like mistakes. "
        "Exit status: 0 no errors, 1 errors, 2 no submission at all.",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="submission.pkl, as run_create_submission_pickle writes it")
    check.add_argument(
        "--tokens",
        type=Path,
        metavar="LIST",
        help="the scenes that must be there: a scene filter of the devkit (.yaml), a list (.json), or one token in a line",
    )
    check.add_argument("--data", type=Path, metavar="ROOT", help="or every scene of the logs in ROOT/navsim_logs/SPLIT")
    check.add_argument("--split", metavar="SPLIT", help="the split of --data")
    check.add_argument("--json", action="store_true", help="one line of JSON instead of text")
    check.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check the file and list the findings. Returns 1 if one is an error."""
    from diffdrive.openscene.submission import Severity, check_submission, read_submission

    expected = _expected(args)
    submission = read_submission(args.file)
    findings = check_submission(submission, expected)
    num_errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if args.json:
        print(json.dumps(_as_json(args.file, submission, findings, num_errors)))
    else:
        _show(args.file, submission, findings, num_errors)
    return 1 if num_errors else 0


def _expected(args: argparse.Namespace) -> ExpectedTokens | None:
    from diffdrive.contracts import InputError
    from diffdrive.openscene.submission import expected_from_data, expected_from_file

    if (args.data is None) != (args.split is None) or (args.tokens is not None and args.data is not None):
        raise InputError("the expected scenes come either from --tokens LIST, or from --data ROOT with --split SPLIT.")
    if args.tokens is not None:
        return expected_from_file(args.tokens)
    return None if args.data is None else expected_from_data(args.data, args.split)


def _as_json(file: Path, submission: Submission, findings: Sequence[Finding], num_errors: int) -> dict[str, object]:
    return {
        "file": str(file),
        "version": submission.version,
        "scenes": submission.num_scenes,
        "errors": num_errors,
        "warnings": len(findings) - num_errors,
        "findings": [
            {
                "severity": finding.severity.value,
                "message": finding.message,
                "scenes": finding.num_scenes,
                "examples": list(finding.examples),
            }
            for finding in findings
        ],
    }


def _show(file: Path, submission: Submission, findings: Sequence[Finding], num_errors: int) -> None:
    scenes = ", ".join(f"{key} {count}" for key, count in submission.num_scenes.items())
    print(f"{file}: NAVSIM {submission.version}, scenes in {scenes}")
    for finding in findings:
        print(f"{finding.severity}: {finding.message}{_examples(finding)}")
    print(f"{num_errors} errors, {len(findings) - num_errors} warnings")


def _examples(finding: Finding) -> str:
    if not finding.num_scenes:
        return ""
    more = ", ..." if finding.num_scenes > len(finding.examples) else ""
    return f" {finding.num_scenes} scenes: {', '.join(finding.examples)}{more}"
