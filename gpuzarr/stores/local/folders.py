"""Folders below the root of a store, reached without following symbolic links: so nothing outside of it is changed.

What is deleted is reached from the root folder by folder, each opened by its name in the one before (`dir_fd`), so that
nobody can put a link in the way meanwhile. At most three folders are open at once, however deep they lie. The root
itself may be a link, or lie behind some.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import EEXIST, ELOOP, ENOTEMPTY, ESTALE
from functools import partial
from stat import S_ISLNK
from typing import Any, NamedTuple, TypeVar

from gpuzarr.interrupts import BOTTOM, ensured, release_all
from gpuzarr.stores.hidden import LOCK_SUFFIX
from gpuzarr.stores.local.permits import patiently

T = TypeVar("T")
MISSING_ERRORS = (FileNotFoundError, NotADirectoryError)  # "a/b" is missing too where "a" is a file
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
MAX_LOOKED_UP_PARTS = 16  # of a path, each looked up from the root; folders that lie deeper are opened one in the other
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4095
CHUNK_KEY_BYTES = 200  # that must be left for keys of chunks, and for the names of what is being written
Parts = tuple[str, ...]  # names of folders one in the other, and of what lies in the last


def why_no_path(root: str, key: str) -> str | None:
    """Say why no file can be made at a key below the root; None if one can."""
    try:
        path = os.fsencode(f"{root}/{key}")
    except UnicodeEncodeError as error:
        return f"the file system has no bytes for {error.object[error.start : error.end]!r}"
    if b"\0" in path:
        return "the name of a file has no null character"
    if long := [part for part in path.split(b"/") if len(part) > MAX_NAME_BYTES]:
        return f"a name has {len(long[0])} bytes, and the file system takes {MAX_NAME_BYTES}"
    if len(path) > MAX_PATH_BYTES - CHUNK_KEY_BYTES:
        return f"it has {len(path)} bytes with the path of the folder, and the file system takes {MAX_PATH_BYTES}"
    return None


class LinkFound(OSError):
    """A symbolic link lies on the way to what shall be changed. `parts`: the names from the root up to the link."""

    def __init__(self, root: str, parts: Parts) -> None:
        text = "is a symbolic link, and nothing behind one is changed: open what it leads to by its own path"
        super().__init__(ELOOP, f"{'/'.join((root, *parts))!r} {text}")
        self.parts = parts


def check_unlinked(root: str, parts: Sequence[str]) -> None:
    """LinkFound if one of the folders `parts`, each in the one before, is a link. They may be missing."""
    if len(parts) > MAX_LOOKED_UP_PARTS:
        with suppress(*MISSING_ERRORS):
            in_folder(root, tuple(parts), lambda folder: None)
        return
    path = root
    for i, part in enumerate(parts):
        path = f"{path}/{part}"
        try:
            mode = os.lstat(path).st_mode
        except MISSING_ERRORS:
            return
        if S_ISLNK(mode):
            raise LinkFound(root, tuple(parts[: i + 1]))


def in_folder(root: str, parts: Parts, work: Callable[[int], T]) -> T:
    """Return work(descriptor of a folder below the root). FileNotFoundError, NotADirectoryError, LinkFound."""
    notes: list[Any] = [BOTTOM]  # the open folder

    def found() -> T:
        _open(notes, root)
        for i, part in enumerate(parts):
            try:
                _open(notes, part, notes[-1])
            except OSError as error:
                if S_ISLNK(os.stat(part, dir_fd=notes[-1], follow_symlinks=False).st_mode):
                    raise LinkFound(root, parts[: i + 1]) from error
                raise
            _close_outer(notes)
        return work(notes[-1])

    return ensured(found, lambda: release_all(notes, os.close))


def _open(notes: list[Any], name: str, around: int | None = None) -> None:
    """Open a folder, in the open one `around`, and note it."""
    flags, opening = FOLDER_FLAGS | (0 if around is None else os.O_NOFOLLOW), partial(os.open, dir_fd=around)
    patiently(lambda: notes.extend(map(opening, (name,), (flags,))))


def _close_outer(notes: list[Any]) -> None:
    """Close the first folder that is noted, by one call of C."""
    deque(map(os.close, map(notes.pop, (1,))), 0)


def remove_tree(root: str, parts: Parts, keeps_locks: bool = True) -> None:
    """Remove what lies there: a file, a link, a folder with everything in it; without `parts` all that is in the root.

    Links are removed, and not followed. Locks stay, and the folders that they are in, because they are in use; unless
    `keeps_locks` is False, for what was moved away from the names by which its locks are taken.
    """
    try:
        in_folder(root, parts, partial(_clear, keeps_locks))
    except FileNotFoundError:
        return
    except (NotADirectoryError, LinkFound) as error:
        if isinstance(error, LinkFound) and error.parts != parts:
            raise
    if parts:
        with suppress(*MISSING_ERRORS):
            in_folder(root, parts[:-1], partial(_remove, parts[-1]))


def make(path: str) -> None:
    """Make a folder and those around it, however many; `os.makedirs` calls itself for each. It may be there."""
    missing = []
    while not _made(path):
        missing.append(path)
        path = path.rpartition("/")[0] or "/"
    for each in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(each)


def _made(path: str) -> bool:
    """Make a folder, or find something there. Return False if the folder around it is missing."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    return True


def move(root: str, source: Parts, target: Parts) -> None:
    """Rename a file, a link, or a folder with everything in it. Folders around the target are made.

    An OSError if there is a full folder, or an error of the kind, and EXDEV where names of folders cannot be changed.
    """
    check_unlinked(root, target[:-1])
    make("/".join((root, *target[:-1])))

    def into(folder: int) -> None:
        rename = partial(os.rename, source[-1], target[-1], dst_dir_fd=folder)
        in_folder(root, source[:-1], lambda of: rename(src_dir_fd=of))

    in_folder(root, target[:-1], into)


def unlink(name: str, folder: int) -> None:
    """Remove a file or a link in an open folder. A missing one is no error."""
    with suppress(*MISSING_ERRORS):
        os.unlink(name, dir_fd=folder)


def _clear(keeps_locks: bool, folder: int) -> None:
    """Remove what is in an open folder, however deep. ESTALE for a folder that somebody moves meanwhile."""
    notes: list[Any] = [BOTTOM]  # the open folder

    def clear() -> None:
        patiently(lambda: notes.extend(map(os.dup, (folder,))))
        ways = [_Way("", _identity(folder), _without_files(folder, keeps_locks))]
        while len(ways) > 1 or ways[0].folders:
            if ways[-1].folders:
                _down(notes, ways, keeps_locks)
            else:
                _up(notes, ways)

    ensured(clear, lambda: release_all(notes, os.close))


class _Way(NamedTuple):
    """A folder on the way down: its name, which one it is, and the folders in it that are still to be removed."""

    name: str
    identity: tuple[int, int]
    folders: list[str]


def _down(notes: list[Any], ways: list[_Way], keeps_locks: bool) -> None:
    """Go to the next folder in the one that is open, and remove the files in it."""
    name = ways[-1].folders.pop()
    try:
        _open(notes, name, notes[-1])
    except OSError:  # it is no folder any more, or one that nobody may list
        _remove(name, notes[-1])
        return
    _close_outer(notes)
    ways.append(_Way(name, _identity(notes[-1]), _without_files(notes[-1], keeps_locks)))


def _up(notes: list[Any], ways: list[_Way]) -> None:
    """Go back to the folder around the one that is open, and remove that."""
    name = ways.pop().name
    _open(notes, "..", notes[-1])
    if _identity(notes[-1]) != ways[-1].identity:
        raise OSError(ESTALE, f"{name!r} was moved while it was deleted")
    _close_outer(notes)
    _remove(name, notes[-1])


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _without_files(folder: int, keeps_locks: bool) -> list[str]:
    """Remove what is in an open folder, but for folders, and locks that are kept. Return the names of these folders."""
    with patiently(partial(os.scandir, folder)) as entries:
        found = list(entries)
    folders = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
    for entry in found:
        is_lock = keeps_locks and entry.name[:1] == "." and entry.name.endswith(LOCK_SUFFIX)
        if not entry.is_dir(follow_symlinks=False) and not (is_lock and entry.is_file(follow_symlinks=False)):
            unlink(entry.name, folder)
    return folders


def _remove(name: str, folder: int) -> None:
    """Remove a file, a link, or a folder unless something is in it, in an open folder."""
    try:
        os.rmdir(name, dir_fd=folder)
    except NotADirectoryError:
        unlink(name, folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (EEXIST, ENOTEMPTY):
            raise
