"""Objects of several stores, opened to be read together as if they were of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gpuzarr.batch import EncodedBatch, allocated
from gpuzarr.errors import RangeError, StoreError
from gpuzarr.stores import contract
from gpuzarr.stores.contract import Fill, Store
from gpuzarr.stores.in_files import open_files
from gpuzarr.stores.ranges import Ranges, Read, Requests
from gpuzarr.stores.traffic import Traffic, added, traffic
from gpuzarr.stores.versions import settled, tells_late

How = Literal["read", "read_to_device"]  # the method of `Objects` that reads


@dataclass
class Group:
    """Objects of one store; `base`: the number of the first among those of all groups."""

    store: Store
    keys: list[str] = field(default_factory=list)
    base: int = 0
    objects: Any = None

    @property
    def end(self) -> int:
        return self.base + len(self.keys)


class Holders:
    """The objects at these keys of these stores: those of a store are opened together, each once.

    `numbers[i]`, int64: what the methods call the object `pairs[i]`. Else they do as those of `Objects`.
    """

    __slots__ = ("count", "groups", "numbers")

    def __init__(self, pairs: Sequence[tuple[Store, str]], threads: int) -> None:
        groups: dict[int, Group] = {}
        rows = []
        for store, key in pairs:
            group = groups.setdefault(id(store), Group(store))
            rows.append((group, len(group.keys)))
            group.keys.append(key)
        self.groups, self.count = list(groups.values()), len(pairs)
        base = 0
        for group in self.groups:
            group.base, base = base, base + len(group.keys)
            group.objects = group.store.open(group.keys, threads)
        self.numbers = np.array([group.base + i for group, i in rows], np.int64)

    def enter(self) -> None:
        for group in self.groups:
            group.objects.__enter__()

    def exit(self) -> None:
        for group in self.groups:
            group.objects.__exit__(None, None, None)

    def name(self, number: int) -> str:
        """An object in messages."""
        group = next(group for group in self.groups if number < group.end)
        return f"{group.keys[number - group.base]!r} of {group.store!r}"

    def lengths(self) -> np.ndarray:
        return np.array([length for group in self.groups for length in group.objects.lengths()], np.int64)

    def versions(self, known: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for group in self.groups:
            found += group.objects.versions(known[group.base : group.end])
        return found

    def look(self, numbers: Iterable[int]) -> None:
        """See `Looks`."""
        wanted = sorted({*numbers})
        for group in self.groups:
            some = [number - group.base for number in wanted if group.base <= number < group.end]
            if some and tells_late(group.objects):
                group.objects.look(some)

    def settled(self) -> list[bool]:
        return [each for group in self.groups for each in settled(group.objects)]

    def changed(self) -> bool:
        return True in [group.objects.changed() for group in self.groups]

    def expect_at_most(self, nbytes: int) -> None:
        for group in self.groups:
            contract.expect_at_most(group.objects, nbytes)

    def traffic(self) -> Traffic | None:
        return added(*[traffic(group.objects) for group in self.groups])

    def open_files(self) -> tuple[np.ndarray, np.ndarray] | None:
        """See `AreFiles`."""
        found = [open_files(group.objects) for group in self.groups]
        if not found or None in found:
            return None
        files, starts = zip(*[each for each in found if each is not None], strict=True)
        return np.concatenate(files), np.concatenate(starts)

    def requests(self, numbers: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> Requests:
        """Plan the reads for ranges."""
        if len(self.groups) == 1:
            made: Requests = self.groups[0].objects.requests(Ranges(self.groups[0].keys, numbers, offsets, sizes))
            return made
        found: list[tuple[np.ndarray, Requests]] = []
        for group, which in self._parts(numbers):
            with _counted(which):
                ranges = Ranges(group.keys, numbers[which] - group.base, offsets[which], sizes[which])
                made = group.objects.requests(ranges)
            objects = made.objects + group.base if group.base else made.objects
            found.append((which, Requests(objects, made.offsets, made.sizes, made.wanted, made.within, made.skip)))
        return together(len(numbers), found)

    def read(self, requests: Requests, into: EncodedBatch, how: How = "read") -> EncodedBatch:
        """Make the requests for these objects. Returns what each brought, MISSING as size where there is no object."""
        sizes = requests.sizes.copy()
        for group, which in self._parts(requests.objects):
            of = requests.sizes[which]
            some = Requests(requests.objects[which] - group.base, requests.offsets[which], of, of)
            with _counted(which):
                sizes[which] = getattr(group.objects, how)(some, into.take(which)).sizes
        return EncodedBatch(into.data, into.starts, sizes, into.host)

    def fetched(self, numbers: np.ndarray, offsets: np.ndarray, sizes: np.ndarray, joins: bool = True) -> EncodedBatch:
        """Fetch ranges to memory of their own. Those near to each other are fetched as one if it `joins`."""
        requests = self.requests(numbers, offsets, sizes) if joins else Requests(numbers, offsets, sizes, sizes)
        into = allocated(requests.sizes, lambda nbytes: np.empty(nbytes, np.uint8))
        found = requests.ranges(into)
        lost = self.read(requests, into).sizes < 0
        if np.count_nonzero(lost):
            name = self.name(int(requests.objects[lost.argmax()]))
            raise StoreError(f"{name}, which should hold others, is not there")
        return found

    def reader(self, reads: Sequence[Read]) -> Fill:
        if len(self.groups) == 1:
            only: Fill = self.groups[0].objects.reader(reads)
            return only
        fills: dict[int, tuple[Fill, int]] = {}
        for group, which in self._parts(np.array([read[0] for read in reads], np.int64)):
            with _counted(which):
                fill = group.objects.reader([(reads[i][0] - group.base, *reads[i][1:]) for i in which.tolist()])
            fills.update((i, (fill, j)) for j, i in enumerate(which.tolist()))

        def filled(i: int, into: memoryview) -> None:
            fill, number = fills[i]
            fill(number, into)

        return filled

    def _parts(self, numbers: np.ndarray) -> Iterator[tuple[Group, np.ndarray]]:
        """The groups that have some of these objects, and the numbers of the rows that are theirs."""
        for group in self.groups:
            which = np.flatnonzero((numbers >= group.base) & (numbers < group.end))
            if len(which):
                yield group, which


@contextmanager
def _counted(which: np.ndarray) -> Iterator[None]:
    """Context in which a RangeError gets the number of the range among all."""
    try:
        yield
    except RangeError as error:
        error.index = int(which[error.index])
        raise


def together(n: int, found: Sequence[tuple[np.ndarray, Requests]]) -> Requests:
    """The requests for n ranges, of requests for some of them each."""
    if len(found) == 1 and len(found[0][0]) == n:
        return found[0][1]
    wanted = np.zeros(n, np.int64)
    for which, each in found:
        wanted[which] = each.wanted
    if all(each.within is None for _, each in found):
        objects, offsets, sizes = np.zeros((3, n), np.int64)
        for which, each in found:
            objects[which], offsets[which], sizes[which] = each.objects, each.offsets, each.sizes
        return Requests(objects, offsets, sizes, sizes if (sizes == wanted).all() else wanted)
    within, skip, base = np.zeros(n, np.int64), np.zeros(n, np.int64), 0
    for which, each in found:
        within[which] = base + (np.arange(len(which)) if each.within is None else each.within)
        skip[which] = 0 if each.skip is None else each.skip
        base += len(each.sizes)
    columns = [[each.objects, each.offsets, each.sizes] for _, each in found]
    objects, offsets, sizes = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Requests(objects, offsets, sizes, wanted, within, skip)
