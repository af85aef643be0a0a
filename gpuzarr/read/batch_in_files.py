"""Batches whose chunks the C library reads from files, decodes and places, one after the other in a core's cache.

What it cannot do, it leaves: arrays with a cache, other codecs, casts. And a batch with an unusual or damaged chunk is
read again by Python, which says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import address
from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu.boxes import Placement
from gpuzarr.cpu.jobs import Spent, placed_rows, rows_of, run
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import CodecError
from gpuzarr.indexing.locate import Route
from gpuzarr.indexing.shard_indexes import Indexes
from gpuzarr.read.by_library import can_read, stored_most
from gpuzarr.read.place import fill_missing, placements_of
from gpuzarr.read.portions import Batch, Portion
from gpuzarr.read.unchanged import unchanged_all
from gpuzarr.stores.contract import Objects, concurrency
from gpuzarr.stores.in_files import open_files
from gpuzarr.stores.ranges import MISSING

JOINED_BYTES = 1 << 18  # of small chunks, which are read together: they stay in a core's cache


@dataclass(frozen=True)
class InFiles:
    """Reads batches into their results by the C library, on the calling thread. `indexes`: see `fetch_all`."""

    device: Any
    trace: Trace
    indexes: dict[int, Indexes]

    def can_read(self, batch: Batch) -> bool:
        """Whether it is a batch for the library."""
        if self.device.gpu or batch.cast is not None or any(one.source.cache is not None for one in batch.portions):
            return False
        if any(concurrency(one.source.store) > 1 for one in batch.portions):  # there are no files; opening may ask
            return False
        return can_read(batch.budget.chain, batch.results)

    def read(self, batch: Batch) -> bool:
        """Read a batch. False where Python has to do it, whatever is in the results by then."""
        if not self.can_read(batch):
            return False
        routes = [portion.source.locator.route(portion.coords) for portion in batch.portions]
        opened = [(portion.source, route.keys) for portion, route in zip(batch.portions, routes, strict=True)]
        return unchanged_all(opened, partial(self._read, batch, routes), trace=self.trace)

    def _read(self, batch: Batch, routes: Sequence[Route], objects: Sequence[Objects]) -> bool:
        try:
            found = [self._where(*each) for each in zip(batch.portions, routes, objects, strict=True)]
        except CodecError:  # of the index of a shard
            return False
        if any(each is None for each in found):
            return False
        where = np.concatenate([each for each in found if each is not None])
        present = where[:, 0] != MISSING
        if batch.budget.chain.stored_size.wrong(np.where(present, where[:, 2], MISSING)) is not None:
            return False
        jobs, held = self._jobs(batch, where, present)
        return jobs is not None and (not len(jobs) or self._run(batch.budget.chain, jobs, held))

    def _where(self, portion: Portion, route: Route, objects: Objects) -> np.ndarray | None:
        """The file, the offset and the bytes of each chunk, int64 (n, 3); MISSING as file where there is none."""
        if (files := open_files(objects)) is None:
            return None
        located = portion.source.locator.locate(route, objects, self.indexes.setdefault(id(portion.source), {}))
        ranges = located.ranges
        numbers, begins = (each[ranges.objects] for each in files)
        file = np.where(located.present, numbers, MISSING)
        lengths = np.array(objects.lengths(), np.int64)[ranges.objects]
        sizes = np.where(ranges.sizes < 0, lengths, ranges.sizes)
        if np.count_nonzero((file != MISSING) & (ranges.offsets + sizes > lengths)):
            return None
        return np.stack([file, begins + ranges.offsets, sizes], axis=1)

    def _jobs(self, batch: Batch, where: np.ndarray, present: np.ndarray) -> tuple[np.ndarray | None, Any]:
        """The jobs for chunks that are present, file by file, and what they refer to; None: see `read`.

        Where a chunk is missing there is the fill value.
        """
        nbytes, into = batch.budget.chain.spec.nbytes or 0, batch.in_place
        if not present.all():
            batch, where = fill_missing(batch, present, np, into is not None), where[present]
        order = np.lexsort((where[:, 1], where[:, 0]))
        if into is not None:
            return rows_of(where, nbytes, address(into.data) + into.starts[present])[order], into
        placements = self._placements(batch)
        if placements is None:
            return None, None
        heads = np.cumsum([0, *(count for _, count in placements)]).tolist()
        rows = [placed_rows(where[i : i + n], nbytes, one) for (one, n), i in zip(placements, heads[:-1], strict=True)]
        return (np.concatenate(rows)[order] if rows else where), placements

    def _placements(self, batch: Batch) -> list[tuple[Placement, int]] | None:
        """How to place the chunks, with the number of those that are placed alike; None where NumPy has to."""
        spec = batch.budget.chain.spec
        found = [placements_of(portion, spec.dtype, spec.strides) for portion in batch.portions]
        return None if None in found else [one for some in found for one in some or ()]

    def _run(self, chain: Chain, jobs: np.ndarray, held: Any) -> bool:
        """Do all jobs. `held`: what their addresses are of. False where one went wrong."""
        nbytes, decode, spent = chain.spec.nbytes or 0, chain.decode_function(), Spent()
        with self.device.scratch_scope():
            most = max(JOINED_BYTES, stored_most(chain))
            failed = run(jobs, decode, nbytes, self.device.empty(most), self.device.empty(nbytes), 0, spent)
        if failed.any():
            spent.tell_traffic(self.trace)
            return False
        self.trace.count(chunks=len(jobs))
        spent.tell(self.trace)
        return True
