"""Check an array, or a group with all nodes below it: read and decode every chunk, and report what is wrong.

It checks documents, consolidated metadata, OME-Zarr metadata, keys, sizes, indexes of shards and checksums, and looks
for what killed processes left behind. Chunks are decoded on the GPU if there is one. Nothing is changed without
--repair. The exit code is 0 if there are no problems, 1 if there are errors or warnings, 2 if PATH cannot be opened.

--repair does only what loses nothing: it deletes (or puts back) what killed processes left behind, and rebuilds
outdated consolidated metadata. --repair=delete-damaged also deletes damaged chunks, which then read as the fill value.

Examples:

    gpuzarr check data.zarr
    gpuzarr check data.zarr --fast --census
    gpuzarr check data.zarr --repair --dry-run
    gpuzarr check s3://bucket/data.zarr --storage-option skip_signature=true --json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from statistics import median
from typing import Any

from gpuzarr.cli.output import BAD, DOUBTFUL, GOOD, add_output, byte_text, line, print_json, table, wants_progress
from gpuzarr.cli.places import add_place, storage_options

COLOURS = {"error": BAD, "warning": DOUBTFUL}


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("check", help="read every chunk and report what is damaged", description=__doc__)
    add_place(parser)
    help_ = "decode nothing: check only documents, names, sizes and indexes of shards"
    parser.add_argument("--fast", action="store_true", help=help_)
    help_ = "for each array and along each axis, show which chunks exist and how well they are compressed"
    parser.add_argument("--census", action="store_true", help=help_)
    help_ = "repair what loses nothing; delete-damaged: also delete damaged chunks"
    choices = ("safe", "delete-damaged")
    parser.add_argument("--repair", nargs="?", const="safe", choices=choices, help=help_)
    parser.add_argument("--dry-run", action="store_true", help="with --repair: only say what would be done")
    help_ = "where chunks are decoded: auto (default), cpu, cuda, cuda:1"
    parser.add_argument("--device", default="auto", help=help_)
    help_ = "bytes that decoded chunks may take, such as 4GiB; default: 1GiB"
    parser.add_argument("--memory-limit", metavar="BYTES", default="1GiB", help=help_)
    add_output(parser, progress=True)
    parser.set_defaults(run=run, error_code=2)


def run(options: argparse.Namespace) -> int:
    """Print what is wrong at options.path. 0: nothing; 1: something."""
    from gpuzarr.tools import check

    report = check(
        options.path,
        device=options.device,
        fast=options.fast,
        census=options.census,
        repair=options.repair,
        dry_run=options.dry_run,
        memory_limit=options.memory_limit,
        progress=wants_progress(options),
        on_finding=None if options.json else _show,
        on_repair=None if options.json else _show_repair,
        storage_options=storage_options(options),
    )
    if options.json:
        print_json(report.asdict())
        return int(bool(report))
    if options.census:
        _show_census(report)
    line(summary(report), BAD if report else GOOD)
    return int(bool(report))


def _show(finding: Any) -> None:
    line(finding, COLOURS.get(finding.severity, ""))


def _show_repair(repair: Any) -> None:
    line(repair, BAD if repair.problem else GOOD if repair.is_done else "")


def summary(report: Any) -> str:
    """What was checked, and how many problems there are, in one line."""
    present, checked = (sum(getattr(array, name) for array in report.arrays) for name in ("present", "checked"))
    stored = byte_text(sum(array.stored_bytes for array in report.arrays))
    decoded = f"{checked:,} decoded on {report.device}" if report.device else "none decoded"
    what = f"{_count(len(report.arrays), 'array')}, {_count(present, 'chunk')} of {stored}, {decoded}"
    counts = report.counts()
    found = ", ".join(_count(counts[name], name) for name in counts if counts[name])
    more = f"; {report.more:,} more findings are not listed" if report.more else ""
    return f"{'problems' if report else 'no problems'}: {found + ' in ' if found else ''}{what}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _show_census(report: Any) -> None:
    headers = ["array", "chunks", "present", "objects", "stored", "decoded", "ratio", "smallest", "median", "largest"]
    table(headers, [_array_cells(array) for array in report.arrays])
    headers = ["array", "axis", "indices", "complete", "partly", "empty", "ratio", "smallest", "largest"]
    if rows := [row for array in report.arrays for row in _axis_rows(array)]:
        line()
        table(headers, rows, "along each axis")


def _array_cells(array: Any) -> list[Any]:
    sizes = [array.stored_bytes, array.decoded_bytes, array.min_bytes, array.median_bytes, array.max_bytes]
    stored, decoded, *ends = ("" if size is None else byte_text(size) for size in sizes)
    counts = [f"{number:,}" for number in (array.chunks, array.present, array.objects)]
    return [f"/{array.path}", *counts, stored, decoded, _ratio(array.ratio), *ends]


def _axis_rows(array: Any) -> Iterator[list[Any]]:
    """For each axis: at how many indices all chunks are there, some, and none; and the ratios: median, least, most."""
    for number, axis in enumerate(array.axes or ()):
        if axis is not None:
            complete = sum(present == axis.chunks for present in axis.present)
            empty = axis.present.count(0)
            partly = len(axis.present) - complete - empty
            ratios = [ratio for ratio in axis.ratios() if ratio is not None]
            ends = [median(ratios), min(ratios), max(ratios)] if ratios else [None] * 3
            yield [f"/{array.path}", number, len(axis.present), complete, partly, empty, *map(_ratio, ends)]


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.3g}"
