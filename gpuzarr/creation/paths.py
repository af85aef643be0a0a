"""What the path of a new node must be like: names that all can open, list and delete, in groups of its own version.

Nodes of other programs are opened whatever their names are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, MetadataError
from gpuzarr.metadata import files
from gpuzarr.metadata.files import FILES
from gpuzarr.stores.contract import Store, why_no_key
from gpuzarr.stores.hidden import hidden, is_owned
from gpuzarr.stores.identity import GROUP_DOCUMENTS, widest


def above(path: str) -> list[str]:
    """The paths above that of a node; of one that is made at a hidden path only those up to that."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:i]) for i in range(_first_visible(parts), len(parts))]


def check_names(store: Store, path: str) -> None:
    """ArgumentError, saying why, if a new node at this path could not be opened, listed or deleted by its name."""
    parts = path.split("/") if path else []
    for part in parts[_first_visible(parts) :]:
        if (reason := _why_no_name(part)) is not None:
            raise ArgumentError(f"there can be no node at {shown(path)}: {reason}")
    if (reason := why_no_key(store, files.key(path, "zarr.json"))) is not None:
        raise ArgumentError(f"there can be no node at {shown(path)} in {store!r}: {reason}")


def _first_visible(parts: list[str]) -> int:
    """The number of the first name behind the last one of what is still being made, such as a group with members."""
    return max((i + 1 for i, part in enumerate(parts) if is_owned(part)), default=0)


def _why_no_name(name: str) -> str | None:
    if name in FILES:
        return f"{name!r} is the name of a metadata document"
    if set(name) == {"."}:
        return f"{name!r} has nothing but dots"
    if hidden(name):
        return f"names such as {shown(name)} are those of locks, and of what is being written"
    if "\0" in name:
        return f"{shown(name)} has a null character"
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"{shown(name)} has half a surrogate pair, for which UTF-8 has no bytes"
    return None


def format_above(store: Store, path: str) -> int | None:
    """The version of Zarr of the nearest group that exists above a path, 3 if it has both; None if there is none."""
    _, formats = formats_above(store, path)
    return max(formats, default=None)


def formats_above(store: Store, path: str) -> tuple[str, set[int]]:
    """The path, and the versions of Zarr, of the nearest group above; it may lie around the store, as in a folder."""
    store, path = widest(store, path)
    found = ((each, set(_formats(store, each))) for each in reversed(above(path)))
    return next(((each, formats) for each, formats in found if formats), ("", set()))


def _formats(store: Store, path: str) -> Iterator[int]:
    for name, zarr_format in GROUP_DOCUMENTS.items():
        with suppress(MetadataError):  # of a document that is none
            document = files.read(store, path, name)
            if document is not None and document.get("node_type") != "array":
                yield zarr_format


def check_format(store: Store, path: str, group: str, formats: set[int], zarr_format: int) -> None:
    """ArgumentError if a new node is of none of the versions of Zarr of the nearest group above, which would hide it.

    `group`: the path of that group.
    """
    if zarr_format not in formats:
        (other,) = formats
        problem = f"the group above, {'/' + group!r}, is of Zarr v{other}, and its members are looked for as such"
        raise ArgumentError(
            f"no node of Zarr v{zarr_format} can be made at {path or '/'!r} of {store!r}: {problem}; "
            f"give zarr_format={other}, or none"
        )
