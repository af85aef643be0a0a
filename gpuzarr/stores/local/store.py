"""A folder of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter
from stat import S_ISREG
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import StoreError
from gpuzarr.stores.coalesce import segments, used
from gpuzarr.stores.contract import MISSING, Ranges
from gpuzarr.stores.local import locks
from gpuzarr.stores.local import partial_files as files
from gpuzarr.stores.local.objects import FLAGS, NO_FILE, Opened, Permits, Version, version_of

OPEN_FILES = 256  # that all reads together may hold open at once; beyond, each read holds one
LEAST = 4  # files or ranges that are worth a thread
FOLDER = 2**31 - 1  # some file systems seek to here, or farther, for the end of a folder
Files = list[int] | Mapping[int, int]  # number of the object -> open file
Row = tuple[int, int, int, int]


PERMITS = Permits(OPEN_FILES)


@dataclass(frozen=True)
class LocalStore:
    """The folder `root`; keys are paths below it.

    Ranges of one file with at most `coalesce_gap` bytes between them are read as one, so long as they begin within
    `coalesce_size` bytes. Keys that would leave the folder are refused; symbolic links are followed.
    `fsync`: what is written is on the disk, not only with the operating system, before it takes its place.
    """

    root: str
    coalesce_gap: int = 16 << 10
    coalesce_size: int = 16 << 20
    fsync: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", os.path.abspath(os.fspath(self.root)))

    def __repr__(self) -> str:
        return f"LocalStore({self.root!r})"

    def get(self, key: str) -> bytes | None:
        encoded = self.read(
            Ranges.whole([key]), lambda sizes: EncodedBatch(np.empty(sizes[0], np.uint8), np.zeros(1, int), sizes)
        )
        return None if encoded.sizes[0] == MISSING else encoded.data.tobytes()

    def version(self, key: str) -> Version | str:
        """Which file it is, how long, and when it was written."""
        try:
            return version_of(os.stat(self.path(key)))
        except (OSError, ValueError):
            return "not there"

    def size(self, key: str) -> int:
        return self.length(key, self.path(key))

    def names(self, prefix: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.path(prefix)) if not files.hidden(name))
        except NO_FILE:
            return []
        except (OSError, ValueError) as error:
            raise self._error(prefix, error) from error

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        for folder, _, names in os.walk(self.path(prefix)):
            below = os.path.relpath(folder, self.root)
            for key in [f"{below}/{name}".removeprefix("./") for name in names if not files.hidden(name)]:
                if (size := self.size(key)) != MISSING:  # nobody has deleted it meanwhile
                    yield key, size

    def read(self, ranges: Ranges, place: Callable[[np.ndarray], EncodedBatch], threads: int = 1) -> EncodedBatch:
        keys, objects = used(ranges)
        paths = list(map(self.path, keys))
        at_once = PERMITS.take(len(keys))
        files = [MISSING] * len(keys)
        lengths = [MISSING] * len(keys)

        def look(some: range) -> None:
            for i in some:
                lengths[i] = self._open(i, keys[i], paths[i], files) if at_once else self.length(keys[i], paths[i])

        try:
            spread(look, len(keys), threads)
            plan = segments(self, ranges, keys, objects, lengths, self.coalesce_gap, self.coalesce_size)
            encoded = place(plan.sizes)
            into = memoryview(encoded.data if encoded.host is None else encoded.host)
            columns = plan.objects, encoded.starts, plan.offsets, plan.sizes
            rows = list(zip(*[column.tolist() for column in columns], strict=True))
            if at_once:
                spread(lambda some: self._fill(files, keys, rows[some.start : some.stop], into), len(rows), threads)
            else:
                rows.sort()
                spread(
                    lambda some: self._fill_one_by_one(keys, paths, lengths, rows[some.start : some.stop], into),
                    len(rows),
                    threads,
                )
        finally:
            _close(files)
            PERMITS.give(len(keys) if at_once else 0)
        return plan.ranges(encoded)

    def opened(self, keys: Sequence[str]) -> Opened:
        """The files of some keys, open as long as `with` lasts."""
        return Opened([self.path(key) for key in keys], PERMITS)

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
        """What the operating system refuses inside is a StoreError that names the key."""
        try:
            yield
        except StoreError:
            raise
        except (OSError, ValueError) as error:
            raise self._error(key, error, "write") from error

    def _fill(self, files: Files, keys: Sequence[str], rows: Iterable[Row], into: memoryview) -> None:
        """Read (object, start in `into`, offset in the file, bytes) for each row."""
        number = 0
        try:
            for number, start, offset, size in rows:
                if size:
                    done = os.preadv(files[number], (into[start : start + size],), offset)
                    if done != size:
                        self._rest(files[number], keys[number], into[start : start + size], offset, done)
        except StoreError:
            raise
        except OSError as error:
            raise self._error(keys[number], error) from error

    def _rest(self, file: int, key: str, into: memoryview, offset: int, done: int) -> None:
        """What a short read left; one system call reads less than 2 GiB."""
        while done < len(into):
            more = os.preadv(file, (into[done:],), offset + done)
            if not more:
                raise StoreError(
                    f"{key!r} of {self!r} became shorter while it was read: it ends at byte {offset + done}"
                )
            done += more

    def _fill_one_by_one(
        self, keys: Sequence[str], paths: list[str], lengths: list[int], rows: Iterable[Row], into: memoryview
    ) -> None:
        """`_fill` for more files than may be open."""
        for number, some in groupby(rows, key=itemgetter(0)):
            files = [MISSING]
            try:
                if self._open(0, keys[number], paths[number], files) != lengths[number]:
                    raise StoreError(f"{keys[number]!r} of {self!r} was changed while it was read")
                self._fill({number: files[0]}, keys, some, into)
            finally:
                _close(files)

    def _open(self, i: int, key: str, path: str, files: list[int]) -> int:
        """Put the open file to `files[i]` (MISSING stays if there is none), and give its length."""
        try:
            files[i] = file = os.open(path, FLAGS)
        except NO_FILE:
            return MISSING
        except (OSError, ValueError) as error:
            raise self._error(key, error) from error
        try:
            length = os.lseek(file, 0, os.SEEK_END)  # half a microsecond less than fstat
            if length < FOLDER or S_ISREG(os.fstat(file).st_mode):
                return length
        except OSError as error:
            raise self._error(key, error) from error
        raise StoreError(f"{key!r} of {self!r} is no file")

    def length(self, key: str, path: str) -> int:
        try:
            status = os.stat(path)
        except NO_FILE:
            return MISSING
        except (OSError, ValueError) as error:
            raise self._error(key, error) from error
        if not S_ISREG(status.st_mode):
            raise StoreError(f"{key!r} of {self!r} is no file")
        return status.st_size

    def path(self, key: str) -> str:
        if key[:1] == "/" or (".." in key and ".." in key.split("/")):
            raise StoreError(f"the key {key!r} leads out of {self!r}")
        return f"{self.root}/{key}"

    def _error(self, key: str, error: Exception, what: str = "read") -> StoreError:
        problem = StoreError(f"cannot {what} {key!r} of {self!r}: {getattr(error, 'strerror', None) or error}")
        problem.errno = getattr(error, "errno", None)
        return problem


@dataclass(frozen=True)
class LocalSink:
    """A file of a LocalStore that is being written."""

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


def spread(work: Callable[[range], None], n: int, threads: int) -> None:
    """work(part) for parts of range(n), at most `threads` at once."""
    threads = min(threads, n // LEAST)
    if threads < 2:
        work(range(n))
        return
    each = -(-n // threads)
    futures = [_pool().submit(work, range(i, min(i + each, n))) for i in range(0, n, each)]
    try:
        for error in [future.exception() for future in futures]:
            if error is not None:
                raise error
    finally:
        for future in futures:
            future.exception()


@cache
def _pool() -> ThreadPoolExecutor:
    os.register_at_fork(after_in_child=_pool.cache_clear)
    return ThreadPoolExecutor(64, "gpuzarr read")


def _close(files: list[int]) -> None:
    for file in files:
        if file != MISSING:
            os.close(file)
