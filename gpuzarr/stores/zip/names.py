"""Names of objects below each folder, of a list of keys that is looked at once."""

from __future__ import annotations

from collections.abc import Iterable

Folders = dict[str, dict[str, None]]


def folders_of(keys: Iterable[str]) -> Folders:
    """By folder, the names of the objects and folders directly in it."""
    found: Folders = {}
    for key in keys:
        add(found, key)
    return found


def add(folders: Folders, key: str) -> None:
    """Add a key: its name, and those of the folders around it."""
    folder, _, name = key.rpartition("/")
    while name not in (names := folders.setdefault(folder, {})):
        names[name] = None
        if not folder:
            break
        folder, _, name = folder.rpartition("/")
