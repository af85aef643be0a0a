"""Read metadata documents from a store, write them as valid JSON, change them under a lock."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, JsonError, MetadataError, NotFoundError, ReadOnlyError
from gpuzarr.interrupts import within
from gpuzarr.metadata import load_json
from gpuzarr.stores import versioned
from gpuzarr.stores.contract import Store, concurrency, why_read_only
from gpuzarr.stores.spread import each
from gpuzarr.stores.tries import tries

FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata", "attributes.json")
MAX_INDENTED_LEVELS = 32
_INTEGER_END = 10**4300  # Python reads no integers of more digits
Document = dict[str, Any]


def clean(path: Any) -> str:
    """A path of a node without slashes at its ends. ArgumentError if it leads out of the store, or is no text; for
    what is no path, as the keys of objects are (`stores/keys.py`).

    A backslash is a slash, as in zarr-python.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    parts = [part for part in text.replace("\\", "/").split("/") if part] if isinstance(text, str) else ["."]
    if "." in parts or ".." in parts or any("\0" in part for part in parts):
        raise ArgumentError(f"{shown(path)} is not the path of a node")
    return "/".join(parts)


def may_be_member(name: str, zarr_format: int) -> bool:
    """True if what is in the folder of a group may be a member of that name, and is no document of the group."""
    return (name != "zarr.json" if zarr_format == 3 else name not in FILES[1:]) and "\\" not in name


def key(path: str, name: str) -> str:
    """The key of document `name` of the node at `path`."""
    return f"{path}/{name}" if path else name


def lock(path: str) -> str:
    """The key that is locked to change a node's metadata; the lock lies beside the node, which may be deleted."""
    return path or "zarr.json"


def why_unwritable(store: Store, path: str, names: Sequence[str] = FILES) -> str | None:
    """Say why objects of these names of the node at `path` cannot be written; None if nothing says so."""
    return why_read_only(store, [key(path, name) for name in names])


def check_writable(store: Store, path: str, names: Sequence[str] = FILES) -> None:
    """ReadOnlyError, saying why, if a node at this path cannot be made, changed or deleted."""
    if (reason := why_unwritable(store, path, names)) is not None:
        advice = "open it with mode 'r', or give a store that can be written"
        raise ReadOnlyError(f"{path or '/'!r} of {store!r} cannot be written: {reason}; {advice}")


def how_to_write(store: Store, path: str, why_read_only: str | None = None) -> str:
    """Advice for who would write to a node that was opened for reading. `why_read_only`: what its metadata say."""
    return why_read_only or why_unwritable(store, path) or "open it with mode 'r+' or 'a'"


def read(store: Store, path: str, name: str) -> Document | None:
    """Read a document; None if there is none. MetadataError if it is not a JSON object."""
    data = store.get(key(path, name))
    return None if data is None else load_json(data, place(store, path, name))


def reader(store: Store, path: str, names: Sequence[str]) -> Callable[[str], Document | None]:
    """Reads documents of a node, as `read` does, by their names: where each request takes long all of them at once."""
    if concurrency(store) == 1:
        return partial(read, store, path)
    data: dict[str, bytes | None] = {}
    each(lambda name: data.__setitem__(name, store.get(key(path, name))), names, len(names))
    return lambda name: None if (got := data[name]) is None else load_json(got, place(store, path, name))


def current(store: Store, path: str, name: str) -> tuple[Document | None, Any]:
    """Read a document as `read`, with its version for `replace`."""
    data, version = versioned.read(store, key(path, name))
    return None if data is None else load_json(data, place(store, path, name)), version


def place(store: Store, path: str, name: str) -> str:
    """The place of a document, for error messages."""
    return f"{key(path, name)!r} of {store!r}"


def write(store: Store, path: str, name: str, document: Document) -> None:
    """Write a document. MetadataError for values that JSON does not have."""
    store.set(key(path, name), dumps(document))


def replace(store: Store, path: str, name: str, document: Document, version: Any) -> bool:
    """Write a document as `write`, unless somebody else has changed it since it was read; False if so."""
    return versioned.write(store, key(path, name), dumps(document), version)


def change(store: Store, path: str, name: str, edit: Callable[[Document], None]) -> Document:
    """Edit a document under its lock, and return it; once more where another process has changed it meanwhile.

    NotFoundError if it is missing, unless it holds attributes. ReadOnlyError if it cannot be written.
    """
    check_writable(store, path, [name])

    def changed(_: object) -> Document:
        for _ in tries(partial(place, store, path, name)):
            document, version = current(store, path, name)
            if document is None:
                if name != ".zattrs":
                    raise NotFoundError(f"{key(path, name)!r} is missing in {store!r}: it was deleted meanwhile")
                document = {}
            edit(document)
            document = plain(document)  # as the next reader finds it
            if replace(store, path, name, document, version):
                return document
        raise AssertionError

    return within(store.locked([lock(path)]), changed)


def dumps(document: Document) -> bytes:
    """Encode a document as standard JSON, with "NaN", "Infinity" and "-Infinity" as texts.

    Half a surrogate pair, for which UTF-8 has no bytes, becomes the escape that JSON has for it. What is nested deeply
    is not indented: a line of each value would take as many bytes as its depth.
    """
    value = plain(document)
    indent = 2 if _depth(value) <= MAX_INDENTED_LEVELS else None
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False).encode(errors="backslashreplace")


def dumps_large(document: Document) -> bytes:
    """Encode a document that was made of others that were read, in a fiftieth of the time of `dumps`: not indented."""
    try:
        return json.dumps(document, allow_nan=False, ensure_ascii=False).encode(errors="backslashreplace")
    except ValueError:  # zarr-python writes NaN as a bare word
        return dumps(document)


def _depth(value: Any) -> int:
    """The levels of lists and objects within each other."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, members), default=0) if members else 0


def plain(value: Any) -> Any:
    """Convert a value to the types of JSON, also scalars and arrays of NumPy.

    MetadataError for other types, for integers of more digits than Python reads, and for what is nested too deeply or
    within itself.
    """
    try:
        return _plain(value)
    except RecursionError as error:
        raise MetadataError("a value of JSON is nested too deeply, or is a part of itself") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_name(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufUT":
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and abs(value) >= _INTEGER_END:
        raise MetadataError(f"an integer of {value.bit_length()} bits is too long for JSON")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise JsonError(f"{shown(value)} is not a value of JSON")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise JsonError(f"the name of a member must be text, not {shown(name)}")
    return name
