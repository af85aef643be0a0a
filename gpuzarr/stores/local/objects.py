"""Files of a folder, opened to be read together.

Files stay open for the whole `with` block, so everything read of one is of one version, even if it is replaced
meanwhile. If there are too many, each is opened only for its own reads and compared with its version before. A small
read costs little more than its system calls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, repeat
from operator import itemgetter
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import StoreError, as_store_error
from gpuzarr.interrupts import BOTTOM, ensured, release_all
from gpuzarr.stores.local import gds
from gpuzarr.stores.local.folders import MISSING_ERRORS
from gpuzarr.stores.local.permits import FEW_FILES, PERMITS, patiently
from gpuzarr.stores.ranges import MISSING, Ranges, Read, Requests, beyond, requests
from gpuzarr.stores.spread import spread

if TYPE_CHECKING:
    from gpuzarr.stores.local.store import LocalStore

# opening a named pipe must not block, and a terminal not become ours
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
MAX_SEEK_BYTES = 2**31 - 1  # some file systems say that a folder ends here, or farther
# the time of a file is that of the system's last tick; where file systems know no parts of seconds, up to two less
TICK_NS, SECOND_NS = 100_000_000, 1_000_000_000
COARSE_TICK_NS = 3 * SECOND_NS
NO_VERSION = "missing"  # version of a missing file
Version = tuple[int, int, int]
Row = tuple[int, int, int, int]  # a read: number of the object, start in the target, offset in the file, bytes
Numbers = list[int] | dict[int, int]  # of files, or of bytes, by the numbers of the objects


class LocalObjects:
    """Files of some keys of a LocalStore. See `Objects` and `ReadsToDevice`."""

    __slots__ = (
        "_files",
        "_is_outdated",
        "_lengths",
        "_looked_ns",
        "_opened",
        "_paths",
        "_store",
        "_threads",
        "_together",
        "_versions",
        "keys",
    )

    def __init__(self, store: LocalStore, keys: Sequence[str], threads: int = 1) -> None:
        self.keys, self._store, self._threads = keys, store, threads
        self._paths = [store.path(key) for key in keys]
        self._files: list[int] = []
        self._lengths: list[int] = []
        self._versions: list[Version | str] | None = None
        self._looked_ns = 0  # the time before `_versions` were asked for
        self._is_outdated = False
        self._opened: list[list[int]] = []  # what is to be closed, by the threads that have opened it
        self._together = False  # all files are held open

    def __enter__(self) -> LocalObjects:
        count = len(self._paths)
        self._files, self._lengths = [MISSING] * count, [MISSING] * count
        try:
            if PERMITS.value.take(self, count):
                self._together = True
                self._spread(self._open_together, count)
            else:
                self._spread(self._look, count)
        except StoreError as error:
            self.__exit__()
            if not self._together or error.errno not in FEW_FILES:
                raise
            self._apart()
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

    def open_files(self) -> list[int] | None:
        return self._files if self._together else None

    def versions(self, known: Sequence[Any] = ()) -> list[Version | str]:
        if self._versions is None:
            self._looked_ns = time.time_ns()
            self._versions = self._versions_now()
        return self._versions

    def settled(self) -> list[bool]:
        return [isinstance(v, str) or is_settled(v[2], self._looked_ns) for v in self.versions()]

    def changed(self) -> bool:
        return self._is_outdated or (self._versions is not None and self._versions != self._versions_now())

    def requests(self, ranges: Ranges) -> Requests:
        store = self._store
        return requests(store, ranges, self._lengths, store.coalesce_gap, store.coalesce_size)

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        target = memoryview(into.data if into.host is None else into.host)
        columns = requests.objects, into.starts, requests.offsets, requests.sizes
        rows = list(zip(*[column.tolist() for column in columns], strict=True))
        fill = self._fill_together if self._together else self._fill_one_by_one
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
        read = self._fill_together if self._together else self._fill_one_by_one

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

    def _apart(self) -> None:
        """Open no file but for its own reads, as no more can be opened."""
        self._together, self._opened = False, []
        count = len(self._paths)
        self._files, self._lengths = [MISSING] * count, [MISSING] * count
        self._spread(self._look, count)

    def _open_together(self, some: range) -> None:
        self._opened.append(opened := [BOTTOM])
        self._open(some, self._files, self._lengths, opened)

    def _open(self, some: range, files: Numbers, lengths: Numbers, opened: list[Any]) -> None:
        """Open files and find their lengths, with two system calls for each. Missing ones are left out.

        `opened` notes what is to be closed.
        """
        i = some.start
        there: Sequence[int] = some
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
        return [version_of(file) for file in (self._files if self._together else self._paths)]

    def _fill_together(self, rows: Iterable[Row], into: memoryview) -> None:
        self._fill(rows, into, self._files)

    def _fill(self, rows: Iterable[Row], into: memoryview, files: Numbers) -> None:
        """Read from open files into `into`."""
        number = 0
        try:
            for number, start, offset, size in rows:
                if size:
                    done = os.preadv(files[number], (into[start : start + size],), offset)
                    if done != size:
                        self._fill_rest(number, files[number], into[start : start + size], offset, done)
        except StoreError:
            raise
        except OSError as error:
            raise as_store_error(error, "read", self.keys[number], self._store) from error

    def _fill_rest(self, number: int, file: int, into: memoryview, offset: int, done: int) -> None:
        """Read the rest after a short read: one system call reads less than 2 GiB."""
        while done < len(into):
            more = os.preadv(file, (into[done:],), offset + done)
            if not more:
                key, end = self.keys[number], offset + done
                raise StoreError(f"{key!r} of {self._store!r} became shorter while it was read: it ends at byte {end}")
            done += more

    def _fill_one_by_one(self, rows: Iterable[Row], into: memoryview) -> None:
        """Read from files that are not held open. StoreError for one that was changed."""
        for number, some in groupby(rows, key=itemgetter(0)):
            opened: list[Any] = [BOTTOM]
            read = partial(self._read_one, number, list(some), into, opened)
            ensured(partial(patiently, read), partial(release_all, opened, os.close))

    def _read_one(self, number: int, rows: Iterable[Row], into: memoryview, opened: list[Any]) -> None:
        """Read from a file that is opened for that."""
        files, lengths = {number: MISSING}, {number: MISSING}
        opened[:] = [BOTTOM]
        self._open(range(number, number + 1), files, lengths, opened)
        is_same = self._versions is None or self._versions[number] == version_of(files[number])
        if not is_same or lengths[number] != self._lengths[number]:
            self._is_outdated = True
            raise StoreError(f"{self.keys[number]!r} of {self._store!r} was changed while it was read")
        self._fill(rows, into, files)


def version_of(file: int | str) -> Version | str:
    """Version of a file that is open, or at a path: its inode, size and time of modification (ns).

    NO_VERSION if there is none.
    """
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return NO_VERSION
    return status.st_ino, status.st_size, status.st_mtime_ns


def is_settled(changed_ns: int, now_ns: int) -> bool:
    """Return True if what is changed from now on gets another time than a file has that was changed at `changed_ns`."""
    tick = TICK_NS if changed_ns % SECOND_NS else COARSE_TICK_NS
    return changed_ns < now_ns - tick
