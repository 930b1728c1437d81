"""Compare our scores with the official NAVSIM results of a golden file.

    python tools/parity_scoring.py FILE.json.gz --metric pdms|epdms [--limit SCENES] [--oracle] [--device cuda]

Prints how many results there are and how many differ, by sub-score, and the largest errors. Sub-scores must be equal; ego
progress and totals may differ by 1e-6, simulated states by 1e-9 (headings modulo a full turn). The last line is the verdict;
exit status 0 when everything is equal, 1 when something differs. Files whose scenes have no timestamps are scored from their
references every 0.1 s, all others from the poses of each case.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden_scoring import Answers, GoldenScene, Results, read_golden
from oracle_answers import reader_answers
from scoring_answers import library_answers

from diffdrive.scoring.rules import METRICS

VALUE_TOLERANCE, STATE_TOLERANCE = 1e-6, 1e-9
GRADUAL = ("ego_progress", "total", "total_without_ec")
"""What is no verdict and may differ by rounding."""

NOT_JUDGED = {"human": ("ego_progress", "history_comfort")}
"""The human filter never looks at these."""

HEADING = 2


class Comparison:
    """Counts what was compared and what differs, by kind of row ("filter off", "filter on", ...) and result."""

    def __init__(self) -> None:
        self.num_cases = 0
        self.compared: dict[tuple[str, str], int] = {}
        self.different: dict[tuple[str, str], int] = {}
        self.largest: dict[str, float] = {}
        self.examples: list[str] = []

    @property
    def num_different(self) -> int:
        return sum(self.different.values())

    def add_scene(self, golden: GoldenScene, answers: Answers) -> None:
        """Every result of one scene."""
        self.num_cases += len(golden.cases)
        for i, case in enumerate(golden.cases):
            where = f"{golden.scene.token} {case.name}"
            self._results("filter off", case.expected, answers.unfiltered, i, where)
            self._results("filter on", case.expected_filtered, answers.filtered, i, where)
            self._results("planner", case.expected_planner, answers.planner, i, where)
            self._states(case.states, answers.states[i], where)
        self._results("human", golden.expected_human, answers.human, 0, golden.scene.token)
        self._states(golden.planner_states, answers.planner_states, f"{golden.scene.token} planner")
        self._states(golden.human_states, answers.human_states, f"{golden.scene.token} human")

    def _results(self, kind: str, expected: Mapping[str, float] | None, got: Results | None, index: int, where: str) -> None:
        for name, value in (expected or {}).items():
            if name in NOT_JUDGED.get(kind, ()):
                continue
            found = float("nan") if got is None or name not in got else float(got[name][index])
            error = abs(found - value)
            if name in GRADUAL:
                self.largest[name] = max(self.largest.get(name, 0.0), error)
            self._count(
                (kind, name), error <= (VALUE_TOLERANCE if name in GRADUAL else 0.0), f"{where}: {value:g}, ours {found:g}"
            )

    def _states(self, expected: np.ndarray | None, got: np.ndarray | None, where: str) -> None:
        if expected is None:
            return
        error = np.full_like(expected, np.inf) if got is None else np.abs(got - expected)
        error[:, HEADING] = np.abs((error[:, HEADING] + np.pi) % (2 * np.pi) - np.pi)
        worst = float(error.max())
        self.largest["states"] = max(self.largest.get("states", 0.0), worst)
        self._count(("simulated", "states"), worst <= STATE_TOLERANCE, f"{where}: error {worst:.3g}")

    def _count(self, key: tuple[str, str], is_equal: bool, example: str) -> None:
        self.compared[key] = self.compared.get(key, 0) + 1
        self.different[key] = self.different.get(key, 0) + (not is_equal)
        if not is_equal and self.different[key] <= 3:
            self.examples.append(f"{' '.join(key)}: {example}")

    def lines(self) -> list[str]:
        """The table, the examples and the largest errors."""
        rows = [
            f"{kind:12s}{name:32s}{count:8d}{self.different[kind, name]:8d}" for (kind, name), count in self.compared.items()
        ]
        errors = [f"largest error of {name}: {value:.3g}" for name, value in self.largest.items()]
        return [f"{'row':12s}{'result':32s}{'compared':>8s}{'differ':>8s}", *rows, *errors, *self.examples]

    def verdict(self) -> str:
        total = sum(self.compared.values())
        if self.num_different or not total:
            return f"DIFFERENT: {self.num_different} of {total} results of {self.num_cases} cases differ"
        return f"EQUAL: all {total} results of {self.num_cases} cases"


def compare(
    file: Path, metric: str, *, limit: int | None = None, oracle: bool = False, batch_size: int = 8, device: str = "cpu"
) -> Comparison:
    """The first ``limit`` scenes of a golden file, judged by the library or by the readable scorer of the tests."""
    rules, found = METRICS[metric], Comparison()
    goldens = read_golden(file, rules, limit)
    answers = reader_answers(goldens, rules) if oracle else library_answers(goldens, rules, batch_size, device)
    for golden, each in zip(goldens, answers, strict=True):
        found.add_scene(golden, each)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="golden file, .json.gz")
    parser.add_argument("--metric", choices=("pdms", "epdms"), required=True)
    parser.add_argument("--limit", type=int, help="scenes to compare (default: all)")
    parser.add_argument("--oracle", action="store_true", help="compare the readable scorer of the tests instead")
    parser.add_argument("--batch-size", type=int, default=8, help="scenes scored at once (default: 8)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    found = compare(
        args.file, args.metric, limit=args.limit, oracle=args.oracle, batch_size=args.batch_size, device=args.device
    )
    print(f"{args.file.name}: {found.num_cases} cases, {time.perf_counter() - start:.1f} s")
    print("\n".join(found.lines()))
    print(found.verdict())
    return 1 if found.num_different or not found.num_cases else 0


if __name__ == "__main__":
    sys.exit(main())
