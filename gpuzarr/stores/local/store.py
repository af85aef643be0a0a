"""Store in a folder of files."""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import ENAMETOOLONG, EXDEV
from functools import partial
from itertools import groupby
from pathlib import Path
from stat import S_ISREG
from typing import Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.checks import shown
from gpuzarr.errors import LinkedError, ReadOnlyError, StoreError, StoreKindError, as_store_error
from gpuzarr.interrupts import ensured, within
from gpuzarr.stores import handles
from gpuzarr.stores.documents import document
from gpuzarr.stores.guards import Guard
from gpuzarr.stores.hidden import hidden, is_hidden, rebased
from gpuzarr.stores.keys import check, check_prefix
from gpuzarr.stores.local import folders, gds, locks, new_files, permissions
from gpuzarr.stores.local import partial_files as files
from gpuzarr.stores.local.folders import MISSING_ERRORS
from gpuzarr.stores.local.objects import LocalObjects
from gpuzarr.stores.local.open_files import Version, version_of
from gpuzarr.stores.local.overwriter import Overwriter
from gpuzarr.stores.local.permits import patiently
from gpuzarr.stores.ranges import MISSING


@dataclass(frozen=True)
class LocalStore:
    """A folder of files as a store; keys are paths below it. Opening a path uses one with the defaults below.

    Keys that would leave the folder are refused. Symbolic links below it are followed to read, and never to change
    anything: a link that is deleted or replaced goes itself, and what would be written or deleted behind one is a
    StoreError. So an array that is linked into a store is written by its own path. (The folder itself may be a link.)

    A file is written beside its place and then renamed, so a process that is killed leaves the old file or the new one.

    Parameters
    ----------
    root
        The folder, as text or as a `pathlib.Path`; it need not exist until something is written.
    coalesce_gap, coalesce_size
        Bytes: ranges of one file with a gap of at most `coalesce_gap` between them are read as one, as long as they
        begin within `coalesce_size`.
    fsync
        True: bytes are on the disk, not only in the memory of the operating system, before a file takes its place; so
        a power cut loses nothing that was written. Default: False.
    read_only
        True: nothing is written, and nodes are opened with mode "r" only. Default: False.
    follow_symlinks
        False: a symbolic link that leads out of the folder is not followed to read, either: LinkedError. Links from
        place to place within it are. For folders that were made by somebody else. Default: True.

    Examples
    --------
    >>> gpuzarr.save(gpuzarr.LocalStore("safe.zarr", fsync=True), np.arange(3))
    >>> gpuzarr.load("safe.zarr")
    array([0, 1, 2])
    """

    root: Any  # a str or an os.PathLike[str]; once the store is made, a pathlib.Path
    coalesce_gap: int = 16 << 10
    coalesce_size: int = 16 << 20
    fsync: bool = False
    read_only: bool = False
    follow_symlinks: bool = True
    folder: str = field(init=False, repr=False, compare=False)  # `root` as text

    def __post_init__(self) -> None:
        root = os.fspath(self.root) if isinstance(self.root, os.PathLike) else self.root
        if not isinstance(root, str):
            raise StoreKindError(f"the folder of a store is a path (str or pathlib.Path), not {shown(root)}")
        object.__setattr__(self, "folder", os.path.abspath(root))
        object.__setattr__(self, "root", Path(self.folder))

    def __repr__(self) -> str:
        return f"LocalStore({self.folder!r})"

    def __fspath__(self) -> str:
        return self.folder

    close, __enter__, __exit__, with_read_only = handles.close, handles.enter, handles.leave, handles.with_read_only

    @property
    def has_cheap_lengths(self) -> bool:
        return True

    @property
    def guard(self) -> Guard:
        return "processes"

    def get(self, key: str) -> bytes | None:
        check(self, [key])
        try:
            return within(self.open([key]), partial(document, self, key))
        except StoreError as error:
            if isinstance(error.__cause__, ValueError) or error.errno == ENAMETOOLONG or os.path.isdir(self.path(key)):
                return None  # no file can be there, or none is
            raise

    def open(self, keys: Sequence[str], threads: int = 1) -> LocalObjects:
        return LocalObjects(self, keys, threads)

    def why_not_to_device(self) -> str | None:
        return gds.why_not(self.folder) if self.follow_symlinks else "follow_symlinks is False"

    def why_read_only(self, keys: Sequence[str]) -> str | None:
        if self.read_only:
            return "it was given with read_only=True"
        return permissions.why_not_writable([self.path(key) for key in keys])

    def why_no_key(self, key: str) -> str | None:
        return folders.why_no_path(self.folder, key)

    def names(self, prefix: str) -> list[str]:
        path = self.path(prefix)
        self.check_inside(path, prefix)
        try:
            return sorted(name for name in patiently(partial(os.listdir, path)) if not hidden(name))
        except MISSING_ERRORS:
            return []
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) or error.errno == ENAMETOOLONG:  # there can be no such folder
                return []
            raise as_store_error(error, "read", prefix, self) from error

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        found = ((key, self.length(key)) for key in self.keys(prefix))
        return (each for each in found if each[1] != MISSING)  # it was not deleted meanwhile

    def keys(self, prefix: str) -> Iterator[str]:
        waiting = [prefix]
        while waiting:
            folder = waiting.pop()
            for name, is_folder in self._listed(folder):
                key = f"{folder}/{name}" if folder else name
                if is_folder:
                    waiting.append(key)
                elif not hidden(name):
                    yield key

    def _listed(self, prefix: str) -> list[tuple[str, bool]]:
        """Names directly below a prefix, without links to folders or to nothing, and True for each folder."""

        def listed() -> list[tuple[str, bool]]:
            with os.scandir(self.path(prefix)) as entries:
                every = [entry for entry in entries if not entry.is_symlink() or entry.is_file()]
                found = [(entry.name, entry.is_dir(), entry.is_symlink()) for entry in every]
            return [
                (name, is_folder) for name, is_folder, is_link in found if not (is_folder and (is_link or hidden(name)))
            ]

        try:
            return patiently(listed)
        except MISSING_ERRORS:
            return []
        except (OSError, ValueError) as error:
            raise as_store_error(error, "read", prefix, self) from error

    def set(self, key: str, data: Any) -> None:
        with self.writing(key):
            files.write(self.own(key), data, self.fsync)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        check(self, keys)
        paths = list[str]()
        for _, some in groupby(keys, key=lambda key: key.rpartition("/")[0]):
            first, *others = some
            with self.writing(first):
                paths.append(self.own(first))
            paths += map(self.path, others)

        def one(i: int) -> None:
            with self.writing(keys[i]):
                files.write(paths[i], encoded.on_host(i), self.fsync)

        new_files.write(paths, encoded, one, self.fsync, looks_for_locks=False)

    def overwriter(self) -> Overwriter:
        return Overwriter(self)

    def create(self, key: str) -> LocalSink:
        with self.writing(key):
            file = files.PartialFile(self.own(key), is_lasting=True)
        sink = LocalSink(self, key, file)
        weakref.finalize(sink, _dropped, file)
        return sink

    def delete(self, keys: Sequence[str]) -> None:
        check(self, keys)
        for parts, some in groupby(filter(self._is_there, keys), key=lambda key: _parts(key.rpartition("/")[0])):
            here = list(some)
            with self.writing(here[0]), suppress(*MISSING_ERRORS):
                folders.in_folder(self.folder, parts, partial(self._unlink, here))

    def _unlink(self, keys: Sequence[str], folder: int) -> None:
        """Delete objects that lie directly in an open folder."""
        for key in keys:
            with self.writing(key):
                folders.unlink(key.rpartition("/")[2], folder)

    def delete_prefix(self, prefix: str) -> None:
        check_prefix(self, prefix)
        with self.writing(prefix), suppress(*MISSING_ERRORS):
            if prefix:
                self.own(prefix)
            folders.remove_tree(self.folder, _parts(prefix), keeps_locks=not is_hidden(prefix))

    def holds(self, prefix: str) -> bool:
        return self._is_there(prefix) if prefix else bool(self.names(""))

    def move(self, source: str, target: str, order: Callable[[Iterable[str]], list[str]]) -> None:
        """See `Moves`. Folders are renamed; the root stays, and what is in it is renamed name by name."""
        with self.writing(target or source):
            pairs = [(source, target)]
            if not source or not target:
                pairs = [(rebased(n, "", source), rebased(n, "", target)) for n in order(self.names(source))]
            for old, new in pairs:
                self._move(old, new)
            for folder in {key.rpartition("/")[0] for pair in pairs for key in pair} if self.fsync else ():
                files.sync_folder(self.path(folder))

    def _move(self, source: str, target: str) -> None:
        """Rename a file, or a folder; or what is in it, as in layers of containers folders cannot be renamed."""
        try:
            folders.move(self.folder, _parts(source), _parts(target))
        except OSError as error:
            if error.errno != EXDEV:
                raise
            for name in os.listdir(self.path(source)):
                self._move(f"{source}/{name}", f"{target}/{name}")
            folders.remove_tree(self.folder, _parts(source), keeps_locks=False)

    def recover(self, path: str) -> None:
        with self.writing(path):
            files.prepare(self.own(path).rpartition("/")[0] if path else self.folder, makes=False)

    def locked(self, keys: Sequence[str]) -> locks.Locked:
        paths = []
        for key in keys:
            with self.writing(key):
                paths.append(self.own(key))
        return locks.Locked(paths, self.writing(keys[0] if keys else ""))

    @contextmanager
    def writing(self, key: str) -> Iterator[None]:
        """Context in which errors of the operating system become StoreError, naming the key.

        ReadOnlyError if the store was given as read-only.
        """
        if self.read_only:
            raise ReadOnlyError(f"cannot write {key!r} of {self!r}: it was given with read_only=True")
        try:
            yield
        except StoreError:
            raise
        except folders.LinkFound as error:
            raise LinkedError(f"cannot write {key!r} of {self!r}: {error.strerror}") from error
        except (OSError, ValueError) as error:
            raise as_store_error(error, "write", key, self) from error

    def own(self, key: str) -> str:
        """Path of a file that is to be changed. StoreError if it has no name; LinkFound if it lies behind a link."""
        check(self, [key])
        folders.check_unlinked(self.folder, key.split("/")[:-1])
        return f"{self.folder}/{key}"

    def _is_there(self, key: str) -> bool:
        """Return True if there is something at a key, also a link that leads nowhere."""
        path = self.path(key)
        with self.writing(key):
            try:
                os.lstat(path)
            except MISSING_ERRORS:
                return False
            except OSError:  # such as a loop of links on the way: opening its folder tells
                return True
            return True

    def check_inside(self, path: str | int, key: str) -> None:
        """Raise LinkedError for a path, or an open file, that lies out of the folder, if that is not to be read."""
        if self.follow_symlinks:
            return
        root = os.path.realpath(self.folder)
        real = os.path.realpath(f"/proc/self/fd/{path}" if isinstance(path, int) else path)
        if not f"{real}/".startswith(f"{root}/".replace("//", "/")):
            why = f"a symbolic link leads out of the folder, to {real!r}, and follow_symlinks is False"
            raise LinkedError(f"cannot read {key!r} of {self!r}: {why}")

    def length(self, key: str) -> int:
        """Bytes of an object, MISSING if there is none. StoreError for a folder."""
        path = self.path(key)
        self.check_inside(path, key)
        try:
            status = os.stat(path)
        except MISSING_ERRORS:
            return MISSING
        except (OSError, ValueError) as error:
            raise as_store_error(error, "read", key, self) from error
        if not S_ISREG(status.st_mode):
            raise StoreError(f"{key!r} of {self!r} is not a file")
        return status.st_size

    def file_paths(self, keys: Sequence[str]) -> list[str] | None:
        if not self.follow_symlinks:
            return None
        check(self, keys)
        return [f"{self.folder}/{key}" for key in keys]

    def versions(self, keys: Sequence[str]) -> list[Version | str]:
        check(self, keys)
        return [version_of(f"{self.folder}/{key}") for key in keys]

    def path(self, key: str) -> str:
        """Path of the file for a key, or of a folder: "" for that of the store. StoreError for what is no key."""
        check_prefix(self, key)
        return f"{self.folder}/{key}"


def _parts(key: str) -> folders.Parts:
    return tuple(key.split("/")) if key else ()


def _dropped(file: files.PartialFile) -> None:
    """Leave nothing of a sink that is no longer used, or that the end of the process finds."""
    if file.is_pending:
        file.abort()
        warnings.warn(f"{file.path!r} was neither committed nor aborted", ResourceWarning, stacklevel=2)


@dataclass(frozen=True)
class LocalSink:
    """A file of a LocalStore that is written in pieces. See `Sink`."""

    store: LocalStore
    key: str
    file: files.PartialFile
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, data: Any, offset: int) -> None:
        with self.store.writing(self.key):
            with self.lock:
                self.file.open()
            self.file.write(data, offset)

    def commit(self) -> None:
        with self.store.writing(self.key):
            ensured(lambda: self.file.commit(self.store.fsync), self.file.abort)

    def abort(self) -> None:
        self.file.abort()
