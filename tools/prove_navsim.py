"""Prove that the agent works in an unmodified NAVSIM devkit, and that our scorer gives the devkit's scores, with one command.

    python tools/prove_navsim.py --navsim /path/to/navsim [--nuplan /path/to/nuplan-devkit] --out DIR

Needs an environment with diffdrive, its extras data, render, train and navsim, and one clone of NAVSIM at v1.1 or v2.2
(docs/navsim.md tells how). Exports drives of the embedded world as NAVSIM data, has the devkit cache metrics and score the
human, constant velocity and the shipped planner, scores the same scenes without the devkit and compares scene by scene, has
the devkit cache a data set, train, score what it trained and write a submission, and checks that file.

Every command is shown as a shell takes it. Results are in DIR/<version>/results.json and results.md. A second run skips
commands that worked before, whatever changed behind them: take a new DIR for new code. Both versions can share DIR and its
export. Exit status 0 when every step worked and all scores agree, 1 when not, 2 for a devkit or environment that will not do.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command_steps import Outcome, StepRunner
from navsim_checks import scores_file
from navsim_comparison import Difference, compared, own_scores, table
from navsim_devkit import Devkit, Version, check_environment, find_devkit
from navsim_steps import AGENTS, PLANNERS, Commands, export_step

from diffdrive.assets import LOGS
from diffdrive.contracts import InputError
from diffdrive.files import written_aside


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        devkit = find_devkit(args.navsim, args.nuplan)
        commands = _commands(args, devkit)
        check_environment(commands.environment)
        exported = export_step(args.data, evenly(args.data, args.drives), commands.export)
    except InputError as error:
        print(f"prove_navsim: error: {error}", file=sys.stderr)
        return 2
    print(f"NAVSIM {devkit.version.value} in {devkit.root}. The devkit's scripts run with:")
    print("\n".join(f"export {name}={value}" for name, value in commands.environment.items()))
    # The export is made once for both versions.
    shared, runner = (StepRunner(folder / "steps", _tell) for folder in (commands.export.parent, commands.folder))
    rows: list[Difference] = []
    problems = [] if shared.run(exported) else ["Without the export nothing else can run."]
    if not problems:
        rows, problems = _prove(runner, commands)
    outcomes = [*shared.outcomes, *runner.outcomes]
    failed = [f"Step {outcome.name} failed." for outcome in outcomes if outcome.error]
    record = _record(commands, outcomes, rows, [*failed, *problems])
    _write(commands.folder, record, rows)
    print(f"\n{table(rows)}\n\nwrote {commands.folder / 'results.json'} and results.md")
    print("\n".join(record["problems"]) or "OK: every step worked, and the scores agree")
    return 1 if record["problems"] else 0


def _tell(text: str) -> None:
    print(text, flush=True)


def evenly(data: Path, count: int) -> list[str]:
    """``count`` of the logs in ``data``, at even distances. Raises ``InputError`` where there are not as many."""
    names = sorted(folder.name for folder in (data / "logs").glob("*/*") if folder.is_dir())
    if not 1 <= count <= len(names):
        raise InputError(f"--drives must be between 1 and {len(names)}, the number of logs in '{data}', got {count}.")
    return [names[int((index + 0.5) * len(names) / count)] for index in range(count)]


def _prove(runner: StepRunner, commands: Commands) -> tuple[list[Difference], list[str]]:
    """Every step that can run; one that fails stops only those that need what it writes."""
    rows: list[Difference] = []
    problems: list[str] = []
    if runner.run(commands.metric_caching()):
        scored = [name for name in PLANNERS if runner.run(commands.scoring(name, AGENTS[name]))]
        if runner.run(commands.own_scoring()):
            rows, problems = _compare(commands, scored)
        if commands.devkit.version is Version.V2:
            runner.run(commands.scoring("reactive", commands.agent, traffic="reactive"))
    if runner.run(commands.dataset_caching()) and runner.run(commands.training()):
        runner.run(commands.scoring_of_trained())
    if runner.run(commands.submission()):
        runner.run(commands.submission_check())
    return rows, problems


def _compare(commands: Commands, planners: Sequence[str]) -> tuple[list[Difference], list[str]]:
    rows: list[Difference] = []
    problems: list[str] = []
    for name in planners:
        try:
            own = own_scores(commands.own_scores / "per_scene.parquet", name, commands.devkit.version.metric)
            rows += compared(name, scores_file(commands.scores(name)), own)
        except InputError as error:
            problems.append(str(error))
    problems += [
        f"{row.planner}, {row.name}: {row.differing} of {row.scenes} scenes differ, most in {row.worst}: {row.largest:.2e}."
        for row in rows
        if row.differing
    ]
    return rows, problems


def _commands(args: argparse.Namespace, devkit: Devkit) -> Commands:
    out = args.out.resolve()
    folder = out / devkit.version.value
    export = out / "export"
    environment = devkit.environment(export, folder / "experiments")
    return Commands(devkit=devkit, export=export, folder=folder, environment=environment, seed=args.seed)


def _record(commands: Commands, outcomes: Sequence[Outcome], rows: Sequence[Difference], problems: list[str]) -> dict[str, Any]:
    return {
        "format": 1,
        "kind": "proof in a NAVSIM devkit",
        "devkit": commands.devkit.version.value,
        "metric": commands.devkit.version.metric,
        "environment": commands.environment,
        "steps": [dataclasses.asdict(outcome) for outcome in outcomes],
        "comparison": [dataclasses.asdict(row) for row in rows],
        "problems": problems,
    }


def _write(folder: Path, record: dict[str, Any], rows: Sequence[Difference]) -> None:
    lines = [f"# NAVSIM {record['devkit']}", "", table(rows), "", "| step | seconds | found |", "|---|---|---|"]
    for step in record["steps"]:
        found = "FAILED" if step["error"] else ", ".join(f"{key} {value}" for key, value in step["found"].items())
        lines.append(f"| {step['name']} | {step['seconds']:.0f} | {found} |")
    lines += ["", *(f"- {problem}" for problem in record["problems"])]
    with written_aside(folder / "results.json") as aside:
        aside.write_text(json.dumps(record, indent=1) + "\n")
    with written_aside(folder / "results.md") as aside:
        aside.write_text("\n".join(lines).rstrip() + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--navsim", type=Path, required=True, metavar="PATH", help="clone of navsim at tag v1.1 or v2.2")
    parser.add_argument("--nuplan", type=Path, metavar="PATH", help="clone of nuplan-devkit, where it is not installed")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything is written")
    parser.add_argument(
        "--data", type=Path, default=LOGS, metavar="DIR", help="123D logs with maps (default: the shipped ones)"
    )
    parser.add_argument("--drives", type=int, default=3, metavar="N", help="evenly chosen logs (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the planner's noise, in both scorers (default 0)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
