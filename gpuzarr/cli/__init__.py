"""The command line. Each command is a file here with `add(commands)`, which declares its arguments and its function."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from gpuzarr.cli import info, stats
from gpuzarr.errors import GpuZarrError

COMMANDS = (info, stats)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0, or 1 after one line on stderr. Wrong arguments exit with 2."""
    import gpuzarr

    parser = argparse.ArgumentParser(prog="gpuzarr", description=gpuzarr.__doc__)
    parser.add_argument("--version", action="version", version=f"gpuzarr {gpuzarr.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names and attributes may be half of a surrogate pair
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has ended, as in `gpuzarr info ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except (GpuZarrError, OSError, RecursionError) as error:  # attributes may be nested deeply
        print(f"gpuzarr: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
