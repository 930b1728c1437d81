"""Check a NAVSIM submission before it is uploaded: who sent it, which scenes it plans, and whether its plans can be meant.

``read`` takes the pickle of either devkit without importing anything that it names, ``check`` lists everything that is wrong
with it, ``expected`` knows which scenes must be there. An error is what a devkit cannot read or score, or what certainly costs
the score; a warning is what only looks like a mistake.
"""

from diffdrive.openscene.submission.check import check_submission
from diffdrive.openscene.submission.expected import ExpectedTokens, expected_from_data, expected_from_file
from diffdrive.openscene.submission.finding import Finding, Severity
from diffdrive.openscene.submission.read import Submission, read_submission

__all__ = [
    "ExpectedTokens",
    "Finding",
    "Severity",
    "Submission",
    "check_submission",
    "expected_from_data",
    "expected_from_file",
    "read_submission",
]
