"""Examine this machine: Python, packages, the C library, the driver, GPUs, GPUDirect Storage; and try the device.

Each problem comes with the command that fixes it. Having no GPU is reported, but is no problem. The exit code is 1 if
something is broken. Include the output when you report a bug.

Examples:

    gpuzarr doctor
    gpuzarr doctor --folder /data --json
    gpuzarr doctor --device cpu
"""

from __future__ import annotations

import argparse
from typing import Any

from gpuzarr.cli.output import BAD, DOUBTFUL, GOOD, add_output, line, print_json, table

COLOURS = {"problem": BAD, "warning": DOUBTFUL}


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser(
        "doctor", help="what works on this machine, and how to fix the rest", description=__doc__
    )
    parser.add_argument("--device", default="auto", help="the device to try: auto (default), cpu, cuda, cuda:1")
    help_ = "tell whether files in this folder can be read straight into a GPU; default: the current folder"
    parser.add_argument("--folder", default=".", help=help_)
    add_output(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what was found. 1: there is a problem."""
    from gpuzarr.tools import doctor

    found = doctor(options.device, options.folder)
    if options.json:
        print_json(found.asdict())
        return int(bool(found))
    table(["", "", "", "found"], [[one.topic, one.name, one.status, one.text] for one in found.examined])
    for one in (*found.of("warning"), *found.of("problem")):
        line(f"{one.status}: {one.name}: {one.text}", COLOURS[one.status])
        if one.mend:
            line(f"    {one.mend}")
    problems = len(found.of("problem"))
    text = f"{problems} problem{'' if problems == 1 else 's'}" if problems else "no problems"
    line(text, BAD if problems else GOOD)
    return int(bool(found))
