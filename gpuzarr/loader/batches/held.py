"""Decoded chunks that are held while blocks that need them are live: each is fetched and decoded once for that time.
Where blocks share chunks they are held on until others need the room, for a block beside may need them next; elsewhere
their slots are used again before there are more of them.

Threads of the loader use it, one at a time. The main thread does not: an interrupt might leave the lock held.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import GpuZarrError
from gpuzarr.indexing.boxes import ChunkBoxes
from gpuzarr.indexing.grid import of_one_shape
from gpuzarr.loader.batches.needs import Needs, added, union, without
from gpuzarr.loader.batches.slots import MAX_SHARED_BYTES, MAX_SLAB_BYTES, Slots, complete
from gpuzarr.loader.batches.sources import Form, Source, Sources
from gpuzarr.loader.batches.table import NONE, Seen, Table
from gpuzarr.nodes.reading import look_for_chunks, reported
from gpuzarr.read import read_tables
from gpuzarr.read.faults import Fault
from gpuzarr.read.requests import SeveralSelections

Loaded = tuple[Device, Trace]  # a read that was done
Failure = tuple[int, int]  # numbers of the source and of the chunk


class Held:
    """Chunks of the sources that are held. `budget`: bytes that may be, where the caller need not have more; and less
    than a slab of each form beside them, if there are several forms.

    `failed`: errors of chunks that could not be read, which have the fill value. `wanted_again`: sources whose chunks
    are worth their memory after all blocks have left them, as blocks that come later want them.
    """

    def __init__(self, sources: Sources, budget: int, options: dict[str, Any]) -> None:
        self.sources, self.budget, self._options = sources, budget, options
        self.lock = threading.Lock()
        self.tables = [Table.empty() for _ in sources.all]
        self.slots: dict[Form, Slots] = {}
        self.failed: dict[Failure, GpuZarrError] = {}
        self.decoded = self.distinct = self.decoded_bytes = self.peak_bytes = self._now = 0
        self._left: dict[Form, set[int]] = {source.form: set() for source in sources.all}  # sources with idle chunks
        self._seen = [Seen() for _ in sources.all]
        self.wanted_again: set[int] = set()
        forms = {source.form: source for source in sources.all}
        most = MAX_SLAB_BYTES if len(forms) == 1 else MAX_SHARED_BYTES
        for form, source in forms.items():
            self.slots[form] = Slots(source.device, source.chunk_shape, source.dtype, most)

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return sum(slots.nbytes for slots in self.slots.values())

    def _missing(self, needs: Needs) -> Needs:
        found = {number: self.tables[number].missing(chunks) for number, chunks in needs.items()}
        return {number: some for number, some in found.items() if len(some)}

    def unused(self, needs: Iterable[Needs]) -> Needs:
        """What of these needs no block that is live needs, whether it is held or not: it wants slots."""
        with self.lock:
            found = {number: self.tables[number].unused(chunks) for number, chunks in union(needs).items()}
            return {number: some for number, some in found.items() if len(some)}

    def has_room(self, sizes: Mapping[int, int], needs: Sequence[Needs]) -> bool:
        """Whether all of these needs may be held. What nobody uses is freed for that.

        `sizes`: of each source the most chunks that may take slots for that (`unused`, added up).
        """
        with self.lock:
            if self.nbytes + self._growth(sizes) <= self.budget:
                return True
            needed = union(needs)
            if self._fits(needed):
                return True
            if len(self.slots) == 1:  # all that can be freed was counted
                return False
            wanted = {self.sources.all[number].form for number in needed}
            for form in sorted(self.slots, key=wanted.__contains__):  # slots that are wanted are best kept
                self._evict(form, self._count_idle(form, needed), needed)
                self.slots[form].trim()
                if self._fits(needed):
                    return True
            return False

    def compact(self, needs: Sequence[Needs]) -> None:
        """Free as much as can be, but what these needs have. Nothing is cut or loaded meanwhile."""
        with self.lock:
            needed = union(needs)
            for form, slots in self.slots.items():
                self._evict(form, self._count_idle(form, needed), needed)
                tables = [t for t, source in zip(self.tables, self.sources.all, strict=True) if source.form == form]
                left, taken = slots.compact(np.concatenate([table.slots for table in tables]))
                for table in tables if len(left) else ():
                    at = np.minimum(np.searchsorted(left, table.slots), len(left) - 1)
                    moved = np.where(left[at] == table.slots, taken[at], table.slots)
                    table.move(moved, slots.addresses(moved))

    def _idle(self, form: Form, needed: Needs) -> np.ndarray:
        """Chunks of a form that no block needs, nor `needed` has, int64 (n, 3): when a block left them, the number of
        their source, and theirs."""
        found = [np.zeros((0, 3), np.int64)]
        for number in sorted(self._left[form]):
            table = self.tables[number]
            idle = table.idle(needed.get(number, NONE))
            found.append(np.stack([table.ages(idle), np.full_like(idle, number), idle], axis=1))
            if not len(idle) and number not in needed:
                self._left[form].discard(number)
        return np.concatenate(found)

    def _count_idle(self, form: Form, needed: Needs) -> int:
        """How many these are."""
        return sum(self.tables[number].count_idle(needed.get(number, NONE)) for number in self._left[form])

    def _evict(self, form: Form, count: int, needed: Needs) -> None:
        """Give back the slots of so many chunks that no block needs, those first that were left first."""
        if not count:
            return
        idle = self._idle(form, needed)
        chosen = idle[np.argsort(idle[:, 0], kind="stable")[:count]]
        for number in np.unique(chosen[:, 1]).tolist():
            chunks = np.sort(chosen[chosen[:, 1] == number, 2])
            self.slots[form].give(self.tables[number].remove(chunks))

    def _fits(self, needed: Needs) -> bool:
        counts = self._by_form({number: len(chunks) for number, chunks in self._missing(needed).items()})
        grown = sum(self.slots[form].growth(n - self._count_idle(form, needed)) for form, n in counts.items())
        return self.nbytes + grown <= self.budget

    def _growth(self, sizes: Mapping[int, int]) -> int:
        """Bytes that so many more chunks of the sources take."""
        return sum(self.slots[form].growth(n) for form, n in self._by_form(sizes).items())

    def enter(self, needs: Sequence[Needs]) -> Needs:
        """Note blocks with these needs. Returns what of that was not held, and is to be loaded into its slots."""
        with self.lock:
            wanted = union(needs)
            missing = self._missing(wanted)
            self._note_again(wanted, missing)
            self._make_room(missing, wanted)
            for number, chunks in missing.items():
                slots = self.slots[self.sources.all[number].form]
                taken = slots.take(len(chunks))
                self.tables[number].add(chunks, taken, slots.addresses(taken))
            for one in needs:
                for number, chunks in one.items():
                    self.tables[number].use(chunks)
            self.peak_bytes = max(self.peak_bytes, self.nbytes)
        return missing

    def _note_again(self, wanted: Needs, missing: Needs) -> None:
        """Note of which sources chunks are wanted that all blocks had left: such chunks are worth their memory."""
        for number, chunks in wanted.items():
            if number not in self.wanted_again:
                gone = missing.get(number, NONE)
                is_idle = len(self.tables[number].unused(chunks)) > len(gone)
                if is_idle or self._seen[number].has_any(gone):
                    self.wanted_again.add(number)

    def _make_room(self, missing: Needs, needed: Needs) -> None:
        """Give back slots of chunks that no block needs, so that others take no more memory than the budget has; and
        where chunks are not wanted again, no more than they must: memory that was used before is faster."""
        counts = self._by_form({number: len(chunks) for number, chunks in missing.items()})
        beyond = self.nbytes + self._growth({n: len(chunks) for n, chunks in missing.items()}) - self.budget
        kept = {self.sources.all[number].form for number in self.wanted_again}
        for form, count in counts.items():
            each = max(self.slots[form].slot_bytes, 1)
            some = self.slots[form].growth(count) // each
            some = min(some, -(-max(beyond, 0) // each)) if form in kept else some
            some = min(some, self._count_idle(form, needed))
            self._evict(form, some, needed)
            beyond -= some * each

    def _by_form(self, sizes: Mapping[int, int]) -> dict[Form, int]:
        """Numbers of chunks of each form, of those by source."""
        found: dict[Form, int] = {}
        for number, count in sizes.items():
            form = self.sources.all[number].form
            found[form] = found.get(form, 0) + count
        return found

    def leave(self, needs: Needs) -> None:
        """Note that a block with these needs is done. What was read is held until there is no room for it."""
        with self.lock:
            self._now += 1
            for number, chunks in needs.items():
                table = self.tables[number]
                table.leave(chunks, self._now)
                self._left[self.sources.all[number].form].add(number)
                if len(gone := table.unread(chunks)) and len(gone := np.intersect1d(gone, table.idle())):
                    self.slots[self.sources.all[number].form].give(table.remove(gone))
                    for chunk in gone.tolist() if self.failed else ():
                        self.failed.pop((number, chunk), None)

    def find(self, number: int, chunks: np.ndarray) -> np.ndarray:
        """The slots of chunks of a source."""
        with self.lock:
            return self.tables[number].find(chunks)

    def addresses(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the chunks of a source that are held, ascending, and their addresses, int64 (n,)."""
        return self.tables[number].places

    def load(self, missing: Needs) -> list[Loaded]:
        """Read chunks into their slots, in one read for each device. Those that fail are noted in `failed`, and have
        the fill value. What no live block needs by now is left out."""
        with self.lock:
            missing = without(missing, self._missing(missing))
            slots = {number: self.tables[number].find(chunks) for number, chunks in missing.items()}
        groups: dict[Any, list[int]] = {}
        for number in missing:
            source = self.sources.all[number]
            groups.setdefault((id(source.device), *source.array.options.values), []).append(number)
        return [self._load({number: missing[number] for number in some}, slots) for some in groups.values()]

    def _load(self, missing: Needs, slots: Needs) -> Loaded:
        """Read chunks of sources on one device."""
        tables = [self._table(self.sources.all[n], chunks, slots[n]) for n, chunks in missing.items()]
        arrays = [self.sources.all[number].array for number in missing]
        device, options = self.sources.all[next(iter(missing))].device, arrays[0].options.changed(**self._options)
        traces, faults = list[Trace](), list[Fault]()

        def read(trace: Trace) -> None:
            traces.append(trace)
            read_tables(tables, device, options, trace, faults)

        with device.after(None, "loading"):
            if not reported(arrays, read, device, self.nbytes_of(added({}, missing))) and not faults:
                look_for_chunks(arrays)
            complete(device)
        with self.lock:
            self._note(missing, faults)
        return device, traces[0]

    def _table(self, source: Source, chunks: np.ndarray, slots: np.ndarray) -> SeveralSelections:
        """The table that decodes chunks into their slots."""
        targets, rows = self.slots[source.form].targets(slots)
        _, sizes = source.bounds(chunks)
        zeros, number = np.zeros_like(sizes), np.arange(len(chunks))
        table = ChunkBoxes(source.coords(chunks), (), number, zeros, np.ones_like(sizes), sizes, rows, zeros)
        return SeveralSelections(source.array, list(of_one_shape(table, source.axes)), targets)

    def nbytes_of(self, sizes: Mapping[int, int]) -> int:
        """Bytes of so many chunks of these sources."""
        return sum(self.sources.all[number].chunk_bytes * count for number, count in sizes.items())

    def parts(self, missing: Needs, nbytes: int) -> Iterator[Needs]:
        """Chunks in parts of about so many bytes."""
        share = max(-(-self.nbytes_of(added({}, missing)) // nbytes), 1)
        for i in range(share):
            cuts = {n: slice(i * len(some) // share, (i + 1) * len(some) // share) for n, some in missing.items()}
            yield {n: missing[n][cut] for n, cut in cuts.items() if cut.stop > cut.start}

    def _note(self, missing: Needs, faults: Sequence[Fault]) -> None:
        """Count what was decoded, and note what was not. What fails again stays in `failed` all the time: cut threads
        look there."""
        by_array = {id(self.sources.all[number].array): number for number in missing}
        failed: dict[Failure, GpuZarrError] = {}
        for fault in faults:
            number = by_array[id(fault.source)]
            coords = np.array([fault.chunk], np.int64).reshape(1, -1)
            failed[number, int(self.sources.all[number].numbers(coords)[0])] = fault.error
        self.failed.update(failed)
        for number, chunks in missing.items():
            source = self.sources.all[number]
            self.distinct += self._seen[number].add(chunks)
            self.decoded += len(chunks)
            self.decoded_bytes += len(chunks) * source.chunk_bytes
            self.tables[number].note_read(chunks, True)
            for chunk in chunks.tolist() if self.failed else ():
                if (number, chunk) in failed:
                    self.tables[number].note_read(np.array([chunk], np.int64), False)
                else:
                    self.failed.pop((number, chunk), None)
