"""`gpuzarr stats PATH [--per AXIS] [--bins N] [--json]`: mean, standard deviation, min, max and counts of an array.

Each chunk is read once; the array may be larger than memory. PATH may be a URL.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import gpuzarr
from gpuzarr.cli.places import add_place, storage_options


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("stats", help="mean, deviation, min, max and histogram", description=__doc__)
    add_place(parser)
    help_ = "an axis, such as that of channels, whose indices get numbers of their own; may be given many times"
    parser.add_argument("--per", metavar="AXIS", action="append", type=int, help=help_)
    parser.add_argument("--bins", type=int, default=256, help="the most bins of the histogram, which --json shows")
    parser.add_argument("--fill-to-nan", action="store_true", help="leave out elements that equal the fill value")
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the numbers of the array at options.path."""
    array = gpuzarr.open_array(options.path, mode="r", storage_options=storage_options(options))
    per = None if options.per is None else tuple(options.per)
    found = gpuzarr.stats(array, per=per, bins=options.bins, fill_to_nan=options.fill_to_nan or None)
    print(json.dumps(_finite(found.asdict()), allow_nan=False) if options.json else found)


def _finite(value: Any) -> Any:
    """NaN and infinities as null, which JSON has for them."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
