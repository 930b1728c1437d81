"""Score given trajectories on recorded logs, prepared from the logs themselves, and compare with the official results.

    python tools/score_real_logs.py FILE.json.gz --logs DIR [--metric pdms|epdms] [--corrected]

FILE is a file of official results (the format of ``tools/parity_scoring.py``); its trajectories are scored on the scenes of DIR
(123D logs) with the same log and time. Map, route, traffic and PDM-Closed come from the logs, not from the file: NAVSIM's own
scorer saw them through an export that cut lanes, invented traffic lights and set speed limits by hand, so sub-scores may differ
where that matters. Prints the mean of every sub-score for each trajectory, then how often it is the official one.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden_scoring import GoldenScene, read_golden

from diffdrive.contracts import InputError
from diffdrive.evaluation import Table
from diffdrive.scoring import EPDMS, METRICS, PDMS, Rules, Scores, prepare, score
from diffdrive.scoring.rules import INTERVAL_S
from diffdrive.sources import Arrow123dSource

PDM_CLOSED = "pdm_closed"
TOTAL = "total"
SAME = 1e-6
_BASE_INTERVAL_S = 0.5


def scored_scenes(
    goldens: Sequence[GoldenScene], source: Arrow123dSource, rules: Rules, *, corrected: bool
) -> Iterable[tuple[GoldenScene, Scores]]:
    """The scenes that ``source`` has too, with the scores of their trajectories and, last, of PDM-Closed."""
    tokens = {(source.info(token).log_name, source.info(token).timestamp_us): token for token in source.tokens}
    for golden in goldens:
        token = tokens.get((golden.scene.log_name, golden.scene.timestamp_us))
        # Variants of a log share its name and times; the route of this one is the log's own.
        if token is None or not _is_plain(golden):
            continue
        prepared = prepare(source.load(token, sensors=False), rules.name, corrected=corrected)
        stride = round(_BASE_INTERVAL_S / INTERVAL_S)
        plans = [case.poses for case in golden.cases] + [prepared.reference[stride::stride]]
        yield golden, score(prepared, torch.tensor(np.array(plans)), human_filter=False)


def _is_plain(golden: GoldenScene) -> bool:
    return golden.scene.token[8:9].isdigit()


def compare(found: Iterable[tuple[GoldenScene, Scores]], rules: Rules) -> tuple[Table, Table, int]:
    """Means by trajectory, agreement by sub-score, and the number of scenes."""
    values: dict[str, list[list[float]]] = defaultdict(list)
    equal: dict[str, list[bool]] = defaultdict(list)
    names = [name for name in rules.sub_scores if name != "extended_comfort"]
    scenes = 0
    for golden, scores in found:
        scenes += 1
        columns = torch.stack([scores[name][0] for name in names] + [scores.total[0]], dim=1).tolist()
        for trajectory, row in zip([*(case.name for case in golden.cases), PDM_CLOSED], columns, strict=True):
            values[trajectory].append(row)
        for i, case in enumerate(golden.cases):
            official = {**case.expected, TOTAL: case.expected["total_without_ec" if rules is EPDMS else TOTAL]}
            for name, value in zip([*names, TOTAL], columns[i], strict=True):
                equal[name].append(abs(value - official[name]) <= SAME)
    means = Table(
        columns=("trajectory", rules.name.upper(), *names),
        rows=tuple((name, *(f"{100 * v:.1f}" for v in np.roll(np.mean(rows, axis=0), 1))) for name, rows in values.items()),
    )
    agreement = Table(
        columns=("sub-score", "compared", "equal"),
        rows=tuple((name, str(len(flags)), f"{100 * np.mean(flags):.1f} %") for name, flags in equal.items()),
    )
    return means, agreement, scenes


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--logs", type=Path, required=True, help="123D data root")
    parser.add_argument("--metric", choices=tuple(METRICS), help="default: by the file's name")
    parser.add_argument("--corrected", action="store_true", help="without the devkit's known mistakes")
    args = parser.parse_args(arguments)
    rules = METRICS[args.metric] if args.metric else (PDMS if args.file.name.startswith("pdms") else EPDMS)
    try:
        goldens = read_golden(args.file, rules)
        source = Arrow123dSource(args.logs, future_s=(rules.observation_steps - 1) * INTERVAL_S)
        means, agreement, scenes = compare(scored_scenes(goldens, source, rules, corrected=args.corrected), rules)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if not scenes:
        print(f"No scene of '{args.file}' is among the {len(source.tokens)} of '{args.logs}'.", file=sys.stderr)
        return 2
    print(f"{rules.name} without human filter and extended comfort, percent, mean over {scenes} scenes", means.text(), sep="\n")
    print("\nequal to the official result", agreement.text(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
