"""Mean, standard deviation, min, max, quantiles, counts and histogram of an array.

Each chunk is read once; the array may be larger than memory. PATH may be a URL.

Examples:

    gpuzarr stats data.zarr/image --quantile 0.5 --quantile 0.99
    gpuzarr stats data.zarr/image --axis 1 --axis 2 --json
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import gpuzarr
from gpuzarr.cli.output import add_output, wants_progress
from gpuzarr.cli.places import add_place, storage_options


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser(
        "stats", help="mean, deviation, min, max, quantiles and histogram", description=__doc__
    )
    add_place(parser)
    help_ = "an axis that is reduced, as in NumPy; may be given many times; by default all axes are"
    parser.add_argument("--axis", metavar="AXIS", action="append", type=int, help=help_)
    help_ = "a quantile to tell, such as 0.5, by the histogram; may be given many times"
    parser.add_argument("--quantile", metavar="Q", action="append", type=float, default=[], help=help_)
    help_ = "the most bins of the histogram, which --json shows; 0: no histogram"
    parser.add_argument("--bins", type=int, default=256, help=help_)
    help_ = "the first and the last edge of the histogram; by default the least and the greatest element"
    parser.add_argument("--range", metavar=("FIRST", "LAST"), nargs=2, type=float, help=help_)
    parser.add_argument("--fill-to-nan", action="store_true", help="leave out elements that equal the fill value")
    add_output(parser, progress=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the numbers of the array at options.path."""
    array = gpuzarr.open_array(options.path, mode="r", storage_options=storage_options(options))
    found = gpuzarr.stats(
        array,
        axis=None if options.axis is None else tuple(options.axis),
        bins=options.bins,
        range=options.range,
        quantiles=options.quantile,
        fill_to_nan=options.fill_to_nan or None,
        progress=wants_progress(options),
    )
    print(json.dumps(_finite(found.asdict()), allow_nan=False) if options.json else found)


def _finite(value: Any) -> Any:
    """NaN and infinities as null, which JSON has for them."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
