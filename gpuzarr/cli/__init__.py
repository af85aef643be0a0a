"""The command line.

Each command is a file here with `add(commands)`, which declares its arguments and its function `run(options)`. The
docstring of the file is its help: text, and examples, which are indented. `run` prints by `gpuzarr.cli.output`; it
returns None, or the exit code. Two more things it may declare by `parser.set_defaults`: `error_code`, the exit code
after an error where that is not 1; and `going_on`, how to go on after Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from gpuzarr.cli import bench, check, codecs, copy, diff, doctor, info, show, stats
from gpuzarr.cli.output import printable
from gpuzarr.errors import GpuZarrError

COMMANDS = (info, show, stats, copy, check, diff, bench, codecs, doctor)
DESCRIPTION = "Look into Zarr stores and work on them, with a GPU where there is one, else on the CPU."
EPILOG = "`gpuzarr COMMAND --help` explains a command, with examples."
INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


class _Help(argparse.HelpFormatter):
    """Help in which paragraphs are wrapped, and what is indented stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = re.split(r"\n\s*\n", text.strip())
        return "\n\n".join(p if p.startswith(" ") else textwrap.fill(" ".join(p.split()), width) for p in paragraphs)


class _Parser(argparse.ArgumentParser):
    """A parser with that help. The parsers of its commands are of the same class."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **options})


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    import gpuzarr

    made = _Parser(prog="gpuzarr", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("--version", action="version", version=f"gpuzarr {gpuzarr.__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code.

    0, or what the command returned. After an error, 1 (of some commands 2) and a line on stderr; after Ctrl-C, 130 and
    a line that also says how to go on, if the command can. Wrong arguments exit with 2.
    """
    options = argparse.Namespace()
    try:
        options = parser().parse_args(arguments)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names and attributes may be half of a surrogate pair
        code = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has ended, as in `gpuzarr info ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except KeyboardInterrupt:
        going_on = getattr(options, "going_on", "")
        return _failed(f"interrupted; {going_on}" if going_on else "interrupted", INTERRUPTED)
    except (GpuZarrError, OSError, RecursionError) as error:  # attributes may be nested deeply
        return _failed(str(error), getattr(options, "error_code", 1))
    else:
        return code or 0
    return 0


def _failed(problem: str, code: int) -> int:
    """Say what failed, in one line on stderr."""
    print(f"gpuzarr: {printable(' '.join(problem.split()))}", file=sys.stderr)
    return code
