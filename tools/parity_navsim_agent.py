r"""Record what an agent does in the NAVSIM devkit's own evaluation loop, and compare two recordings scene by scene.

    python tools/parity_navsim_agent.py record --navsim NAVSIM [--nuplan NUPLAN] --data EXPORT --work DIR --out FILE.npz \
        --agent NAME [--searchpath PLACE ...] [--set KEY=VALUE ...] [--decoder PATH]
    python tools/parity_navsim_agent.py replay RECORDING.npz --navsim ... --data ... --work ... --out FILE.npz
    python tools/parity_navsim_agent.py draw SALT ... --out FILE.npz --agent NAME ... (navsim and nuplan can be imported)
    python tools/parity_navsim_agent.py compare REFERENCE.npz OURS.npz

``record`` runs the scripts of an unmodified clone (v1.1 or v2.2, or DiffusionDrive's fork of v1.1): metric caching, unless DIR
has that, and scoring, with torch's generator seeded from each scene's token. It keeps trajectories, proposals and the table of
scores. NAME is an agent's config, in the devkit or in a searchpath. ``replay`` has another devkit score what was recorded.
``draw`` plans inputs that are drawn from words. ``compare`` exits with 0 when two recordings agree, with 1 when they differ.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

TOOLS = Path(__file__).resolve().parent
sys.path.insert(0, str(TOOLS.parent))

from command_steps import StepRunner  # noqa: E402
from drawn_agent_input import drawn_agent_input  # noqa: E402
from navsim_checks import scores_file  # noqa: E402
from navsim_devkit import find_devkit  # noqa: E402
from navsim_recording import Recording, compare, gathered  # noqa: E402
from navsim_steps import Commands  # noqa: E402

from diffdrive.contracts import InputError  # noqa: E402

OUR_CONFIGS = "pkg://diffdrive_configs.navsim"
DEVKIT_CONFIGS = "pkg://navsim.planning.script.config.common"

RECORDING_AGENT = """\
defaults:
  - {agent}@agent
  - _self_
_target_: recording_agent.recorded
_convert_: all
out: {scenes}
decoder: "{decoder}"
"""

REPLAYING_AGENT = """\
defaults:
  - constant_velocity_agent@agent
  - _self_
_target_: recording_agent.replayed
_convert_: all
recording: {recording}
"""

DRAWING = """\
defaults:
  - agent: recording
  - _self_
hydra:
  searchpath: [{searchpath}]
"""


def record(args: argparse.Namespace) -> Recording:
    """Have the devkit score an agent, or what was recorded of one. Raises ``InputError`` where something fails."""
    work = args.work.resolve()
    environment = (devkit := find_devkit(args.navsim, args.nuplan)).environment(args.data.resolve(), work / "experiments")
    # The caller's own path comes first: a fork may need packages that no devkit needs.
    paths = [os.environ.get("PYTHONPATH", ""), str(TOOLS), environment["PYTHONPATH"]]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    commands = Commands(devkit=devkit, export=args.data, folder=work, environment=environment)
    runner = StepRunner(work / "steps", lambda text: print(text, flush=True))
    with tempfile.TemporaryDirectory() as folder:
        agent = write_agent(args, Path(folder))
        words = ["agent=recording", f"hydra.searchpath=[{_searchpath(args, Path(folder))}]", *agent]
        if not runner.run(commands.metric_caching()) or not runner.run(commands.scoring("recording", words)):
            raise InputError("The devkit failed; see above.")
        return gathered(Path(folder) / "scenes", scores_file(commands.scores("recording")))


def draw(args: argparse.Namespace) -> Recording:
    """Have an agent plan drawn inputs, in this process. Raises ``InputError`` where there is no devkit."""
    if missing := [name for name in ("navsim", "nuplan") if importlib.util.find_spec(name) is None]:
        raise InputError(f"{' and '.join(missing)} cannot be imported. Put the clones on PYTHONPATH, or install them.")
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate

    from diffdrive.torchvision_ops import declare_missing_ops

    declare_missing_ops()  # before the devkit imports Lightning
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        overrides = write_agent(args, folder)
        (folder / "draw.yaml").write_text(DRAWING.format(searchpath=_searchpath(args, folder)))
        with initialize_config_dir(version_base=None, config_dir=str(folder)):
            agent = instantiate(compose("draw", overrides).agent)
        agent.initialize()
        for salt in args.salts:
            # Of the scene the recording agent asks only which one it is.
            scene = SimpleNamespace(scene_metadata=SimpleNamespace(initial_token=salt))
            agent.compute_trajectory(drawn_agent_input(salt), scene)
        return gathered(folder / "scenes", None)


def write_agent(args: argparse.Namespace, folder: Path) -> list[str]:
    """The config ``agent=recording`` in ``folder``, for Hydra; the overrides that it needs."""
    agents = folder / "agent"
    agents.mkdir()
    agent, decoder = args.agent, args.decoder
    if args.command == "replay":
        agent, decoder = "replaying", ""
        (agents / "replaying.yaml").write_text(REPLAYING_AGENT.format(recording=args.recording.resolve()))
    (agents / "recording.yaml").write_text(RECORDING_AGENT.format(agent=agent, scenes=folder / "scenes", decoder=decoder))
    return [f"++agent.agent.{each}" for each in args.set]


def _searchpath(args: argparse.Namespace, folder: Path) -> str:
    return ",".join([DEVKIT_CONFIGS, *args.searchpath, f"file://{folder}"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(agent="", decoder="", set=[], searchpath=[OUR_CONFIGS])
    commands = parser.add_subparsers(dest="command", required=True)
    recording, replaying, drawing = (commands.add_parser(name) for name in ("record", "replay", "draw"))
    replaying.add_argument("recording", type=Path)
    drawing.add_argument("salts", nargs="+", metavar="SALT")
    for each in (recording, drawing):
        each.add_argument("--agent", required=True, help="name of its config")
        each.add_argument("--searchpath", nargs="*", default=[OUR_CONFIGS], help="where configs of agents are")
        each.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="arguments of the agent")
        each.add_argument("--decoder", default="", help="submodule that returns the proposals, where the agent does not")
    for each in (recording, replaying):
        each.add_argument("--navsim", type=Path, required=True, help="clone of NAVSIM")
        each.add_argument("--nuplan", type=Path, help="clone of nuplan-devkit, unless it is installed")
        each.add_argument("--data", type=Path, required=True, help="what export-navsim wrote, split mini")
        each.add_argument("--work", type=Path, required=True, help="metric cache and logs; one for each devkit")
    for each in (recording, replaying, drawing):
        each.add_argument("--out", type=Path, required=True, help="the recording, .npz")
    comparing = commands.add_parser("compare")
    comparing.add_argument("reference", type=Path)
    comparing.add_argument("ours", type=Path)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or compare."""
    args = _parser().parse_args(arguments)
    try:
        if args.command == "compare":
            rows = list(compare(Recording.read(args.reference), Recording.read(args.ours)))
        else:
            made = draw(args) if args.command == "draw" else record(args)
            made.write(args.out)
            print(f"{len(made.tokens)} scenes in '{args.out}'.")
            return 0
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for row in rows:
        print(row)
    failed = sum(bool(row.differing) for row in rows)
    print(f"DIFFERENT: {failed} of {len(rows)} rows" if failed else f"EQUAL: all {len(rows)} rows agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
