"""Copy an array, or a group with all below it, to any store, and change how it is stored.

SRC and DST may be in any stores; SRC may also be N5, HDF5 or NetCDF. What you do not ask to change stays the same;
chunks that need no change are copied without being decoded. The copy appears only when it is complete. After Ctrl-C or
an error, run the same command with --resume to continue.

Examples:

    gpuzarr copy old.zarr new.zarr --zarr-format 3 --shards 1024,1024 --verify
    gpuzarr copy data.nc s3://bucket/data.zarr --chunks time=24,lat=180 --compressor zstd:3
    gpuzarr copy scan.zarr small.zarr --select "0:10, :, ::2" --dtype uint8 --out-of-range clamp
    gpuzarr copy study.zarr part.zarr.zip --include "images/*" --exclude "*/labels"
    gpuzarr copy huge.zarr other.zarr --dry-run
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from gpuzarr.cli.output import add_output, byte_text, line, print_json, table, wants_progress
from gpuzarr.cli.places import HELP, add_other_storage_options, add_storage_options, options_of, other_options_of
from gpuzarr.errors import StoreError

RESUME = "what was copied is kept: run the same command with --resume to continue"
ROUNDINGS = ("nearest-even", "nearest-away", "towards-zero", "towards-positive", "towards-negative")


def add(commands: Any) -> None:
    """Declare the arguments."""
    parser = commands.add_parser("copy", help="copy to any store, in another layout or format", description=__doc__)
    parser.add_argument("source", metavar="SRC", help=HELP)
    parser.add_argument("dest", metavar="DST", help="where to write the copy; a name that ends in .zip is an archive")
    _add_changes(parser)
    _add_course(parser)
    add_storage_options(parser)
    add_other_storage_options(parser, "--dest-storage-option", "DST")
    add_output(parser, progress=True)
    parser.set_defaults(run=run)


def _add_changes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what changes")
    sizes = "sizes such as 64,64,64 (one number: for all axes; -1: a whole axis), or by axis name: time=24,lat=180"
    group.add_argument("--chunks", metavar="SIZES", type=sizes_of, default="keep", help=f"{sizes}; or auto")
    help_ = "sizes of shards, in the same form; auto; or none: each chunk is its own object"
    group.add_argument("--shards", metavar="SIZES", type=shards_of, default="keep", help=help_)
    help_ = "zstd:3, gzip:6, blosc:lz4, blosc:zstd:5:bitshuffle, none, auto, or a codec (or a list) as JSON"
    group.add_argument("--compressor", metavar="CODEC", type=compressors_of, default="keep", help=help_)
    group.add_argument("--dtype", metavar="DTYPE", help="cast numbers by value; what it cannot hold is an error")
    help_ = "how floats are rounded to integers; default: nearest-even"
    group.add_argument("--rounding", choices=ROUNDINGS, default="nearest-even", help=help_)
    help_ = "what becomes of a number that --dtype cannot hold; default: error"
    group.add_argument("--out-of-range", choices=("error", "clamp", "wrap"), default="error", help=help_)
    help_ = "another fill value, as JSON; stored elements do not change"
    group.add_argument("--fill-value", metavar="VALUE", type=_json, default="keep", help=help_)
    help_ = 'a part, as in NumPy: "0:10, :, ::2"; or by axis name: "time=0:10,lat=::2"'
    group.add_argument("--select", metavar="SLICES", type=selection_of, help=help_)
    group.add_argument("--zarr-format", type=int, choices=(2, 3), help="the version of Zarr; default: that of SRC")
    help_ = "only nodes whose path matches, with all below them; * is any text; may be repeated"
    group.add_argument("--include", metavar="PATTERN", action="append", default=[], help=help_)
    help_ = "not these nodes, nor what is below them; may be repeated"
    group.add_argument("--exclude", metavar="PATTERN", action="append", default=[], help=help_)


def _add_course(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how it is done")
    way = group.add_mutually_exclusive_group()
    way.add_argument("--overwrite", action="store_true", help="first delete the node at DST")
    way.add_argument("--resume", action="store_true", help="continue an interrupted copy")
    group.add_argument("--dry-run", action="store_true", help="only say what would be written")
    group.add_argument("--verify", action="store_true", help="read the copy, and compare it bit by bit with SRC")
    help_ = (
        "raise: a chunk of SRC that cannot be decoded is an error; fill: it becomes the fill value; skip: chunks and "
        "nodes that cannot be read are left out, too, and the exit code is 1 if there are any such"
    )
    group.add_argument("--on-error", choices=("raise", "fill", "skip"), default="raise", help=help_)
    help_ = "how many blocks are copied at once; default: 1, or 4 if a store is remote"
    group.add_argument("--workers", metavar="N", type=int, help=help_)
    help_ = "bytes of memory for values, such as 512MiB; default: 1GiB"
    group.add_argument("--memory-limit", metavar="BYTES", default="1GiB", help=help_)
    help_ = "where chunks are decoded and encoded: auto (default), cpu, cuda, cuda:1"
    group.add_argument("--device", default="auto", help=help_)


def run(options: argparse.Namespace) -> int:
    """Copy, and print what was copied. 1: something was skipped."""
    from gpuzarr.tools import copy

    try:
        report = copy(
            options.source,
            options.dest,
            chunks=options.chunks,
            shards=options.shards,
            compressors=options.compressor,
            dtype=options.dtype,
            rounding=options.rounding,
            out_of_range=options.out_of_range,
            fill_value=options.fill_value,
            selection=options.select,
            zarr_format=options.zarr_format,
            include=options.include,
            exclude=options.exclude,
            overwrite=options.overwrite,
            resume=options.resume,
            dry_run=options.dry_run,
            verify=options.verify,
            on_error=options.on_error,
            workers=options.workers,
            memory_limit=options.memory_limit,
            device=options.device,
            progress=not options.dry_run and wants_progress(options),
            storage_options=options_of(options, options.source),
            dest_storage_options=other_options_of(options, options.dest),
        )
    except KeyboardInterrupt:
        options.going_on = _advice(options)
        raise
    except StoreError as error:
        raise StoreError("; ".join(filter(None, (str(error), _advice(options))))) from error
    print_json(report.asdict()) if options.json else _print(report)
    return int(options.on_error == "skip" and bool(report.damaged or report.left_out))


def _advice(options: argparse.Namespace) -> str:
    """How to continue after an interrupt or an error; archives exist only once they are complete."""
    is_archive = options.dest.endswith(".zip") or "|zip:" in options.dest
    return "" if is_archive or options.dry_run else RESUME


def _print(report: Any) -> None:
    headers = ("path", "shape", "dtype", "chunks", "shards", "codecs", "decoded", "copied as")
    rows = [_row(node) for node in report.nodes if node.kind == "array"]
    for node in report.left_out:
        line(f"left out: {node}")
    if report.dry_run:
        table(headers, rows, "would be written:")
        return
    for chunk in report.damaged:
        line(f"the fill value replaces {chunk}")
    groups = len(report.nodes) - len(rows)
    skipped = f"; {report.objects_skipped:,} objects had already been copied" if report.objects_skipped else ""
    equal = "; the copy equals the source" if report.verified else ""
    what = f"copied {_count(len(rows), 'array')} and {_count(groups, 'group')}, {byte_text(report.nbytes)} decoded"
    line(f"{what}, in {report.seconds:.1f} s{skipped}{equal}")


def _row(node: Any) -> tuple[Any, ...]:
    sizes = [_sizes(node.shape), node.dtype, _sizes(node.chunks), _sizes(node.shards)]
    return (node.path, *sizes, ", ".join(node.codecs), byte_text(node.nbytes), node.method)


def _sizes(sizes: Any) -> str:
    return "" if sizes is None else " x ".join(map(str, sizes))


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# what arguments mean


def sizes_of(text: str) -> Any:
    """Sizes of chunks: "auto", numbers for the axes, or a dict of numbers by the names of axes."""
    if text in ("auto", "keep"):
        return text
    parts = [part.strip() for part in text.split(",")]
    if any("=" in part for part in parts):
        return _by_name(parts, int, text)
    numbers = tuple(_parsed(part, int, text) for part in parts)
    return numbers[0] if len(numbers) == 1 else numbers


def shards_of(text: str) -> Any:
    """Sizes of shards, as of chunks; None for "none"."""
    return None if text == "none" else sizes_of(text)


def compressors_of(text: str) -> Any:
    """Compressors, as `create_array` takes them: None, or a list of codecs."""
    if text in ("auto", "none", "keep"):
        return None if text == "none" else text
    if text[:1] in "[{":
        given = _json(text)
        return given if isinstance(given, list) else [given]
    name, *more = text.split(":")
    if name == "blosc":
        return [{"id": "blosc", **_blosc(more, text)}]
    if len(more) > 1:
        raise argparse.ArgumentTypeError(f"{text!r}: {name} takes at most one number, its level: {name}:LEVEL")
    return [{"id": name, **({"level": _parsed(more[0], int, text)} if more else {})}]


def _blosc(more: list[str], text: str) -> dict[str, Any]:
    """cname, level and shuffle of blosc."""
    shuffles = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
    if len(more) > 3 or (len(more) == 3 and more[2] not in shuffles):
        raise argparse.ArgumentTypeError(f"{text!r}: blosc:CNAME:LEVEL:SHUFFLE, with {', '.join(shuffles)}")
    found: dict[str, Any] = {"cname": more[0] if more else "zstd", "clevel": 5, "shuffle": 1}
    if len(more) > 1:
        found["clevel"] = _parsed(more[1], int, text)
    return found | ({"shuffle": shuffles[more[2]]} if len(more) == 3 else {})


def selection_of(text: str) -> Any:
    """Slices and ints, as between brackets; or a dict of them by axis name."""
    parts = [part.strip() for part in text.strip().removeprefix("[").removesuffix("]").split(",")]
    if any("=" in part for part in parts):
        return _by_name(parts, _indices, text)
    return tuple(_parsed(part, _indices, text) for part in parts if part)


def _indices(text: str) -> Any:
    if text == "...":
        return ...
    members = [int(part) if part.strip() else None for part in text.split(":")]
    if len(members) > 3 or (len(members) == 1 and members[0] is None):
        raise ValueError(text)
    return members[0] if len(members) == 1 else slice(*members)


def _by_name(parts: list[str], parse: Callable[[str], Any], text: str) -> dict[str, Any]:
    pairs = [part.partition("=") for part in parts]
    if not all(name.strip() and found for name, found, _ in pairs):
        raise argparse.ArgumentTypeError(f"{text!r}: give all parts by axis name, as NAME=VALUE, or none")
    return {name.strip(): _parsed(value.strip(), parse, text) for name, _, value in pairs}


def _parsed(part: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(part)
    except ValueError:
        raise argparse.ArgumentTypeError(f"cannot read {part!r} in {text!r}") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
