"""The arguments of a command that say where a store is: a path or a URL, and options for it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gpuzarr.errors import ArgumentError

HELP = "an array, a group or a store: a path, a URL, or a pipeline such as s3://bucket/a.zip|zip:path"


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare PATH and `--storage-option`."""
    parser.add_argument("path", metavar="PATH", help=HELP)
    add_storage_options(parser)


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--storage-option`."""
    parser.add_argument(
        "--storage-option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=_pair,
        dest="storage_options",
        help="an option for what a URL names, such as skip_signature=true or endpoint=http://host:9000; "
        "may be repeated",
    )


def add_other_storage_options(parser: argparse.ArgumentParser, flag: str, place: str) -> None:
    """Declare the option by which a second place has storage options of its own."""
    help_ = f"the same, for {place} only; then --storage-option does not apply to {place}"
    parser.add_argument(
        flag, metavar="KEY=VALUE", action="append", default=[], type=_pair, dest="other_options", help=help_
    )


def storage_options(options: argparse.Namespace) -> dict[str, Any] | None:
    """The options that were given; None where there are none."""
    return _as_dict(options.storage_options)


def options_of(options: argparse.Namespace, place: str) -> dict[str, Any] | None:
    """The options that were given, for one of several places: None for one on this machine, which takes none."""
    is_here = "://" not in place or place.startswith(("file://", "memory://"))
    return None if is_here else storage_options(options)


def other_options_of(options: argparse.Namespace, place: str) -> dict[str, Any] | None:
    """The options for the second place: its own, else as `options_of`."""
    return _as_dict(options.other_options) or options_of(options, place)


def _as_dict(pairs: list[Any]) -> dict[str, Any] | None:
    """Pairs as a dict, None for none. ArgumentError for "--", of which argparse makes an empty list."""
    if [] in pairs:
        raise ArgumentError("'--' has no value: write KEY=VALUE")
    return dict(pairs) or None


def _pair(text: str) -> tuple[str, Any]:
    """A name and a value: text, or what JSON has but for floats: true, false, null, integers, objects, lists."""
    name, found, value = text.partition("=")
    if not found or not name:
        raise argparse.ArgumentTypeError(f"{name!r} has no value: write KEY=VALUE")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    return name, parsed if isinstance(parsed, bool | int | str | dict | list) or parsed is None else value
