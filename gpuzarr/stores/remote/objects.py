"""Objects of a remote store, opened to be read together.

Opening makes no request. Lengths and versions come with the answers to reads; whole objects of unknown length are
fetched when their lengths are needed, and kept for the read that follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import ChangedError, LengthError, StoreError
from gpuzarr.stores.contract import Fill
from gpuzarr.stores.keys import check
from gpuzarr.stores.ranges import MISSING, Ranges, Read, Requests, beyond
from gpuzarr.stores.remote.client import Answer, Asked
from gpuzarr.stores.remote.coming import Coming
from gpuzarr.stores.remote.planning import UNKNOWN, planned, untold
from gpuzarr.stores.traffic import Traffic

if TYPE_CHECKING:
    from gpuzarr.stores.remote.store import RemoteStore

MAX_PYTHON_COPY_BYTES = 64 << 10  # NumPy lets other threads go on while it copies, which costs it a microsecond


class RemoteObjects:
    """Objects of a RemoteStore at some keys. See `Objects`.

    What is known of object i: `_lengths[i]` (MISSING if there is none), `_whole[i]`, its bytes where they were fetched
    before they were wanted, `_versions[i]`, as the first answer told it, and `_claims[i]`, the version for which
    somebody knows what else would have to be read.
    """

    def __init__(self, store: RemoteStore, keys: Sequence[str]) -> None:
        check(store, keys)
        self.keys, self._store = keys, store
        self._most: int | None = None
        self._due: int | None = None
        self._lengths: dict[int, int] = {}
        self._whole: dict[int, Any] = {}
        self._versions: dict[int, Any] = {}
        self._claims: dict[int, Any] = {}
        self._coming: list[Coming] = []
        self._received: list[int] = []  # bytes of each answer; appended, as several threads do it at once
        self._is_outdated = False

    def __enter__(self) -> RemoteObjects:
        return self

    def __exit__(self, *_: object) -> None:
        while self._coming:
            self._coming[-1].end()
            self._coming.pop()
        self._whole.clear()

    def expect_at_most(self, nbytes: int) -> None:
        """See `Bounded`."""
        self._most = nbytes

    def assume_length(self, nbytes: int) -> None:
        """See `Assumes`."""
        if getattr(self._store.client, "tells_lengths", False):
            self._due = nbytes

    def traffic(self) -> Traffic:
        """See `CountsTraffic`."""
        return Traffic(len(self._received), sum(self._received))

    def lengths(self) -> list[int]:
        if self._due is None:
            self.fetch_whole(range(len(self.keys)))
        return [self._lengths.get(i, self._due) for i in range(len(self.keys))]  # type: ignore[misc]

    def versions(self, known: Sequence[Any]) -> list[Any]:
        self._claims |= {i: claim for i, claim in enumerate(known) if claim is not None and i not in self._versions}
        return [self._versions.get(i, claim) for i, claim in enumerate(known)]

    def changed(self) -> bool:
        try:
            self._confirm()
        except ChangedError:
            self._is_outdated = True
        return self._is_outdated

    def requests(self, ranges: Ranges) -> Requests:
        self.fetch_whole(np.unique(ranges.objects[ranges.sizes == -1]).tolist())
        self.look(np.unique(ranges.objects[untold(ranges)]).tolist())
        unknown = UNKNOWN if self._due is None else self._due
        known = np.array([self._lengths.get(i, unknown) for i in range(len(self.keys))], np.int64)
        return planned(self._store, ranges, known, self._store.coalesce_gap, self._store.coalesce_size)

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        target = into.data if into.host is None else into.host
        columns = requests.objects, into.starts, requests.offsets, requests.sizes
        asked: list[Asked] = []
        places: list[tuple[int, int, int]] = []  # object, start in the target, bytes
        for number, start, offset, size in zip(*[column.tolist() for column in columns], strict=True):
            if (whole := self._whole.get(number)) is not None:
                _put(target, start, memoryview(whole)[offset : offset + size] if offset >= 0 else whole[offset:][:size])
            elif self._lengths.get(number) != MISSING and (size or number not in self._lengths):
                asked.append(Asked(self.keys[number], offset, size))
                places.append((number, start, size))
        short: list[int] = []

        def deliver(j: int, answer: Answer | None) -> None:
            number, start, size = places[j]
            self._note(number, answer)
            if answer is None or answer.data is None:
                return
            if len(data := memoryview(answer.data)) < size:
                short.append(number)
            _put(target, start, data[:size])

        if asked:
            self._store.client.fetch(asked, deliver)
        if short:
            raise self._beyond(requests, short)
        return self._without_missing(requests, into)

    def reader(self, reads: Sequence[Read]) -> Fill:
        for i, (number, offset, size, _, _) in enumerate(reads):
            if number in self._lengths and offset + size > max(self._lengths[number], 0):
                raise beyond(self._store, self.keys[number], self._lengths[number], size, offset, i)
        wanted = [i for i, read in enumerate(reads) if read[4] and read[0] not in self._whole]
        rows = [(reads[i][0], reads[i][1] + reads[i][3], reads[i][4]) for i in wanted]
        requests = self.requests(Ranges(self.keys, *np.array(rows, np.int64).reshape(-1, 3).T))
        coming = Coming(self._store.client, self._all_asked(requests), requests.within)
        places = {i: j for j, i in enumerate(wanted)}
        self._coming.append(coming)

        def fill(i: int, into: memoryview) -> bool:
            number, offset, size, skip, wanted = reads[i]
            if (whole := self._whole.get(number)) is not None:
                into[:] = memoryview(whole)[offset + skip : offset + skip + wanted]
            elif wanted:
                begin = 0 if requests.skip is None else int(requests.skip[places[i]])
                answer = coming.take(places[i], partial(self._note, number))
                if answer is None and self._due is not None:
                    return False
                if answer is None:
                    raise beyond(self._store, self.keys[number], MISSING, size, offset, i)
                if self._due is not None and (length := self._lengths.get(number, self._due)) != self._due:
                    raise LengthError(f"{self.keys[number]!r} of {self._store!r} has {length} bytes", length)
                if len(data := memoryview(answer.data)[begin : begin + wanted]) < wanted:
                    length = self._lengths.get(number, offset + skip + len(data))
                    if offset + skip + wanted <= length:
                        raise self._cut_off(number)
                    raise beyond(self._store, self.keys[number], length, size, offset, i)
                into[:] = data
            return True

        return fill

    def _all_asked(self, requests: Requests) -> list[Asked]:
        columns = requests.objects, requests.offsets, requests.sizes
        rows = zip(*[column.tolist() for column in columns], strict=True)
        return [Asked(self.keys[number], offset, size) for number, offset, size in rows]

    def fetch_whole(self, numbers: Iterable[int]) -> None:
        """Fetch objects whose lengths are unknown. Of those that are too large only the length is learnt."""
        unknown = [i for i in numbers if i not in self._lengths]

        def deliver(j: int, answer: Answer | None) -> None:
            self._note(number := unknown[j], answer)
            if answer is not None and answer.data is not None:
                self._whole[number] = answer.data
                self._lengths[number] = len(answer.data)

        if unknown:
            self._store.client.fetch([Asked(self.keys[i], most=self._most) for i in unknown], deliver)

    def look(self, numbers: Sequence[int]) -> None:
        """Learn lengths and versions of objects, of which nothing is fetched. See `Looks`."""
        if numbers := [i for i in numbers if i not in self._lengths]:
            asked = [Asked(self.keys[i], 0, 0) for i in numbers]
            self._store.client.fetch(asked, lambda j, answer: self._note(numbers[j], answer))

    def _confirm(self) -> None:
        """Look at objects that were taken to be of a known version, and of which then nothing was read."""
        self.look([i for i in self._claims if i not in self._versions])

    def _note(self, number: int, answer: Answer | None) -> None:
        """Note what an answer tells of its object, or that it contradicts another."""
        self._received.append(0 if answer is None or answer.data is None else len(answer.data))
        version = MISSING if answer is None else answer.version
        length = MISSING if answer is None else answer.length
        if self._versions.setdefault(number, version) != version or self._claims.get(number, version) != version:
            self._is_outdated = True
        if length is not None and self._lengths.setdefault(number, length) != length:
            self._is_outdated = True

    def _beyond(self, requests: Requests, short: Sequence[int]) -> StoreError:
        """The error for the first range that reaches beyond one of these objects, of whose bytes fewer came."""
        self.look([i for i in short if i not in self._lengths])
        lengths = np.array([self._lengths.get(i, 0) for i in range(len(self.keys))], np.int64)
        within = np.arange(len(requests.wanted)) if requests.within is None else requests.within
        skip = np.zeros(len(within), np.int64) if requests.skip is None else requests.skip
        objects, offsets = requests.objects[within], requests.offsets[within] + skip
        begins = np.where(offsets < 0, offsets + lengths[objects], offsets)
        wrong = np.isin(objects, short) & ((begins < 0) | (begins + requests.wanted > lengths[objects]))
        if not wrong.any():
            return self._cut_off(short[0])
        i = int(wrong.argmax())
        number = int(objects[i])
        return beyond(self._store, self.keys[number], int(lengths[number]), int(requests.wanted[i]), int(offsets[i]), i)

    def _cut_off(self, number: int) -> StoreError:
        """The error for a range within its object, of which fewer bytes came."""
        return StoreError(f"{self.keys[number]!r} of {self._store!r}: fewer bytes came than the range has")

    def _without_missing(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        """The ranges in `into`; those of objects that turned out to be missing have the size MISSING."""
        ranges = requests.ranges(into)
        of = requests.objects if requests.within is None else requests.objects[requests.within]
        gone = np.array([self._lengths.get(i) == MISSING for i in of.tolist()], bool)
        if not gone.any() or (ranges.sizes[gone] == MISSING).all():
            return ranges
        return EncodedBatch(ranges.data, ranges.starts, np.where(gone, MISSING, ranges.sizes), ranges.host)


def _put(target: np.ndarray, start: int, data: memoryview) -> None:
    """Copy bytes to a place in memory of the host."""
    if len(data) <= MAX_PYTHON_COPY_BYTES:
        memoryview(target)[start : start + len(data)] = data
    else:
        target[start : start + len(data)] = np.frombuffer(data, np.uint8)
