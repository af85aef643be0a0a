"""Compare two trees: which nodes there are, their metadata, and all their values.

A and B may be in any stores, and of different versions of Zarr. Values are compared on the GPU if there is one. NaN
equals NaN. The exit code is 0 if both are equal, 1 if they differ, 2 if something cannot be read.

Examples:

    gpuzarr diff old.zarr new.zarr
    gpuzarr diff original.zarr s3://bucket/copy.zarr --ignore-storage
    gpuzarr diff a.zarr/image b.zarr/image --values-only --tolerance 1e-6 --json
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import gpuzarr
from gpuzarr.cli.output import BAD, GOOD, add_output, line, print_json, wants_progress
from gpuzarr.cli.places import HELP, add_other_storage_options, add_storage_options, options_of, other_options_of

MAX_SHOWN_LENGTH = 60  # of a value of metadata, in characters


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("diff", help="compare two trees: metadata and values", description=__doc__)
    parser.add_argument("a", metavar="A", help=HELP)
    parser.add_argument("b", metavar="B", help="what to compare A with")
    what = parser.add_mutually_exclusive_group()
    help_ = "do not compare how arrays are stored: the version of Zarr, chunks, shards, codecs, order"
    what.add_argument("--ignore-storage", action="store_const", const="data", dest="compare", help=help_)
    help_ = "compare only shapes and values"
    what.add_argument("--values-only", action="store_const", const="values", dest="compare", help=help_)
    help_ = "numbers are equal if their absolute difference is at most this"
    parser.add_argument("--tolerance", metavar="NUMBER", type=float, default=0.0, help=help_)
    add_storage_options(parser)
    add_other_storage_options(parser, "--storage-option-b", "B")
    add_output(parser, progress=True)
    parser.set_defaults(run=run, compare="all", error_code=2)


def run(options: argparse.Namespace) -> int:
    """Print how options.a and options.b differ. 0: not at all; 1: they differ; 2: something cannot be read."""
    from gpuzarr.tools import diff

    given = options_of(options, options.a), other_options_of(options, options.b)
    a, b = (gpuzarr.open(p, mode="r", storage_options=o) for p, o in zip((options.a, options.b), given, strict=True))
    progress = wants_progress(options)
    found = diff(a, b, compare=options.compare, tolerance=options.tolerance, progress=progress)
    if options.json:
        print_json(found.asdict())
    else:
        for node in found.nodes:
            for text in node_lines(node):
                line(text)
        summary(found)
    return 2 if found.errors else int(bool(found))


def node_lines(node: Any) -> list[str]:
    """How a node differs, a line for each fact."""
    path = f"/{node.path}"
    if node.only_in:
        return [f"{path}: only in {node.only_in.upper()}"]
    lines = [f"{path}: {field.name}: {_shown(field, 'a')} | {_shown(field, 'b')}" for field in node.fields]
    if node.values:
        found = node.values
        largest = "" if found.largest is None else f", the largest difference is {found.largest:g}"
        where = f"first at {list(found.first)}: {_cut(found.a)} | {_cut(found.b)}"
        lines.append(f"{path}: values: {found.count:,} of {found.size:,} differ{largest}; {where}")
    return lines + ([f"{path}: error: {node.error}"] if node.error else [])


def summary(found: Any) -> None:
    """Print how much was compared, and whether it is equal."""
    compared = f"{found.compared:,} nodes with {found.elements:,} elements"
    if found:
        line(f"different: {len(found.nodes):,} nodes; compared {compared}", BAD)
    else:
        line(f"equal: {compared}", GOOD)


def _shown(field: Any, side: str) -> str:
    is_there = field.only_in in (None, side)
    return _cut(json.dumps(getattr(field, side), default=str)) if is_there else "nothing"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_LENGTH else text[: MAX_SHOWN_LENGTH - 3] + "..."
