"""The metadata documents of a node in its store: read, written as valid JSON, changed under a lock."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import MetadataError, NotFoundError
from gpuzarr.metadata import load_json
from gpuzarr.stores.contract import Store

FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
Document = dict[str, Any]


def clean(path: str) -> str:
    """A path of a node without slashes at its ends. ValueError where it would lead out of the store."""
    parts = [part for part in os.fspath(path).split("/") if part]
    if any(set(part) == {"."} for part in parts):
        raise ValueError(f"{path!r} is not the path of a node")
    return "/".join(parts)


def key(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def lock(path: str) -> str:
    """The key whose lock is that of a node's metadata. It lies beside the node, which may be deleted meanwhile."""
    return path or "zarr.json"


def read(store: Store, path: str, name: str) -> Document | None:
    """A document; None where there is none. MetadataError where it is no JSON object."""
    data = store.get(key(path, name))
    return None if data is None else load_json(data, place(store, path, name))


def place(store: Store, path: str, name: str) -> str:
    """Where a document lies, in the words of an error message."""
    return f"{key(path, name)!r} of {store!r}"


def write(store: Store, path: str, name: str, document: Document) -> None:
    store.set(key(path, name), dumps(document))


def change(store: Store, path: str, name: str, edit: Callable[[Document], None]) -> Document:
    """Change a document as it is in the store now; nobody else changes it meanwhile. What it is then."""
    with store.locked([lock(path)]):
        document = read(store, path, name)
        if document is None:
            if name != ".zattrs":
                raise NotFoundError(f"{key(path, name)!r} is no more in {store!r}")
            document = {}
        edit(document)
        document = plain(document)  # as the next reader finds it
        write(store, path, name, document)
    return document


def change_attributes(store: Store, path: str, zarr_format: int, edit: Callable[[Document], None]) -> Document:
    """Change the attributes of a node; what else its document has stays. The attributes then."""
    if zarr_format == 2:
        return change(store, path, ".zattrs", edit)
    found = change(store, path, "zarr.json", lambda document: edit(document.setdefault("attributes", {})))
    attributes: Document = found["attributes"]
    return attributes


def dumps(document: Document) -> bytes:
    """JSON as the standard has it: NaN and the infinities are spelled "NaN", "Infinity", "-Infinity"."""
    return json.dumps(plain(document), indent=2, allow_nan=False, ensure_ascii=False).encode()


def plain(value: Any) -> Any:
    """A value of JSON's types only; NumPy's scalars and arrays become them. MetadataError for what has none."""
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
    raise MetadataError(f"{shown(value)} is nothing that JSON has")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise MetadataError(f"the name of a member must be text, not {shown(name)}")
    return name
