"""Parts of objects, opened to be read together through the stores that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import RangeError, StoreError
from gpuzarr.stores.contract import Fill, Store
from gpuzarr.stores.keys import check
from gpuzarr.stores.parts.heads import Begins
from gpuzarr.stores.parts.holders import Holders, How, together
from gpuzarr.stores.parts.packed import Packed
from gpuzarr.stores.parts.table import INLINE, Places, Table, bytes_of
from gpuzarr.stores.ranges import MISSING, Ranges, Read, Requests, beyond, resolved
from gpuzarr.stores.traffic import Traffic
from gpuzarr.stores.versions import tells_late

MAX_END = 1 << 62  # of a part in its holder


class PartObjects:
    """Objects that lie where a table says. See `Objects`, `AreFiles` and `ReadsToDevice`.

    In requests, objects are numbered so: those of the holders; then those of `keys`, of which bytes that must be
    inflated are wanted; then pieces of memory, `_ready`.
    """

    def __init__(self, store: Store, table: Table, keys: Sequence[str], threads: int = 1) -> None:
        check(store, keys)
        self.keys, self._store, self._table, self._threads = keys, store, table, threads
        self._holders = Holders([], threads)
        self._ready: dict[int, Any] = {}
        self._numbers = count()  # of what is in `_ready`
        self._is_outdated = False

    def __enter__(self) -> PartObjects:
        places = self._places = self._table.places(self.keys)
        self._is_held = places.holders >= 0
        self._check_offsets(places)
        try:
            used, self._number = self._opened(places)
            self._expected = [places.versions.get(number) for number in used]
            self._holders.enter()
            self._is_outdated = self._is_other()
        except BaseException:
            self.__exit__()
            raise
        self._begins = Begins.of(self._store, self.keys, places, self._holders, self._number)
        self._packed = Packed(self._store, self.keys, places, self._holders, self._begins, self._threads)
        self._inline = dict[int, int]()
        self._length, self._has_end, self._is_direct = places.sizes, self._is_held, self._is_held
        is_held = np.count_nonzero(self._is_held) == len(self.keys)
        self._is_bounded = is_held and np.count_nonzero(places.sizes < 0) == 0
        if not self._is_bounded or places.inflated is not None:
            self._note_others(places)
        self._is_plain = is_held and (places.inflated is None or bool(self._is_direct.all()))
        return self

    def _check_offsets(self, places: Places) -> None:
        """StoreError for what is said to lie where nothing can: sums of offsets and sizes must not overflow."""
        ends = places.offsets.view(np.uint64) + np.maximum(places.sizes, 0).view(np.uint64)
        wrong = self._is_held & ((places.offsets < 0) | (ends > MAX_END))
        if wrong.any():
            key = self.keys[int(wrong.argmax())]
            raise StoreError(f"{key!r} of {self._store!r} is said to lie where no file has bytes: its offset is absurd")

    def _note_others(self, places: Places) -> None:
        """Note which objects are missing, inline, deflated, or lie up to the end of their holders."""
        self._packed.check()
        self._has_end = ~self._is_held | self._packed.which | (places.sizes >= 0)
        self._is_bounded = bool(self._has_end.all())
        sizes = places.sizes if places.inflated is None else np.where(self._packed.which, places.inflated, places.sizes)
        self._length = np.where(self._is_held, sizes, MISSING)
        for i in np.flatnonzero(places.holders == INLINE).tolist():
            self._length[i], self._inline[i] = len(places.inline[i]), self._have(places.inline[i])
        self._is_direct = self._is_held & ~self._packed.which

    def __exit__(self, *_: object) -> None:
        self._holders.exit()
        self._ready = {}
        if (packed := getattr(self, "_packed", None)) is not None:
            packed.kept.clear()

    def _have(self, data: Any) -> int:
        """Keep bytes for reads that follow. Returns their number."""
        number = next(self._numbers)
        self._ready[number] = data
        return number

    def _opened(self, places: Places) -> tuple[list[int], np.ndarray]:
        """Note the holders, to be entered: their numbers in the table, and the number of that of each object in
        `_holders`, -1 for none."""
        first = int(places.holders[0]) if len(places.holders) else MISSING
        if first >= 0 and np.count_nonzero(places.holders == first) == len(places.holders):  # as in an archive
            self._holders = Holders([self._table.holders()[first]], self._threads)
            return [first], np.zeros(len(self.keys), np.int64)
        numbers = np.full(len(self.keys), -1, np.int64)
        used, which = np.unique(places.holders[self._is_held], return_inverse=True)
        holders = self._table.holders()
        self._holders = Holders([holders[number] for number in used.tolist()], self._threads)
        numbers[self._is_held] = self._holders.numbers[which]
        order = self._holders.numbers.argsort()
        return used[order].tolist(), numbers

    def expect_at_most(self, nbytes: int) -> None:
        """See `Bounded`: an object may be all of its holder, behind its offset."""
        if self._is_held.any():
            self._holders.expect_at_most(nbytes + int(self._places.offsets[self._is_held].max()))

    def traffic(self) -> Traffic | None:
        return self._holders.traffic()

    def lengths(self) -> list[int]:
        return self._lengths().tolist()

    def _lengths(self) -> np.ndarray:
        """Bytes of each object; those up to the end of their holders are asked for once."""
        if not self._is_bounded:
            of, which = self._holders.lengths(), np.flatnonzero(~self._has_end)
            holder = of[self._number[which]]
            if (lost := holder == MISSING).any():
                raise self._lost(int(which[lost.argmax()]))
            self._length[which] = np.maximum(holder - self._places.offsets[which], 0)
            self._is_bounded = True
        return self._length

    def versions(self, known: Sequence[Any]) -> list[Any]:
        """The version of the holder, and the place in it."""
        if self._places.are_lasting:
            columns = self._number, self._places.offsets, self._length
            return list(zip(*[column.tolist() for column in columns], strict=True))
        before = list(self._expected)
        for number, each in zip(self._number.tolist(), known, strict=True):
            if each is not None and number >= 0 and before[number] is None:
                before[number] = each[0]
        found, places = self._holders.versions(before), self._places
        numbers = self._number.tolist()
        rows = zip(numbers, places.offsets.tolist(), places.sizes.tolist(), strict=True)
        versions: list[Any] = [(found[number], at, size) if number >= 0 else ("missing",) for number, at, size in rows]
        for i in self._inline:
            versions[i] = "inline", places.inline[i]
        if None in found:
            none = [number >= 0 and found[number] is None for number in numbers]
            versions = [None if is_none else each for is_none, each in zip(none, versions, strict=True)]
        return versions

    @property
    def look(self) -> Callable[[Sequence[int]], None]:
        """See `Looks`. AttributeError, so that it is not there, where no holder's store has it."""
        if not any(tells_late(group.objects) for group in self._holders.groups):
            raise AttributeError("look")
        return self._look

    def _look(self, numbers: Sequence[int]) -> None:
        """Look at the holders of these objects."""
        self._holders.look(number for i in numbers if (number := int(self._number[i])) >= 0)

    def settled(self) -> list[bool]:
        if self._places.are_lasting:
            return [True] * len(self.keys)
        found = self._holders.settled()
        return [number < 0 or found[number] for number in self._number.tolist()]

    def changed(self) -> bool:
        is_late = any(tells_late(group.objects) for group in self._holders.groups)  # versions come with answers
        if self._places.are_lasting or not (
            self._is_outdated or self._holders.changed() or (is_late and self._is_other())
        ):
            return False
        if (forget := getattr(self._table, "forget", None)) is not None:
            forget()
        return True

    def _is_other(self) -> bool:
        """Whether a holder is not what the table was made of."""
        if not any(each is not None for each in self._expected):
            return False
        found = self._holders.versions(self._expected)
        return any(due is not None and due != each for due, each in zip(self._expected, found, strict=True))

    def open_files(self) -> tuple[np.ndarray, np.ndarray] | None:
        if not len(self.keys) or (self._packed.which | (self._places.holders == INLINE)).any():
            return None
        if (found := self._holders.open_files()) is None:
            return None
        files, starts = (np.append(each, MISSING)[self._number] for each in found)
        if (files[self._is_held] == MISSING).any():
            return None
        self._begins.learn(np.flatnonzero(self._is_held & (self._length != 0)))
        return files, starts + self._begins.at

    def requests(self, ranges: Ranges) -> Requests:
        objects = np.asarray(ranges.objects)
        offsets, wanted = self._resolved(ranges)
        ready = self._begins.fetched(objects, offsets, wanted, self._is_direct)
        if self._is_plain and not ready:
            return self._planned(objects, offsets, wanted, np.arange(len(objects)))
        held = self._is_direct[objects]
        held[list(ready)] = False
        first = self._holders.count + np.arange(len(self.keys) + 1)
        numbers, starts = first[objects], offsets.copy()
        for i, number in enumerate(objects.tolist()):
            if number in self._inline:
                numbers[i] = first[-1] + self._inline[number]
        for i, data in ready.items():
            numbers[i], starts[i] = first[-1] + self._have(data), 0
        others = np.flatnonzero(~held)
        own = Requests(numbers[others], starts[others], np.maximum(wanted[others], 0), wanted[others])
        found = [(others, own)] if len(others) else []
        if len(which := np.flatnonzero(held)):
            found.append((which, self._planned(objects[which], offsets[which], wanted[which], which)))
        return together(len(objects), found)

    def _resolved(self, ranges: Ranges) -> tuple[np.ndarray, np.ndarray]:
        """Offsets in the objects and sizes of ranges: a size of -1 and an offset < 0 stay where the holder's store
        resolves them; of missing objects the size is MISSING. RangeError for what is beyond its object."""
        objects = np.asarray(ranges.objects)
        offsets, sizes = np.asarray(ranges.offsets, np.int64), np.asarray(ranges.sizes, np.int64)
        if self._is_bounded:
            if not np.count_nonzero(offsets) and np.count_nonzero(sizes == -1) == len(sizes):  # all whole
                return offsets, self._length[objects]
            return resolved(self._store, ranges, self._length[objects])
        unsure = ~self._has_end[objects]
        if (unsure & (((offsets < 0) & (self._places.offsets[objects] > 0)) | (sizes < -1))).any():
            self._lengths()
            return self._resolved(ranges)
        sure = np.flatnonzero(~unsure)
        offsets, wanted = offsets.copy(), sizes.copy()
        try:
            offsets[sure], wanted[sure] = resolved(self._store, ranges.take(sure), self._length[objects[sure]])
        except RangeError as error:
            error.index = int(sure[error.index])
            raise
        return offsets, wanted

    def _planned(self, objects: np.ndarray, offsets: np.ndarray, wanted: np.ndarray, which: np.ndarray) -> Requests:
        """Requests for ranges of objects that lie in holders as they are. `which`: their numbers among all."""
        at = self._begins.at[objects] + offsets
        if np.count_nonzero(offsets < 0):  # counted from the end of the holder
            at = np.where(offsets < 0, offsets, at)
        try:
            found = self._holders.requests(self._number[objects], at, wanted)
        except RangeError as error:
            raise self._beyond(int(objects[error.index]), error, int(which[error.index])) from error
        if np.count_nonzero(lost := found.wanted == MISSING):
            raise self._lost(int(objects[lost.argmax()]))
        return found

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        return self._read(requests, into, "read")

    def read_to_device(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        return self._read(requests, into, "read_to_device")

    def _read(self, requests: Requests, into: EncodedBatch, how: How) -> EncodedBatch:
        if self._is_plain and not self._ready and len(self._holders.groups) == 1:
            return self._read_all(requests, into, how)
        try:
            got = self._holders.read(requests, into, how)
        except RangeError as error:
            i = error.index if requests.within is None else int((requests.within == error.index).argmax())
            raise RangeError(f"a part that {self._store!r} names is not there: {error}", i) from error
        self._check_found(got.sizes, requests.objects)
        self._put_others(requests, into, how)
        return requests.ranges(into)

    def _read_all(self, requests: Requests, into: EncodedBatch, how: How) -> EncodedBatch:
        """Read from the objects of the only store."""
        try:
            found: EncodedBatch = getattr(self._holders.groups[0].objects, how)(requests, into)
        except RangeError as error:
            raise RangeError(f"a part that {self._store!r} names is not there: {error}", error.index) from error
        self._check_found(found.sizes, requests.objects[:1].repeat(len(found)))
        return found

    def _check_found(self, sizes: np.ndarray, holders: np.ndarray) -> None:
        if np.count_nonzero(lost := sizes < 0):
            holder = self._holders.name(int(holders[lost.argmax()]))
            raise StoreError(f"an object of {self._store!r} lies in {holder}, which is not there")

    def _put_others(self, requests: Requests, into: EncodedBatch, how: How) -> None:
        """Put the bytes that no holder has as they are where they belong."""
        first = self._holders.count
        put = _to_device if how == "read_to_device" else _to_host
        target = into.host if how == "read" and into.host is not None else into.data
        others = np.flatnonzero((requests.objects >= first) & (requests.sizes > 0))
        is_ready = requests.objects[others] >= first + len(self.keys)
        for j in others[is_ready].tolist():
            at, offset, size = int(into.starts[j]), int(requests.offsets[j]), int(requests.sizes[j])
            data = self._ready[int(requests.objects[j]) - first - len(self.keys)]
            put(target, at, bytes_of(data)[offset : offset + size])
        if len(packed := others[~is_ready]):
            self._packed.read(requests, packed, lambda j, data: put(target, int(into.starts[j]), data))

    def reader(self, reads: Sequence[Read]) -> Fill:
        lengths = self._lengths()
        for i, (number, offset, size, _, _) in enumerate(reads):
            if offset + size > lengths[number]:
                raise beyond(self._store, self.keys[number], int(lengths[number]), size, offset, i)
        if self._is_plain and not self._begins.are_unknown:
            return self._checked(self._plain_reader(reads, range(len(reads))), reads)
        objects = np.array([read[0] for read in reads], np.int64)
        offsets, sizes = (np.array([read[column] for read in reads], np.int64) for column in (1, 2))
        ready = self._begins.fetched(objects, offsets, sizes, self._is_direct)
        plain = [i for i, each in enumerate(objects.tolist()) if self._is_direct[each] and i not in ready]
        fill = self._checked(self._plain_reader(reads, plain), [reads[i] for i in plain])
        places = {i: j for j, i in enumerate(plain)}

        def filled(i: int, into: memoryview) -> None:
            number, offset, _, skip, size = reads[i]
            if i in places:
                fill(places[i], into)
            elif i in ready:
                into[:] = memoryview(ready[i])[skip : skip + size]
            elif number in self._inline:
                data = bytes_of(self._ready[self._inline[number]])
                into[:] = data[offset + skip : offset + skip + size]
            elif self._packed.which[number]:
                whole = self._packed.inflated(number)
                into[:] = memoryview(whole)[offset + skip : offset + skip + size]

        return filled

    def _plain_reader(self, reads: Sequence[Read], which: Sequence[int]) -> Fill:
        """What makes the reads of objects that lie in holders as they are."""
        rows = []
        for i in which:
            number, offset, size, skip, wanted = reads[i]
            rows.append((int(self._number[number]), int(self._begins.at[number]) + offset, size, skip, wanted))
        try:
            return self._holders.reader(rows)
        except RangeError as error:
            i = which[error.index]
            raise self._not_there(reads[i][0], error, i) from error

    def _checked(self, fill: Fill, reads: Sequence[Read]) -> Fill:
        """The same, but for its errors, which name the objects."""

        def checked(i: int, into: memoryview) -> None:
            try:
                fill(i, into)
            except RangeError as error:
                raise self._not_there(reads[i][0], error, i) from error

        return checked

    def _not_there(self, number: int, error: RangeError, i: int) -> StoreError:
        """The error for read i of an object, where its holder has nothing, or is missing."""
        is_lost = self._holders.lengths()[self._number[number]] == MISSING
        return self._lost(number) if is_lost else self._beyond(number, error, i)

    def _beyond(self, i: int, error: RangeError, number: int) -> RangeError:
        return RangeError(f"{self.keys[i]!r} of {self._store!r} does not lie where it should: {error}", number)

    def _lost(self, i: int) -> StoreError:
        holder = self._holders.name(int(self._number[i]))
        return StoreError(f"{self.keys[i]!r} of {self._store!r} lies in {holder}, which is not there")


def _to_host(target: Any, at: int, data: Any) -> None:
    memoryview(target)[at : at + len(data)] = data


def _to_device(target: Any, at: int, data: Any) -> None:
    """Copy to memory of a GPU, and wait for that."""
    place = target[at : at + len(data)]
    source = np.frombuffer(data, np.uint8)
    if hasattr(place, "set"):
        place.set(source)
    else:
        place[:] = source
