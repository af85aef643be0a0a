"""Decode chunks of an array, in bounded memory, only to see whether that can be done.

On a GPU batches of chunks are decoded there. A batch that something is wrong with is then decoded by the CPU, in
halves, down to the chunks that are damaged; so the same chunks are found on every device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from gpuzarr.codecs.chain import Chain
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CHUNK_FAULTS, ChunkError, GpuZarrError, StoreError
from gpuzarr.indexing.axis import decoded_of
from gpuzarr.metadata import RegularAxis
from gpuzarr.nodes.array import Array
from gpuzarr.read.faults import halved
from gpuzarr.read.fetch import Memory, blamed, decode, fetch
from gpuzarr.read.fetched import Fetched

VARIABLE_BATCH_CHUNKS = 8  # of a batch whose chunks may become of any size
MAX_BATCH_CHUNKS = 4096
MEMORY_SHARE = 8  # of the memory limit that the decoded chunks of a batch take: as many are loaded, and encoded


@dataclass(frozen=True)
class Some:
    """Chunks of one shape, by their coordinates, int64 (n, ndim)."""

    coords: np.ndarray
    chain: Chain

    def __len__(self) -> int:
        return len(self.coords)

    def split(self, most: int) -> Iterator[Some]:
        """The same in parts of at most so many chunks."""
        for first in range(0, len(self.coords), most):
            yield replace(self, coords=self.coords[first : first + most])


@dataclass(frozen=True)
class Fault:
    """A chunk that cannot be read, and why."""

    chunk: tuple[int, ...]
    error: GpuZarrError


def too_large(array: Array, limit: int) -> int | None:
    """Bytes of a decoded chunk that has more than the limit; None if none has."""
    spec = array.layout.spec
    axes = array.layout.axes
    shape = [axis.size if isinstance(axis, RegularAxis) else max(axis.decoded_sizes, default=0) for axis in axes]
    nbytes = 0 if spec.nbytes is None else prod(shape) * spec.dtype.itemsize
    return nbytes if nbytes > limit else None


def damaged(array: Array, coords: np.ndarray, limit: int) -> list[Fault]:
    """Decode the chunks at `coords`, int64 (n, ndim), and return those that cannot be. A missing chunk is no fault."""
    run = _Run(array, limit)
    if array.device.gpu:
        run.by_gpu(coords)
    else:
        CPU.each(run.judge, list(run.batches(coords, CPU)))
    return sorted(run.faults, key=lambda fault: fault.chunk)


class _Run:
    """Decodes chunks of an array, and notes those that cannot be."""

    def __init__(self, array: Array, limit: int) -> None:
        self._array, self._limit = array, limit
        self.faults: list[Fault] = []
        self._doubtful: list[Some] = []

    def batches(self, coords: np.ndarray, device: Device) -> Iterator[Some]:
        """The chunks in batches, each of one shape."""
        most_bytes = min(device.batch_bytes, max(self._limit // MEMORY_SHARE, 1))
        for shape, some in self._by_shape(coords):
            chain = self._array.layout.chain(shape)
            nbytes = chain.spec.nbytes
            most = VARIABLE_BATCH_CHUNKS if nbytes is None else most_bytes // max(nbytes, 1)
            yield from Some(some, chain).split(min(max(most, 1), MAX_BATCH_CHUNKS))

    def _by_shape(self, coords: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        layout = self._array.layout
        if layout.is_regular:
            yield layout.first_chunk_shape, coords
            return
        sizes = [decoded_of(axis, coords[:, i]) for i, axis in enumerate(layout.axes)]
        shapes, which = np.unique(np.stack(sizes, axis=1), axis=0, return_inverse=True)
        for number, shape in enumerate(shapes.tolist()):
            yield tuple(shape), coords[which.reshape(-1) == number]

    def by_gpu(self, coords: np.ndarray) -> None:
        device = self._array.device
        with device.on():
            device.run(self._load, self._launch, self.batches(coords, device))
        for some in self._doubtful:
            for part in self._for_cpu(some):
                self.judge(part)

    def _for_cpu(self, some: Some) -> Iterator[Some]:
        return self.batches(some.coords, CPU)

    def _load(self, some: Some) -> tuple[Some, Fetched | None]:
        try:
            memory = Memory(self._array.device, max_bytes=self._limit, chain=some.chain)
            fetched = fetch(self._array, some.coords, memory)
            if fetched is not None:
                chain, encoded = some.chain.verified(fetched.encoded)
                return replace(some, chain=chain), replace(fetched, encoded=encoded)
        except (*CHUNK_FAULTS, ChunkError, StoreError):
            pass
        self._doubtful.append(some)
        return some, None

    def _launch(self, loaded: tuple[Some, Fetched | None]) -> Any:
        some, fetched = loaded
        if fetched is None or not len(fetched.encoded):
            return None
        try:
            chunks = decode(self._array, fetched, some.chain, some.coords, self._array.device)
        except ChunkError:
            self._doubtful.append(some)
            return None
        complete = self._array.device.checked()

        def completed() -> None:
            try:
                if complete is not None:
                    complete()
            except CHUNK_FAULTS:
                self._doubtful.append(some)
            nonlocal chunks
            chunks = None  # the device may write to it until now

        return completed

    def judge(self, some: Some) -> None:
        """Decode chunks by the CPU, and note those that cannot be."""
        some = replace(some, chain=self._array.layout.chain(some.chain.spec.shape))
        halved(some, self._read, lambda one, error: self.faults.append(Fault(tuple(one.coords[0].tolist()), error)))

    def _read(self, some: Some) -> None:
        with CPU.scratch_scope():
            fetched = fetch(self._array, some.coords, Memory(CPU, max_bytes=self._limit, chain=some.chain))
            if fetched is None:  # more than the limit together
                for half in some.split(-(-len(some) // 2)):
                    self.judge(half)
            elif len(fetched.encoded):
                try:
                    decode(self._array, fetched, some.chain, some.coords, CPU)
                except CHUNK_FAULTS as error:
                    raise blamed(error, self._array, some.coords[fetched.present]) from error
