"""Run a script of the devkit where torchvision does not fit torch: ``python -m diffdrive_agents.run_script SCRIPT ARGUMENTS``.

The devkit's scripts import Lightning first, and with it torchvision, whose wheels from the package index stop a CPU build of
torch with ``operator torchvision::nms does not exist``. This module declares what is missing, then runs the script as Python
would. Where torch and torchvision were installed from one index it changes nothing. Ray's workers import on their own: use
``worker=sequential`` or ``worker=single_machine_thread_pool``.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from diffdrive.torchvision_ops import declare_missing_ops


def main(arguments: list[str]) -> None:
    """``arguments`` are the script and its own arguments. Exits with a message where there is no such script."""
    if not arguments or not Path(arguments[0]).is_file():
        given = f"'{arguments[0]}' is no file" if arguments else "no script was given"
        sys.exit(f"usage: python -m diffdrive_agents.run_script SCRIPT [ARGUMENT ...] ({given})")
    declare_missing_ops()
    # As Python does: the script sees its own arguments, and its folder is searched first.
    sys.argv = arguments
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
