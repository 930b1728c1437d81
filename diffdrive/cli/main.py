"""The ``diffdrive`` command: find the verb, run it, and turn bad input into one line and exit status 2.

Exit status: 0 everything asked for worked, 1 something asked for failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from diffdrive import __version__

VERBS = (
    "scenes", "plan", "evaluate", "train", "anchors", "checkpoint", "export", "world", "navsim", "demo", "bench",
    "drive", "soak",
)  # fmt: skip
"""Each is a module of this package with ``add_parser(subparsers)``; what is heavy it imports when it runs."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (usage: {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status; ``--help`` and usage errors leave through ``SystemExit``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    args = _parser(words).parse_args(words)
    try:
        with _log_on_stderr():
            return int(args.run(args))
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        # The reader (head, less) has gone; Python must not complain about it again while shutting down.
        sys.stdout = None
        return 1
    except OSError as error:
        # A file or folder that cannot be read or written is named; without a name it is a bug.
        if error.filename is None:
            raise
        return _complain(f"{error.strerror}: '{error.filename}'", 1)
    except (ValueError, ImportError) as error:
        if not _is_for_the_user(error):
            raise
        return _complain(" ".join(str(error).split()), 2)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="diffdrive", description="Plan, train, score and draw driving, from logs or from an embedded world.")
    parser.add_argument("--version", action="version", version=f"diffdrive {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    # A known verb needs only its own module; help and mistakes need the list of all of them.
    for verb in [words[0]] if words and words[0] in VERBS else VERBS:
        importlib.import_module(f"diffdrive.cli.{verb}").add_parser(subparsers)
    return parser


@contextlib.contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Show the package's own log there (which renderer was chosen, for example)."""
    log, handler = logging.getLogger("diffdrive"), logging.StreamHandler()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _is_for_the_user(error: ValueError | ImportError) -> bool:
    from diffdrive.contracts import InputError

    return isinstance(error, InputError) or (isinstance(error, ImportError) and "diffdrive[" in str(error))


def _complain(message: str, status: int) -> int:
    print(f"diffdrive: error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
