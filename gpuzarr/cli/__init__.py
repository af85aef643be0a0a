"""The command line: one file a command, each with `add(commands)`, which declares it, and a function that does it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gpuzarr.cli import info
from gpuzarr.errors import GpuZarrError

COMMANDS = (info,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code 0, or 1 after one line on stderr. Wrong arguments exit with 2, as argparse does."""
    import gpuzarr

    parser = argparse.ArgumentParser(prog="gpuzarr", description=gpuzarr.__doc__)
    parser.add_argument("--version", action="version", version=f"gpuzarr {gpuzarr.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, as in `gpuzarr info ... | head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except (GpuZarrError, OSError) as error:
        print(f"gpuzarr: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
