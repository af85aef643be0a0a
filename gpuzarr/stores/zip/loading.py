"""Load the directory of an archive that is an object of a store: by one request, or two if the directory is large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from gpuzarr.batch import allocated
from gpuzarr.errors import GpuZarrWarning, NotFoundError, RangeError, StoreError, warn
from gpuzarr.stores.contract import Objects, Store
from gpuzarr.stores.ranges import MISSING, Ranges
from gpuzarr.stores.tries import unchanged
from gpuzarr.stores.versions import settled
from gpuzarr.stores.zip.directory import Directory
from gpuzarr.stores.zip.records import END_BYTES, LOCAL, BadArchive, End, comment_bytes, end_at, ends_in

TAIL_BYTES = 1 << 17  # that are read at once: two comments of the longest, or the directory of about 1500 members
MAX_DIRECTORY_BYTES = 1 << 31
WINDOW_BYTES = 1 << 24  # in which an end is searched at once that is not at the end
OVERLAP_BYTES = 1 << 12  # of windows, as the records before the end belong to it
MAX_SEARCHED_BYTES, MAX_TRIED_ENDS = 1 << 36, 64


class Loaded(NamedTuple):
    """A directory, the version of the archive that has it, and whether this version will not come again."""

    directory: Directory
    version: Any
    is_settled: bool


def load(store: Store, key: str) -> Loaded:
    """Load the directory. NotFoundError if there is no archive, StoreError for what is none."""
    return unchanged(store, key, partial(_load, store, key))


def _load(store: Store, key: str, objects: Objects) -> Loaded | None:
    """The directory; None where the archive was replaced meanwhile."""
    archive = _Archive(store, key, objects)
    if store.has_cheap_lengths:
        objects.versions([None])
    try:
        directory = archive.directory()
    except (BadArchive, StoreError) as error:
        if objects.changed():
            return None
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{key!r} of {store!r} cannot be read as a zip archive: {error}") from error
    version = objects.versions([None])[0]
    if objects.changed():
        return None
    if behind := archive.length - directory.end.last:
        problem = "an append was interrupted, or goes on; what was there before is read"
        warn(f"{key!r} of {store!r} has {behind} bytes behind its end record: {problem}", GpuZarrWarning)
    return Loaded(directory, version, settled(objects)[0])


@dataclass
class _Archive:
    """An archive that is open."""

    store: Store
    key: str
    objects: Objects
    length: int = 0

    def directory(self) -> Directory:
        """Find and parse the directory. BadArchive for what has none."""
        problem: BadArchive | None = None
        for data, at, place in islice(self._ends(), MAX_TRIED_ENDS):
            try:
                return self._parsed(end_at(data, at, place), data, at)
            except BadArchive as error:
                problem = problem or error
        raise problem or BadArchive("it has no end record: it is something else, or its writing was interrupted")

    def _parsed(self, end: End, data: bytes, at: int) -> Directory:
        """Parse the directory before an end record, which may lie in `data`, bytes of the file from byte `at`."""
        if end.end - end.begin > MAX_DIRECTORY_BYTES:
            raise BadArchive(f"its directory is said to have {end.end - end.begin} bytes")
        if end.shift and end.last != self.length and self._read(0, len(LOCAL)) == LOCAL:
            raise BadArchive("it ends within a member that is an archive")
        if end.begin >= at:
            return Directory.parsed(data[end.begin - at : end.end - at], end)
        return Directory.parsed(self._read(end.begin, end.end - end.begin), end)

    def _ends(self) -> Iterator[tuple[bytes, int, int]]:
        """Where the end record may be, the most likely first: bytes of the file, where they begin, and the place there.

        Behind it other bytes may lie. Where requests take long, these are few.
        """
        tail = self._tail()
        at = self.length - len(tail)
        places = ends_in(tail)
        places.sort(key=lambda place: place + END_BYTES + comment_bytes(tail, place) != len(tail))
        yield from ((tail, at, place) for place in places)
        least = max(0, at - MAX_SEARCHED_BYTES) if self.store.has_cheap_lengths else at
        while at > least:
            begin = max(0, at - WINDOW_BYTES)
            data = self._read(begin, min(at + END_BYTES, self.length) - begin)
            yield from ((data, begin, place) for place in ends_in(data))
            at = begin + OVERLAP_BYTES if begin else 0

    def _tail(self) -> bytes:
        """The last bytes of the archive, whose length is known then."""
        if self.store.has_cheap_lengths:
            self._note_length()
            size = min(self.length, TAIL_BYTES)
            return self._read(self.length - size, size)
        try:
            tail = self._read(-TAIL_BYTES, TAIL_BYTES)
        except RangeError:  # it is shorter
            tail = self._read(0, -1)
        self._note_length()
        return tail

    def _note_length(self) -> None:
        self.length = self.objects.lengths()[0]
        if self.length == MISSING:
            raise NotFoundError(f"there is no archive {self.key!r} in {self.store!r}")

    def _read(self, offset: int, size: int) -> bytes:
        ranges = Ranges([self.key], *np.array([[0], [offset], [size]], np.int64))
        requests = self.objects.requests(ranges)
        into = allocated(requests.sizes, lambda nbytes: np.empty(nbytes, np.uint8))
        found = self.objects.read(requests, into)
        if int(found.sizes[0]) == MISSING:
            raise NotFoundError(f"there is no archive {self.key!r} in {self.store!r}")
        return found[0].tobytes()
