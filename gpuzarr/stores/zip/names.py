"""Names of objects below each folder, of a list of keys that is looked at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Folders = dict[str, Any]  # by name, what is in a folder: folders as such dicts, objects as None


def folders_of(keys: Iterable[str]) -> Folders:
    """The folders and objects that keys name. It takes no more memory than the keys, however deep they lie."""
    found: Folders = {}
    last, names = "", found
    for key in keys:
        folder, _, name = key.rpartition("/")
        if folder != last:
            last, names = folder, _made(found, folder)
        names.setdefault(name)
    return found


def add(folders: Folders, key: str) -> None:
    """Add a key: its name, and those of the folders around it."""
    folder, _, name = key.rpartition("/")
    _made(folders, folder).setdefault(name)


def names_in(folders: Folders, prefix: str) -> list[str]:
    """The names of the objects and folders directly below a prefix."""
    found: Folders | None = folders
    for name in prefix.split("/") if prefix else ():
        found = None if found is None else found.get(name)
    return list(found or ())


def _made(folders: Folders, path: str) -> Folders:
    """The folder at a path, which is made if there is none; at the path there may be an object, too."""
    for name in path.split("/") if path else ():
        if (inner := folders.get(name)) is None:
            inner = folders[name] = {}
        folders = inner
    return folders
