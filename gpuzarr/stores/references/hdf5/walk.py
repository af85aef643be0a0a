"""All groups and datasets of a file of HDF5, by their paths. Links are followed here, never by HDF5 itself, which would
open whatever file a link names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gpuzarr.errors import MetadataError
from gpuzarr.stores.keys import joined

MAX_NODES = 1 << 18  # of a file: groups that contain one another in many ways have many paths
MAX_LINKS = 16  # that lead to one object
MAX_DEPTH = 200
OpenFile = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Forbidden:
    """What a link names in a file that may not be read."""

    reason: str
    id: object = None


def walk(file: Any, other: OpenFile) -> Iterator[tuple[str, Any]]:
    """Paths ("" for the root) and objects of a file, groups before what they contain.

    `other(file, name)` opens the file that a link names in another one: None where it is not there, Forbidden where it
    may not be read. What links lead nowhere to is left out, and so are groups inside of themselves.
    """
    count = 0
    waiting: list[tuple[str, Any, tuple[Any, ...]]] = [("", file["/"], ())]
    while waiting:
        path, thing, around = waiting.pop()
        count += 1
        if count > MAX_NODES:
            raise MetadataError(f"{file.filename!r} has more than {MAX_NODES} groups and datasets")
        yield path, thing
        if is_group(thing) and thing.id not in around and len(around) < MAX_DEPTH:
            members = ((name, member(thing, name, other)) for name in thing)
            waiting += [
                (joined(path, name), found, (*around, thing.id))
                for name, found in members
                if found is not None and found.id not in (*around, thing.id)
            ]


def is_group(thing: Any) -> bool:
    import h5py

    return isinstance(thing, h5py.Group)


def is_dataset(thing: Any) -> bool:
    import h5py

    return isinstance(thing, h5py.Dataset)


def member(group: Any, name: str, other: OpenFile, links: int = 0) -> Any:
    """The member of a group, by whatever link; None where there is none."""
    import h5py

    link = group.get(name, getlink=True)
    if isinstance(link, h5py.HardLink):
        found = group[name]
        return found if is_group(found) or is_dataset(found) else None
    if links == MAX_LINKS:
        return None
    if isinstance(link, h5py.SoftLink):
        return _at(group, link.path, other, links + 1)
    if isinstance(link, h5py.ExternalLink) and (file := other(group.file, link.filename)) is not None:
        return file if isinstance(file, Forbidden) else _at(file["/"], link.path, other, links + 1)
    return None


def _at(group: Any, path: str, other: OpenFile, links: int) -> Any:
    """What lies at a path from a group, one link after another."""
    found: Any = group.file["/"] if path.startswith("/") else group
    for name in path.split("/"):
        if name in ("", "."):
            continue
        if not is_group(found):
            return found if isinstance(found, Forbidden) else None
        found = member(found, name, other, links)
    return found
