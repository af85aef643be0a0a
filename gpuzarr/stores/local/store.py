"""Store in a folder of files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from stat import S_ISREG
from typing import Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.checks import shown
from gpuzarr.errors import StoreError, StoreKindError, as_store_error
from gpuzarr.stores.local import gds, locks
from gpuzarr.stores.local import partial_files as files
from gpuzarr.stores.local.objects import MISSING_ERRORS, LocalObjects
from gpuzarr.stores.ranges import MISSING


@dataclass(frozen=True)
class LocalStore:
    """A folder of files as a store; keys are paths below it. Opening a path uses one with the defaults below.

    Keys that would leave the folder are refused; symbolic links are followed. A file is written beside its place and
    then renamed, so a process that is killed leaves the old file or the new one.

    Parameters
    ----------
    root
        The folder; it need not exist until something is written.
    coalesce_gap, coalesce_size
        Bytes: ranges of one file with a gap of at most `coalesce_gap` between them are read as one, as long as they
        begin within `coalesce_size`.
    fsync
        True: bytes are on the disk, not only in the memory of the operating system, before a file takes its place; so
        a power cut loses nothing that was written. Default: False.

    Examples
    --------
    >>> gpuzarr.save(gpuzarr.LocalStore("safe.zarr", fsync=True), np.arange(3))
    >>> gpuzarr.load("safe.zarr")
    array([0, 1, 2])
    """

    root: str
    coalesce_gap: int = 16 << 10
    coalesce_size: int = 16 << 20
    fsync: bool = False

    def __post_init__(self) -> None:
        root = os.fspath(self.root) if isinstance(self.root, os.PathLike) else self.root
        if not isinstance(root, str):
            raise StoreKindError(f"the folder of a store is a path (str or pathlib.Path), not {shown(root)}")
        object.__setattr__(self, "root", os.path.abspath(root))

    def __repr__(self) -> str:
        return f"LocalStore({self.root!r})"

    @property
    def has_cheap_lengths(self) -> bool:
        return True

    def get(self, key: str) -> bytes | None:
        with self.open([key]) as objects:
            (length,) = objects.lengths()
            if length == MISSING:
                return None
            data = bytearray(length)
            objects.reader([(0, 0, length, 0, length)])(0, memoryview(data))
            return bytes(data)

    def open(self, keys: Sequence[str], threads: int = 1) -> LocalObjects:
        return LocalObjects(self, keys, threads)

    def why_not_to_device(self) -> str | None:
        return gds.why_not(self.root)

    def names(self, prefix: str) -> list[str]:
        path = self.path(prefix)
        try:
            return sorted(name for name in os.listdir(path) if not files.hidden(name))
        except MISSING_ERRORS:
            return []
        except (OSError, ValueError) as error:
            raise as_store_error(error, "read", prefix, self) from error

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        waiting = [self.path(prefix)]
        while waiting:
            try:
                with os.scandir(waiting.pop()) as entries:
                    found = list(entries)
            except OSError:  # it was deleted meanwhile, or is no folder
                continue
            waiting += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
            for entry in found:
                key = entry.path[len(self.root) :].lstrip("/")
                if not files.hidden(entry.name) and not entry.is_dir() and (size := self.length(key)) != MISSING:
                    yield key, size

    def set(self, key: str, data: Any) -> None:
        with self._writing(key):
            files.write(self.path(key), data, self.fsync)

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        for i, key in enumerate(keys):
            self.set(key, encoded.on_host(i))

    def create(self, key: str) -> LocalSink:
        with self._writing(key):
            return LocalSink(self, key, files.PartialFile(self.path(key)))

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            with self._writing(key):
                files.remove([self.path(key)])

    def delete_prefix(self, prefix: str) -> None:
        with self._writing(prefix):
            files.remove_tree(self.path(prefix).rstrip("/"))

    def locked(self, keys: Sequence[str]) -> locks.Locked:
        return locks.Locked(list(map(self.path, keys)), self._writing(keys[0] if keys else ""))

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        """Context in which errors of the operating system become StoreError, naming the key."""
        try:
            yield
        except StoreError:
            raise
        except (OSError, ValueError) as error:
            raise as_store_error(error, "write", key, self) from error

    def length(self, key: str) -> int:
        """Bytes of an object, MISSING if there is none. StoreError for a folder."""
        path = self.path(key)
        try:
            status = os.stat(path)
        except MISSING_ERRORS:
            return MISSING
        except (OSError, ValueError) as error:
            raise as_store_error(error, "read", key, self) from error
        if not S_ISREG(status.st_mode):
            raise StoreError(f"{key!r} of {self!r} is not a file")
        return status.st_size

    def path(self, key: str) -> str:
        """Path of the file for a key. StoreError for a key that leads out of the folder."""
        if not isinstance(key, str):
            raise StoreError(f"a key of {self!r} is text, not {shown(key)}")
        if key[:1] == "/" or (".." in key and ".." in key.split("/")):
            raise StoreError(f"the key {key!r} leads out of {self!r}")
        return f"{self.root}/{key}"


@dataclass(frozen=True)
class LocalSink:
    """A file of a LocalStore that is written in pieces. See `Sink`."""

    store: LocalStore
    key: str
    file: files.PartialFile

    def write(self, data: Any, offset: int) -> None:
        with self.store._writing(self.key):
            self.file.write(data, offset)

    def commit(self) -> None:
        with self.store._writing(self.key):
            self.file.commit(self.store.fsync)

    def abort(self) -> None:
        self.file.abort()
