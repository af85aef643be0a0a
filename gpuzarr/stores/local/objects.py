"""Files of a folder, opened to be read together.

Files stay open for the whole `with` block, so everything read of one is of one version, even if it is replaced
meanwhile. If there are too many, each is opened only for its own reads and compared with its version before. A small
read costs little more than its system calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import StoreError
from gpuzarr.interrupts import ensured
from gpuzarr.stores.contract import Fill
from gpuzarr.stores.keys import check
from gpuzarr.stores.local import gds
from gpuzarr.stores.local.open_files import OpenFiles, Version, version_of
from gpuzarr.stores.local.permits import FEW_FILES, PERMITS, patiently
from gpuzarr.stores.ranges import Ranges, Read, Requests, beyond, requests
from gpuzarr.stores.spread import spread
from gpuzarr.stores.traffic import Traffic

if TYPE_CHECKING:
    from gpuzarr.stores.local.store import LocalStore

# the time of a file is that of the system's last tick; where file systems know no parts of seconds, up to two less
TICK_NS, SECOND_NS = 100_000_000, 1_000_000_000
COARSE_TICK_NS = 3 * SECOND_NS
Row = tuple[int, int, int, int]  # a read: number of the object, start in the target, offset in the file, bytes


class LocalObjects:
    """Files of some keys of a LocalStore. See `Objects` and `ReadsToDevice`."""

    __slots__ = (
        "_files",
        "_is_outdated",
        "_lengths",
        "_looked_ns",
        "_read",
        "_store",
        "_threads",
        "_together",
        "_versions",
        "keys",
    )

    def __init__(self, store: LocalStore, keys: Sequence[str], threads: int = 1) -> None:
        check(store, keys)
        self.keys, self._store, self._threads = keys, store, threads
        self._files = OpenFiles(store, keys)  # if all are held open: `_together`
        self._lengths = self._files.lengths
        self._together = False
        self._versions: list[Version | str] | None = None
        self._looked_ns = 0  # the time before `_versions` were asked for
        self._is_outdated = False
        self._read: list[tuple[int, int]] = []  # reads, and bytes of them: adding to a list is atomic

    def __enter__(self) -> LocalObjects:
        count = len(self.keys)
        try:
            if PERMITS.value.take(self, count):
                self._together = True
                self._spread(self._files.open, count)
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
        self._files.close()
        PERMITS.value.give(self)

    def lengths(self) -> list[int]:
        found: list[int] = self._lengths.tolist()
        return found

    def open_files(self) -> tuple[np.ndarray, np.ndarray] | None:
        return (self._files.numbers, np.zeros(len(self.keys), np.int64)) if self._together else None

    def versions(self, known: Sequence[Any] = ()) -> list[Version | str]:
        if self._versions is None:
            self._looked_ns = time.time_ns()
            self._versions = self._versions_now()
        return self._versions

    def settled(self) -> list[bool]:
        return [isinstance(v, str) or is_settled(v[2], self._looked_ns) for v in self.versions()]

    def changed(self) -> bool:
        return self._is_outdated or (self._versions is not None and self._versions != self._versions_now())

    def traffic(self) -> Traffic:
        return Traffic(sum([count for count, _ in self._read]), sum([nbytes for _, nbytes in self._read]))

    def requests(self, ranges: Ranges) -> Requests:
        store = self._store
        return requests(store, ranges, self._lengths, store.coalesce_gap, store.coalesce_size)

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        self._count(requests.sizes)
        target = into.data if into.host is None else into.host
        columns = requests.objects, into.starts, requests.offsets, requests.sizes
        if self._together:
            self._spread(lambda some: self._files.read(columns, some, target), len(requests.sizes))
        else:
            rows = sorted(zip(*[column.tolist() for column in columns], strict=True))
            view = memoryview(target)
            self._spread(lambda some: self._read_apart(rows[some.start : some.stop], view), len(rows))
        return requests.ranges(into)

    def read_to_device(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        self._count(requests.sizes)
        return gds.read(self._store, [self._store.path(key) for key in self.keys], requests, into)

    def reader(self, reads: Sequence[Read]) -> Fill:
        lengths = self.lengths()
        for i, (number, offset, size, _, _) in enumerate(reads):
            if offset + size > lengths[number]:
                raise beyond(self._store, self.keys[number], lengths[number], size, offset, i)

        def fill(i: int, into: memoryview) -> None:
            number, offset, _, skip, size = reads[i]
            self._read.append((1, size))
            if self._together:
                self._files.read_one(number, into, offset + skip)
            else:
                self._read_apart([(number, 0, offset + skip, size)], into)

        return fill

    def _count(self, sizes: np.ndarray) -> None:
        self._read.append((int(np.count_nonzero(sizes)), int(sizes.sum())))

    def _spread(self, work: Callable[[range], None], count: int) -> None:
        """Call work(part) for parts of range(count), on the threads of this object."""
        if self._threads < 2:
            work(range(count))
        else:
            spread(work, count, self._threads)

    def _apart(self) -> None:
        """Open no file but for its own reads, as no more can be opened."""
        self._together, self._files = False, OpenFiles(self._store, self.keys)
        self._lengths = self._files.lengths
        self._spread(self._look, len(self.keys))

    def _look(self, some: Iterable[int]) -> None:
        """Find the lengths of files that are not opened."""
        for i in some:
            self._lengths[i] = self._store.length(self.keys[i])

    def _versions_now(self) -> list[Version | str]:
        if self._together:
            return self._files.versions()
        return [version_of(self._store.path(key)) for key in self.keys]

    def _read_apart(self, rows: Iterable[Row], into: memoryview) -> None:
        """Read from files that are not held open. StoreError for one that was changed."""
        for number, some in groupby(rows, key=itemgetter(0)):
            files = OpenFiles(self._store, [self.keys[number]])
            ensured(partial(patiently, partial(self._read_one, number, list(some), into, files)), files.close)

    def _read_one(self, number: int, rows: Iterable[Row], into: memoryview, files: OpenFiles) -> None:
        """Read from a file that is opened for that."""
        files.open(range(1))
        is_same = self._versions is None or self._versions[number] == files.versions()[0]
        if not is_same or files.lengths[0] != self._lengths[number]:
            self._is_outdated = True
            raise StoreError(f"{self.keys[number]!r} of {self._store!r} was changed while it was read")
        for _, start, offset, size in rows:
            files.read_one(0, into[start : start + size], offset)


def is_settled(changed_ns: int, now_ns: int) -> bool:
    """Return True if what is changed from now on gets another time than a file has that was changed at `changed_ns`."""
    tick = TICK_NS if changed_ns % SECOND_NS else COARSE_TICK_NS
    return changed_ns < now_ns - tick
