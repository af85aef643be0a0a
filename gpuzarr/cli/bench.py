"""Time reads of an array: on each device, and by other libraries that are installed.

Of a group, the largest array is read. The libraries take turns to read the same selection several times, after their
values have been compared. The report says how fast each is, what limits gpuzarr, and what would help. After the first
read, files are in the operating system's cache. The table has the median time in milliseconds, decoded and stored bytes
per second, and the ratio of each time to that in the first row.

Examples:

    gpuzarr bench data.zarr
    gpuzarr bench data.zarr/image --select "0, :512, :512" --seconds 5
    gpuzarr bench s3://bucket/data.zarr --no-peers --json
"""

from __future__ import annotations

import argparse
from typing import Any

import gpuzarr
from gpuzarr.cli.output import (
    DOUBTFUL,
    add_output,
    byte_text,
    key_values,
    line,
    print_json,
    rate_text,
    table,
    wants_progress,
)
from gpuzarr.cli.places import add_place, storage_options
from gpuzarr.errors import ArgumentError

HEADERS = ("reader", "ms", "reads", "decoded", "stored", "ratio", "limited by")


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("bench", help="how fast an array is read, and what limits it", description=__doc__)
    add_place(parser)
    help_ = "what to read, such as '0, :512'; default: all, or the first 256 MiB"
    parser.add_argument("--select", metavar="SELECTION", help=help_)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each reader reads; default: 2")
    help_ = "do not compare with other libraries"
    parser.add_argument("--no-peers", action="store_false", dest="peers", help=help_)
    add_output(parser, progress=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print how fast the array at options.path is read."""
    from gpuzarr.tools import bench
    from gpuzarr.tools.show_selection import parsed

    array = largest(gpuzarr.open(options.path, mode="r", storage_options=storage_options(options)))
    selection = None if options.select is None else parsed(options.select)
    progress = wants_progress(options)
    found = bench(array, selection, seconds=options.seconds, peers=options.peers, progress=progress)
    if options.json:
        print_json(found.asdict())
    else:
        show(found)


def largest(node: Any) -> gpuzarr.Array:
    """An array, or the array of a group whose elements have the most bytes. ArgumentError if it has none."""
    if isinstance(node, gpuzarr.Array):
        return node
    arrays = [member for _, member in node.members(max_depth=None) if isinstance(member, gpuzarr.Array)]
    if not arrays:
        raise ArgumentError(f"there is no array in {node!r}")
    return max(arrays, key=lambda array: array.nbytes)


def show(found: Any) -> None:
    """Print a report: what was read, a table of readers, the plan, and advice."""
    what = {"array": f"{found.array} {found.shape} {found.dtype}"}
    what |= {"read": f"{byte_text(found.result_bytes)}, stored in {byte_text(found.stored_bytes)}"}
    key_values(what)
    line()
    table(HEADERS, [row(timing) for timing in found.timings if timing.seconds is not None])
    for timing in found.timings:
        if timing.problem:
            line(f"{timing.name} is not compared: {timing.problem}")
    line()
    for text in found.plan.splitlines():
        line(text)
    for text in found.advice:
        line(f"- {text}", DOUBTFUL)


def row(timing: Any) -> list[Any]:
    """A row of the table: the median, the number of reads, bytes per second, and how many times as long it took."""
    rates = rate_text(timing.decoded_rate), rate_text(timing.stored_rate)
    limit = timing.limited_by or ""
    return [timing.name, f"{timing.seconds * 1e3:.4g}", timing.repeats, *rates, f"{timing.ratio:.2f}", limit]
