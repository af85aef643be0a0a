"""Chunks that the C library reads from files, decodes and places, where Python's work for each step is saved.

What it does not do well, it leaves: missing chunks, unusual and damaged ones. Python then reads these, and says what is
wrong with them, as where there is no library.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import address, most_compressed
from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu.boxes import MAX_AXES
from gpuzarr.cpu.functions import Function
from gpuzarr.cpu.jobs import OPEN, WHOLE, Jobs, Spent, paths_of, run
from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.boxes import BoxesOfChunk
from gpuzarr.indexing.region import Chunk
from gpuzarr.stores.local.open_files import OPEN_FLAGS

Where = tuple[int, int, int, int]  # address of a path, file, offset, bytes
MIN_CALL_BYTES = 1 << 18  # decoded; less are not worth a call
MAX_CALL_BYTES = 1 << 26  # decoded in one call, which no interrupt can end, if a chunk has not more
CALLS_PER_THREAD = 4  # where several share chunks, so that all end at about the same time
MAX_UNPARTED_CHUNKS = 4  # for each thread; of so few either all are for the library, or none


def can_read(chain: Chain, results: Sequence[Any]) -> bool:
    """Whether the library can read chunks of this chain into arrays."""
    dtype = chain.spec.dtype
    if native.library() is None or dtype.hasobject or not chain.spec.nbytes or not chain.has_decode_function:
        return False
    return 0 < len(chain.spec.shape) <= MAX_AXES and all(out.dtype == dtype for out in results)


def stored_most(chain: Chain) -> int:
    """Bytes of scratch for a stored chunk; larger ones are left to Python."""
    return 0 if chain.is_uncompressed else min(chain.stored_size.most, most_compressed(chain.spec.nbytes or 0))


def in_files(paths: Sequence[str]) -> tuple[Any, list[Where | None]]:
    """Where chunks are that are whole files; and what keeps that valid. None for a path that no file can have."""
    memory, addresses = paths_of(paths)
    return memory, [(at, OPEN, 0, WHOLE) if at else None for at in addresses]


def place_of(chunk: Chunk, out: Any, shape: tuple[int, ...]) -> Any:
    """The part of `out` that is the whole chunk, if it lies there as a chunk of this shape does; else None."""
    if chunk[2] is not None:
        place = out[chunk[3]]
    else:
        place = chunk[3].whole(out) if isinstance(chunk[3], BoxesOfChunk) else None
    return place if place is not None and place.shape == shape and place.flags.carray else None


def _in_a_call(chunks: int, nbytes: int, threads: int) -> int:
    """How many of the chunks, of so many decoded bytes each, a thread reads in one call."""
    calls = 1 if threads < 2 else CALLS_PER_THREAD * threads
    least = min(MIN_CALL_BYTES // nbytes, -(-chunks // max(threads, 1)))
    return max(1, least, min(chunks // calls, MAX_CALL_BYTES // nbytes))


@dataclass(frozen=True)
class ByLibrary:
    """Chunks of one array that the library reads into `out`, the result or `Targets`."""

    chain: Chain
    out: Any
    device: Any
    trace: Trace

    def read(self, chunks: Sequence[Chunk], where: Sequence[Where | None], threads: int) -> list[int]:
        """Read chunks; each of several threads takes the next few. Returns the numbers of those that are left."""
        decode, jobs = self.chain.decode_function(), Jobs(self.chain.spec.strides)
        left: list[int] = []
        added: list[int] = []
        for i, chunk in enumerate(chunks):
            (added if self._has_added(jobs, chunk, where[i], decode) else left).append(i)
        if left and len(chunks) <= MAX_UNPARTED_CHUNKS * threads:  # the others would wait for these, or these for them
            return list(range(len(chunks)))
        if added:
            failed = self.run(jobs.table(), threads)
            left += [added[i] for i in np.flatnonzero(failed).tolist()]
        self.trace.count(chunks=len(chunks) - len(left))
        return sorted(left)

    def run(self, jobs: np.ndarray, threads: int) -> np.ndarray:
        """Do all jobs. Returns which did not go well, bool (n,)."""
        failed, most = np.zeros(len(jobs), bool), _in_a_call(len(jobs), self.chain.spec.nbytes or 1, threads)
        groups = [slice(i, i + most) for i in range(0, len(jobs), most)]
        self.device.share(lambda some: self._run_some(jobs, some, failed), groups, min(threads, len(groups)))
        return failed

    def _run_some(self, jobs: np.ndarray, groups: Iterable[slice], failed: np.ndarray) -> None:
        """Do the part of one thread."""
        chain, spent, nbytes = self.chain, Spent(), self.chain.spec.nbytes or 0
        decode = chain.decode_function()
        with self.device.scratch_scope():
            stored, decoded = self.device.empty(stored_most(chain)), self.device.empty(nbytes)
            for some in groups:
                failed[some] = run(jobs[some], decode, nbytes, stored, decoded, OPEN_FLAGS, spent)
        spent.tell(self.trace)

    def _has_added(self, jobs: Jobs, chunk: Chunk, where: Where | None, decode: Function | None) -> bool:
        """Add a chunk to the jobs. False for one that is not for the library."""
        _, _, inside, outside, begin, end = chunk
        item, nbytes = self.chain.spec.dtype.itemsize, self.chain.spec.nbytes or 0
        wanted = begin * item, (end + 1) * item
        if where is None or (decode is not None and wanted[1] < nbytes - decode.min_skipped):
            return False
        if (place := place_of(chunk, self.out, self.chain.spec.shape)) is not None:
            jobs.add(where, wanted, address(place))
        elif inside is not None:
            jobs.add_slices(where, wanted, inside, outside, self.out)
        elif isinstance(outside, BoxesOfChunk):
            placement = outside.of.placement_of(self.out, self.chain.spec.dtype, self.chain.spec.strides)
            if placement is None:
                return False
            jobs.add_boxes(where, wanted, placement, (outside.number, outside.first, outside.end))
        else:
            return False
        return True
