"""Decoded chunks that are held while blocks that need them are live: each is fetched and decoded once for that time.

Threads of the loader use it, one at a time. The main thread does not: an interrupt might leave the lock held.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import GpuZarrError
from gpuzarr.indexing.selection import Outer
from gpuzarr.loader.needs import Form, Needs, Source, Sources, union
from gpuzarr.loader.slots import Slots, complete
from gpuzarr.nodes.reading import read_reported
from gpuzarr.read.faults import Fault
from gpuzarr.read.requests import Request

Failure = tuple[int, int]  # numbers of the source and of the chunk


@dataclass
class Table:
    """The chunks of one source that are held: `numbers`, ascending; the slot of each, and by how many blocks it is
    needed. int64 (n,) each."""

    numbers: np.ndarray
    slots: np.ndarray
    uses: np.ndarray

    @classmethod
    def empty(cls) -> Table:
        return cls(*(np.zeros(0, np.int64) for _ in range(3)))

    def missing(self, numbers: np.ndarray) -> np.ndarray:
        """Those of some numbers that are not held."""
        return numbers[~self._there(numbers)[0]]

    def add(self, numbers: np.ndarray, slots: np.ndarray) -> None:
        """Add chunks that were missing."""
        at = np.searchsorted(self.numbers, numbers)
        self.numbers, self.slots = np.insert(self.numbers, at, numbers), np.insert(self.slots, at, slots)
        self.uses = np.insert(self.uses, at, 0)

    def use(self, numbers: np.ndarray) -> None:
        """Note one more block that needs these chunks."""
        self.uses[np.searchsorted(self.numbers, numbers)] += 1

    def leave(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Note one block less. Returns numbers and slots of those that nobody needs any more."""
        self.uses[np.searchsorted(self.numbers, numbers)] -= 1
        gone = self.uses == 0
        numbers, slots = self.numbers[gone], self.slots[gone]
        if len(numbers):
            kept = ~gone
            self.numbers, self.slots, self.uses = self.numbers[kept], self.slots[kept], self.uses[kept]
        return numbers, slots

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """The slots of chunks that are held."""
        there, at = self._there(numbers)
        assert there.all(), "a chunk is needed that no live block needs"
        return self.slots[at]

    def _there(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(self.numbers):
            return np.zeros(len(numbers), bool), np.zeros(len(numbers), np.int64)
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        return self.numbers[at] == numbers, at


class Held:
    """Chunks of the sources that are held. `budget`: bytes that may be, where the caller need not have more.

    `failed`: errors of chunks that could not be read, which have the fill value.
    """

    def __init__(self, sources: Sources, budget: int, options: dict[str, Any]) -> None:
        self.sources, self.budget, self._options = sources, budget, options
        self.lock = threading.Lock()
        self.tables = [Table.empty() for _ in sources.all]
        self.slots: dict[Form, Slots] = {}
        self.failed: dict[Failure, GpuZarrError] = {}
        self.decoded = self.distinct = self.decoded_bytes = self.peak_bytes = 0
        self._seen = [np.zeros(0, bool) for _ in sources.all]
        for source in sources.all:
            self.slots.setdefault(source.form, Slots(source.device, source.chunk_shape, source.dtype))

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(slots.nbytes for slots in self.slots.values())

    def missing(self, needs: Iterable[Needs]) -> Needs:
        """What of these needs is not held."""
        with self.lock:
            return self._missing(needs)

    def _missing(self, needs: Iterable[Needs]) -> Needs:
        found = {number: self.tables[number].missing(chunks) for number, chunks in union(needs).items()}
        return {number: some for number, some in found.items() if len(some)}

    def has_room(self, missing: Needs) -> bool:
        """Whether so many chunks more may be held. What nobody uses is freed for that."""
        with self.lock:
            if self._fits(missing):
                return True
            wanted = {self.sources.all[number].form for number in missing}
            for form in sorted(self.slots, key=wanted.__contains__):  # slots that are wanted are best kept
                self.slots[form].trim()
                if self._fits(missing):
                    return True
            return False

    def _fits(self, missing: Needs) -> bool:
        wanted: dict[Form, int] = {}
        for number, chunks in missing.items():
            form = self.sources.all[number].form
            wanted[form] = wanted.get(form, 0) + len(chunks)
        return self.nbytes + sum(self.slots[form].growth(n) for form, n in wanted.items()) <= self.budget

    def enter(self, needs: Sequence[Needs]) -> Needs:
        """Note blocks with these needs. Returns what of that was not held, and is to be loaded into its slots."""
        with self.lock:
            missing = self._missing(needs)
            for number, chunks in missing.items():
                slots = self.slots[self.sources.all[number].form].take(len(chunks))
                self.tables[number].add(chunks, slots)
            for one in needs:
                for number, chunks in one.items():
                    self.tables[number].use(chunks)
            self.peak_bytes = max(self.peak_bytes, self.nbytes)
        return missing

    def leave(self, needs: Needs) -> None:
        """Note that a block with these needs is done."""
        with self.lock:
            for number, chunks in needs.items():
                gone, slots = self.tables[number].leave(chunks)
                if len(gone):
                    self.slots[self.sources.all[number].form].give(slots)
                    for chunk in gone.tolist() if self.failed else ():
                        self.failed.pop((number, chunk), None)

    def find(self, number: int, chunks: np.ndarray) -> np.ndarray:
        """The slots of chunks of a source."""
        with self.lock:
            return self.tables[number].find(chunks)

    def load(self, missing: Needs) -> list[tuple[Device, Trace]]:
        """Read chunks into their slots, in one read for each device. Those that fail are noted in `failed`, and have
        the fill value."""
        groups: dict[Any, list[int]] = {}
        for number in missing:
            source = self.sources.all[number]
            groups.setdefault((id(source.device), *source.array.options.values), []).append(number)
        traces = []
        for numbers in groups.values():
            first, faults = self.sources.all[numbers[0]], list[Fault]()
            requests = [
                one
                for n in numbers
                for one in self._requests(self.sources.all[n], missing[n], self.find(n, missing[n]))
            ]
            arrays = [self.sources.all[n].array for n in numbers]
            options = first.array.options.changed(**self._options)
            with first.device.after(None, "loading"):
                report = read_reported(arrays, requests, first.device, options, faults)
                complete(first.device)
            traces.append((first.device, report.trace))
            with self.lock:
                self._note(numbers, missing, faults)
        return traces

    def _requests(self, source: Source, chunks: np.ndarray, slots: np.ndarray) -> Iterable[Request]:
        starts, sizes = source.bounds(chunks)
        arrays = self.slots[source.form].arrays(slots)
        for begin, size, slot in zip(starts.tolist(), sizes.tolist(), arrays, strict=True):
            axes = tuple([range(at, at + n) for at, n in zip(begin, size, strict=True)])
            yield Request(source.array, Outer(axes), slot[(*map(slice, size), ...)])

    def nbytes_of(self, needs: Needs) -> int:
        """Bytes of so many chunks."""
        return sum(self.sources.all[number].chunk_bytes * len(chunks) for number, chunks in needs.items())

    def parts(self, missing: Needs, nbytes: int) -> Iterator[Needs]:
        """Chunks in parts of about so many bytes."""
        share = max(-(-self.nbytes_of(missing) // nbytes), 1)
        for i in range(share):
            cuts = {n: slice(i * len(some) // share, (i + 1) * len(some) // share) for n, some in missing.items()}
            yield {n: missing[n][cut] for n, cut in cuts.items() if cut.stop > cut.start}

    def _note(self, numbers: Sequence[int], missing: Needs, faults: Sequence[Fault]) -> None:
        """Count what was decoded, and note what was not."""
        for number in numbers:
            source, chunks = self.sources.all[number], missing[number]
            if not len(self._seen[number]):
                self._seen[number] = np.zeros(max(source.array.layout.chunk_count, 1), bool)
            self.distinct += int(np.count_nonzero(~self._seen[number][chunks]))
            self._seen[number][chunks] = True
            self.decoded += len(chunks)
            self.decoded_bytes += len(chunks) * source.chunk_bytes
            for chunk in chunks.tolist() if self.failed else ():
                self.failed.pop((number, chunk), None)
        by_array = {id(self.sources.all[number].array): number for number in numbers}
        for fault in faults:
            number = by_array[id(fault.source)]
            coords = np.array([fault.chunk], np.int64).reshape(1, -1)
            self.failed[number, int(self.sources.all[number].numbers(coords)[0])] = fault.error
