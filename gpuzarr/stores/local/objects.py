"""Files of a folder, opened to be read together.

Files stay open for the whole `with` block, so everything read of one is of one version, even if it is replaced
meanwhile. If there are too many, each is opened only for its own reads and compared with its version before. A small
read costs little more than its system calls.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, repeat
from operator import itemgetter
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import StoreError, as_store_error
from gpuzarr.interrupts import BOTTOM, release_all, within
from gpuzarr.per_process import PerProcess
from gpuzarr.stores.local import gds
from gpuzarr.stores.ranges import MISSING, Ranges, Read, Requests, beyond, requests
from gpuzarr.stores.spread import spread

if TYPE_CHECKING:
    from gpuzarr.stores.local.store import LocalStore

OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a named pipe must not block
MISSING_ERRORS = (FileNotFoundError, NotADirectoryError)  # "a/b" is missing too where "a" is a file
MAX_SEEK_BYTES = 2**31 - 1  # some file systems say that a folder ends here, or farther
MAX_OPEN_FILES = 256  # held by all reads of the process together
NO_VERSION = "missing"  # version of a missing file
Version = tuple[int, int, int]
Row = tuple[int, int, int, int]  # a read: number of the object, start in the target, offset in the file, bytes


class Permits:
    """Permits to hold files open. Taking them never waits."""

    def __init__(self, number: int = MAX_OPEN_FILES) -> None:
        self.free, self._held, self._lock = number, dict[Any, int](), threading.Lock()

    def take(self, holder: Any, n: int) -> bool:
        """Give `n` permits to a holder, which has none, if so many are free. Return True if they were."""
        with self._lock:
            if enough := n <= self.free:  # nothing is called from here on, so no interrupt comes
                self.free -= n
                self._held[holder] = n
        return enough

    def give(self, holder: Any) -> None:
        """Give all permits of a holder back. It may have none."""
        with self._lock:
            if holder in self._held:  # as above
                self.free += self._held[holder]
                del self._held[holder]


PERMITS = PerProcess(Permits)


class LocalObjects:
    """Files of some keys of a LocalStore. See `Objects` and `ReadsToDevice`."""

    __slots__ = (
        "_always",
        "_files",
        "_is_outdated",
        "_lengths",
        "_opened",
        "_paths",
        "_store",
        "_threads",
        "_together",
        "_versions",
        "keys",
    )

    def __init__(self, store: LocalStore, keys: Sequence[str], threads: int = 1, always: bool = False) -> None:
        """`always`: hold the files open without permits."""
        self.keys, self._store, self._threads, self._always = keys, store, threads, always
        self._paths = [store.path(key) for key in keys]
        self._files: list[int] = []
        self._lengths: list[int] = []
        self._versions: list[Version | str] | None = None
        self._is_outdated = False
        self._opened: list[list[int]] = []  # what is to be closed, by the threads that have opened it
        self._together = always  # all files are held open

    def __enter__(self) -> LocalObjects:
        count = len(self._paths)
        self._files, self._lengths = [MISSING] * count, [MISSING] * count
        try:
            if not self._always and PERMITS.value.take(self, count):
                self._together = True
            self._spread(self._open if self._together else self._look, count)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._opened:
            release_all(opened, os.close)
        PERMITS.value.give(self)

    def lengths(self) -> list[int]:
        return self._lengths

    def versions(self, known: Sequence[Any] = ()) -> list[Version | str]:
        if self._versions is None:
            self._versions = self._versions_now()
        return self._versions

    def changed(self) -> bool:
        return self._is_outdated or (self._versions is not None and self._versions != self._versions_now())

    def requests(self, ranges: Ranges) -> Requests:
        store = self._store
        return requests(store, ranges, self._lengths, store.coalesce_gap, store.coalesce_size)

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        target = memoryview(into.data if into.host is None else into.host)
        columns = requests.objects, into.starts, requests.offsets, requests.sizes
        rows = list(zip(*[column.tolist() for column in columns], strict=True))
        fill = self._fill if self._together else self._fill_one_by_one
        if not self._together:
            rows.sort()
        self._spread(lambda some: fill(rows[some.start : some.stop], target), len(rows))
        return requests.ranges(into)

    def read_to_device(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        return gds.read(self._store, self._paths, requests, into)

    def reader(self, reads: Sequence[Read]) -> Callable[[int, memoryview], None]:
        for i, (number, offset, size, _, _) in enumerate(reads):
            if offset + size > self._lengths[number]:
                raise beyond(self._store, self.keys[number], self._lengths[number], size, offset, i)
        read = self._fill if self._together else self._fill_one_by_one

        def fill(i: int, into: memoryview) -> None:
            number, offset, _, skip, size = reads[i]
            read(((number, 0, offset + skip, size),), into)

        return fill

    def _spread(self, work: Callable[[range], None], count: int) -> None:
        """Call work(part) for parts of range(count), on the threads of this object."""
        if self._threads < 2:
            work(range(count))
        else:
            spread(work, count, self._threads)

    def _open(self, some: range) -> None:
        """Open files and find their lengths, with two system calls for each."""
        files, lengths, i = self._files, self._lengths, some.start
        there: Sequence[int] = some
        self._opened.append(opened := [BOTTOM])
        opening = map(os.open, self._paths[i : some.stop], repeat(OPEN_FLAGS))
        try:
            try:
                opened.extend(opening)  # an interrupt finds each one noted
            except MISSING_ERRORS:
                there = self._open_rest(some, opened, opening)
            for i, file in zip(there, opened[1:], strict=True):
                files[i] = file
                lengths[i] = length = os.lseek(file, 0, os.SEEK_END)  # half a microsecond faster than fstat
                if length >= MAX_SEEK_BYTES and not S_ISREG(os.fstat(file).st_mode):
                    raise StoreError(f"{self.keys[i]!r} of {self._store!r} is not a file")
        except StoreError:
            raise
        except (OSError, ValueError) as error:
            number = i if there is not some or len(opened) > len(some) else some.start + len(opened) - 1
            raise as_store_error(error, "read", self.keys[number], self._store) from error

    def _open_rest(self, some: range, opened: list[int], opening: Iterator[int]) -> list[int]:
        """Open the files behind a missing one. Returns the numbers of those that are there."""
        missing = {some.start + len(opened) - 1}
        while some.start + len(opened) - 1 + len(missing) < some.stop:
            try:
                opened.extend(opening)
            except MISSING_ERRORS:
                missing.add(some.start + len(opened) - 1 + len(missing))
            except (OSError, ValueError) as error:
                i = some.start + len(opened) - 1 + len(missing)
                raise as_store_error(error, "read", self.keys[i], self._store) from error
        return [i for i in some if i not in missing]

    def _look(self, some: Iterable[int]) -> None:
        """Find the lengths of files that are not opened."""
        for i in some:
            self._lengths[i] = self._store.length(self.keys[i])

    def _versions_now(self) -> list[Version | str]:
        return [self._version(i) for i in range(len(self._paths))]

    def _version(self, i: int) -> Version | str:
        try:
            if self._together:
                return NO_VERSION if self._files[i] == MISSING else version_of(os.fstat(self._files[i]))
            return version_of(os.stat(self._paths[i]))
        except (OSError, ValueError):
            return NO_VERSION

    def _fill(self, rows: Iterable[Row], into: memoryview) -> None:
        """Read from open files into `into`."""
        number = 0
        try:
            for number, start, offset, size in rows:
                if size:
                    done = os.preadv(self._files[number], (into[start : start + size],), offset)
                    if done != size:
                        self._fill_rest(number, into[start : start + size], offset, done)
        except StoreError:
            raise
        except OSError as error:
            raise as_store_error(error, "read", self.keys[number], self._store) from error

    def _fill_rest(self, number: int, into: memoryview, offset: int, done: int) -> None:
        """Read the rest after a short read: one system call reads less than 2 GiB."""
        while done < len(into):
            more = os.preadv(self._files[number], (into[done:],), offset + done)
            if not more:
                key, end = self.keys[number], offset + done
                raise StoreError(f"{key!r} of {self._store!r} became shorter while it was read: it ends at byte {end}")
            done += more

    def _fill_one_by_one(self, rows: Iterable[Row], into: memoryview) -> None:
        """Read from files that are not held open. StoreError for one that was changed."""
        for number, some in groupby(rows, key=itemgetter(0)):
            within(
                LocalObjects(self._store, [self.keys[number]], always=True), partial(self._fill_as, number, some, into)
            )

    def _fill_as(self, number: int, rows: Iterable[Row], into: memoryview, one: LocalObjects) -> None:
        """Read from the file of object `number`, which is open for itself."""
        is_same = self._versions is None or self._versions[number] == one._version(0)
        if not is_same or one._lengths[0] != self._lengths[number]:
            self._is_outdated = True
            raise StoreError(f"{self.keys[number]!r} of {self._store!r} was changed while it was read")
        one._fill([(0, *row[1:]) for row in rows], into)


def version_of(status: os.stat_result) -> Version:
    """Version of a file: its inode, size and time of modification (ns)."""
    return status.st_ino, status.st_size, status.st_mtime_ns
