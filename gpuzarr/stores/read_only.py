"""How mappings say that nothing can be written to them: nobody finds out by trying.

Most say it by their type, or by an attribute. The file systems of fsspec, which its mappers write to, have no common
word for it: archives have a mode, others are known by their protocols.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from typing import Any

from gpuzarr.stores.local.permissions import why_not_writable
from gpuzarr.stores.memory import Below, Buffers

ATTRIBUTES = ("read_only", "readonly", "_read_only", "_readonly")
INNER = ("fs", "sync_fs", "dict")  # what fsspec's mappers, its file systems around others, and a Shelf write to
MAX_LAYERS = 16
# of file systems of fsspec whose files cannot be made, or not be deleted
READ_ONLY_PROTOCOLS = frozenset(
    ("http", "https", "reference", "github", "gist", "git", "data", "tar", "libarchive", "sync-http", "sync-https")
)


def why_read_only(mapping: Mapping[str, Any]) -> str | None:
    """Say why a mapping cannot be changed; None if nothing says so."""
    while isinstance(mapping, Below | Buffers):
        mapping = mapping.inner
    if type(mapping) is dict:
        return None
    if not isinstance(mapping, MutableMapping):
        return f"a {type(mapping).__name__} cannot be changed"
    return why_layers_read_only(mapping)


def why_layers_read_only(mapping: Any) -> str | None:
    """Say why a mapping, or a file system of fsspec, or one of those that it writes to, cannot be changed."""
    thing: Any = mapping
    for _ in range(MAX_LAYERS):
        if (reason := _says(thing)) is not None:
            return reason
        if isinstance(thing, ChainMap):
            thing = thing.maps[0]  # the one that is written
            if not isinstance(thing, MutableMapping):
                return f"a {type(thing).__name__} cannot be changed"
        elif type(thing) is dict or (inner := next(filter(None, (_own(thing, name) for name in INNER)), None)) is None:
            return _why_no_folder(mapping, thing)
        else:
            thing = inner
    return None


def _says(thing: Any) -> str | None:
    name = type(thing).__name__
    for attribute in ATTRIBUTES:
        if _own(thing, attribute) is True:
            return f"the {attribute} of a {name} is True"
    if "readonly" in name.lower().replace("_", ""):
        return f"a {name} is read-only by its name"
    if _own(thing, "mode") in ("r", "rb"):
        return f"a {name} was opened with mode {thing.mode!r}"
    if READ_ONLY_PROTOCOLS & set(_texts(_own(type(thing), "protocol"))):
        return f"a {name} of fsspec only reads"
    return None


def _why_no_folder(mapping: Any, thing: Any) -> str | None:
    """Say why the folder of a mapper over local files cannot be written."""
    root = _own(mapping, "root")
    if thing is mapping or _own(mapping, "fs") is not thing or not isinstance(root, str):
        return None
    return why_not_writable([f"{root}/zarr.json"]) if "file" in _texts(_own(type(thing), "protocol")) else None


def _own(thing: Any, name: str) -> Any:
    """An attribute; None if it is missing, or cannot be told."""
    try:
        return getattr(thing, name, None)
    except Exception:  # of the object's own
        return None


def _texts(value: Any) -> tuple[str, ...]:
    members = value if isinstance(value, tuple | list) else (value,)
    return tuple(member for member in members if isinstance(member, str))
