"""Read metadata documents from a store, write them as valid JSON, change them under a lock."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import MetadataError, NotFoundError
from gpuzarr.interrupts import within
from gpuzarr.metadata import load_json
from gpuzarr.stores.contract import Store

FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
Document = dict[str, Any]


def clean(path: str) -> str:
    """A path of a node without slashes at its ends. ValueError if it leads out of the store."""
    parts = [part for part in os.fspath(path).split("/") if part]
    if any(set(part) == {"."} for part in parts):
        raise ValueError(f"{path!r} is not the path of a node")
    return "/".join(parts)


def key(path: str, name: str) -> str:
    """The key of document `name` of the node at `path`."""
    return f"{path}/{name}" if path else name


def lock(path: str) -> str:
    """The key that is locked to change a node's metadata; the lock lies beside the node, which may be deleted."""
    return path or "zarr.json"


def read(store: Store, path: str, name: str) -> Document | None:
    """Read a document; None if there is none. MetadataError if it is not a JSON object."""
    data = store.get(key(path, name))
    return None if data is None else load_json(data, place(store, path, name))


def place(store: Store, path: str, name: str) -> str:
    """The place of a document, for error messages."""
    return f"{key(path, name)!r} of {store!r}"


def write(store: Store, path: str, name: str, document: Document) -> None:
    """Write a document. MetadataError for values that JSON does not have."""
    store.set(key(path, name), dumps(document))


def change(store: Store, path: str, name: str, edit: Callable[[Document], None]) -> Document:
    """Edit a document under its lock, and return it. NotFoundError if it is missing, unless it holds attributes."""

    def changed(_: object) -> Document:
        document = read(store, path, name)
        if document is None:
            if name != ".zattrs":
                raise NotFoundError(f"{key(path, name)!r} is missing in {store!r}: it was deleted meanwhile")
            document = {}
        edit(document)
        document = plain(document)  # as the next reader finds it
        write(store, path, name, document)
        return document

    return within(store.locked([lock(path)]), changed)


def change_attributes(store: Store, path: str, zarr_format: int, edit: Callable[[Document], None]) -> Document:
    """Edit the attributes of a node under a lock, and return them; the rest of its document stays."""
    if zarr_format == 2:
        return change(store, path, ".zattrs", edit)
    found = change(store, path, "zarr.json", lambda document: edit(document.setdefault("attributes", {})))
    attributes: Document = found["attributes"]
    return attributes


def dumps(document: Document) -> bytes:
    """Encode a document as standard JSON, with "NaN", "Infinity" and "-Infinity" as texts."""
    return json.dumps(plain(document), indent=2, allow_nan=False, ensure_ascii=False).encode()


def plain(value: Any) -> Any:
    """Convert a value to the types of JSON, also scalars and arrays of NumPy. MetadataError if it has none of these."""
    if isinstance(value, dict):
        return {_name(name): plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biufUT":
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise MetadataError(f"{shown(value)} is not a value of JSON")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise MetadataError(f"the name of a member must be text, not {shown(name)}")
    return name
