"""A GPU for machines without one. Everything but the hardware and nvCOMP's inside is real: the launch code, the pointer
tables, grids, the order and types of arguments, the text of the kernels.

Scratch begins poisoned, is poisoned again when nobody refers to it any more (as a GPU's pool may give it to others
then), and lies between guards that are looked at when a batch or a batch of checks ends.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cuda.pending import Pending
from gpuzarr.devices.cuda.pinned import Pinned, rounded
from gpuzarr.devices.cuda.probe import holds
from gpuzarr.devices.nvcomp import compress as nvcomp_compress
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.pipeline import PREFETCH_DEPTH, Complete, Launch, Load, Pipeline
from gpuzarr.devices.trace import BatchMemory, CurrentBatch, MemoryUse, Trace, behind_view
from tests.emulator.arrays import DeviceArray, Xp
from tests.emulator.compiled import Kernel
from tests.emulator.library import Library

GUARD = 512  # bytes on both sides of scratch
POISON, GUARDED, GONE = 0xA5, 0x5A, 0xDD


class Emulated:
    """As devices.cuda.Cuda, on NumPy's memory. `seed`: the order of threads, 0 forward, -1 backward, else shuffled."""

    gpu = True
    threads = 1
    readers = 2
    batch_bytes = 1 << 20
    prefetch_depth = PREFETCH_DEPTH
    memory_limit = write_limit = 64 << 20
    cost = Costs(where="gpu")

    def __init__(self, seed: int = 0) -> None:
        self.name, self.xp, self._seed = "emulated", Xp(), seed
        self._pending, self._library = Pending(), Library()
        self.current, self.held = CurrentBatch(), MemoryUse()
        self._pins = Pinned(lambda nbytes: np.full(nbytes, POISON, np.uint8))
        self._guarded: list[tuple[np.ndarray, int, int, weakref.finalize]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Emulated, (self._seed,)

    def on(self, stream: Any = None) -> AbstractContextManager[None]:
        assert stream is None, "the emulated device has no streams"
        return nullcontext()

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        return np.full(shape, POISON, np.uint8).astype(dtype).view(DeviceArray)

    def holds(self, dtype: np.dtype) -> bool:
        return holds(self.xp, dtype)

    def timestamp(self) -> float:
        return time.perf_counter()

    def after(self, mark: float = 0) -> AbstractContextManager[None]:
        return nullcontext()

    def seconds(self, begin: float, end: float) -> float:
        return end - begin

    def release(self) -> None:
        self._pins.clear()

    def count(self, **numbers: int) -> None:
        self.current.count(**numbers)

    def completed(self) -> None:
        self.current.completed()

    @contextmanager
    def scoped_scratch(self) -> Iterator[None]:
        if (batch_memory := self.current.batch_memory) is None:
            yield
            return
        inner = batch_memory.inner()
        try:
            with self.current.of(inner):
                yield
        finally:
            inner.close()

    @property
    def room(self) -> int | None:
        return self.current.room

    def empty(self, nbytes: int) -> DeviceArray:
        self.current.scratch(nbytes)
        return self._memory(nbytes)

    def _memory(self, nbytes: int) -> DeviceArray:
        memory = np.full(GUARD + 256 + nbytes + GUARD, GUARDED, np.uint8)
        start = GUARD + -(memory.ctypes.data + GUARD) % 256
        memory[start : start + nbytes] = POISON
        handle = np.frombuffer(memoryview(memory), np.uint8)  # every view refers to this
        held = weakref.finalize(handle, memory[start : start + nbytes].fill, GONE)
        held.atexit = False
        self._guarded.append((memory, start, start + nbytes, held))
        return handle[start : start + nbytes].view(DeviceArray)

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        starts, sizes, total = packed(sizes)
        return EncodedBatch(self.empty(total), starts, sizes)

    def pinned_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        starts, sizes, total = packed(sizes)
        return EncodedBatch(self._pin(self.current.staged(total))[:total], starts, sizes)

    def device_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        starts, sizes, total = packed(sizes)
        there = self._memory(total)
        if self.current.batch_memory is not None:
            self.current.batch_memory.keep(there, rounded(total))
        return EncodedBatch(there, starts, sizes)

    def _pin(self, nbytes: int, kind: str = "pinned") -> np.ndarray:
        if self.current.batch_memory is None:
            return np.full(nbytes, POISON, np.uint8)
        buffer = self._pins.take(nbytes)
        self.current.batch_memory.pin(buffer, kind)
        return buffer

    def _give(self, buffer: np.ndarray) -> None:
        buffer.fill(POISON)  # who still reads it shall notice
        self._pins.give(buffer)

    def look_at_guards(self) -> None:
        guarded, self._guarded = self._guarded, []
        for memory, start, end, held in guarded:
            beside = (memory[:start], memory[end:])
            assert all((guard == GUARDED).all() for guard in beside), "something wrote beside its scratch"
            assert held.alive or _is_gone(memory[start:end]), "something wrote to scratch that was let go"

    def run(self, load: Load, finish: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        trace = trace or Trace()
        prefetch_depth = self.prefetch_depth if trace.prefetch_depth is None else trace.prefetch_depth
        batch_memory = partial(BatchMemory, trace, self.held, self._give)
        try:
            with ThreadPoolExecutor(4) as pool:
                Pipeline(
                    load,
                    finish,
                    pool,
                    prefetch_depth,
                    self.current,
                    batch_memory,
                    lambda: None,
                    trace.write_behind_depth,
                ).run(batches)
        finally:
            self._pending.forget()
            self.look_at_guards()

    def upload(self, data: np.ndarray) -> DeviceArray:
        assert not isinstance(data, DeviceArray), "upload takes an array of the host"
        data = np.asarray(data, data.dtype.newbyteorder("="), order="C")  # as CuPy does
        begin, batch_memory = self.timestamp(), self.current.batch_memory
        self.current.count(sent=data.nbytes)
        there = self._memory(data.nbytes).view(data.dtype)
        there.view(np.ndarray)[...] = data.reshape(-1)
        if batch_memory is not None and batch_memory.pinned(data):
            batch_memory.keep(there, rounded(data.nbytes))
            batch_memory.trace.add_time("copy", begin, self.timestamp())
        elif batch_memory is not None:
            self._pin(data.nbytes, "tables")
            self.current.scratch(data.nbytes)
        return there.reshape(data.shape)

    def download(self, data: DeviceArray) -> np.ndarray:
        return self.download_async(data)()

    def download_async(self, data: DeviceArray) -> Callable[[], np.ndarray]:
        assert isinstance(data, DeviceArray), "what is fetched is an array of the device"
        self.current.count(fetched=data.nbytes)
        return partial(self.xp.asnumpy, data)

    def copy_back(self, data: DeviceArray) -> Callable[..., np.ndarray]:
        """The copy is made as late as it can be: what overwrites `data` meanwhile is noticed."""
        data, batch_memory = self.xp.ascontiguousarray(data), self.current.batch_memory
        if batch_memory is None or not data.nbytes:
            return lambda count=None: self.download(data[:count])
        batch_memory.keep(data, behind_view(data))

        def copy_back(count: int | None = None) -> np.ndarray:
            begin, some = self.timestamp(), data[:count]
            with self.current.of(batch_memory):
                host = self._pin(some.nbytes)[: some.nbytes].view(some.dtype).reshape(some.shape)
                self.current.count(fetched=some.nbytes)
            some.get(out=host)
            batch_memory.trace.add_time("copy", begin, self.timestamp())
            return host

        return copy_back

    def address(self, data: DeviceArray) -> int:
        assert isinstance(data, DeviceArray), "only an array of the device has an address there"
        return data.ctypes.data

    def kernel(self, file: str, name: str) -> Kernel:
        return Kernel(file, name, self._seed)

    def decompress(self, algorithm, sources, sizes, targets, capacities, chunk) -> None:
        self.current.count_streams(algorithm, len(sizes))
        streams = algorithm, sources, sizes, targets, capacities, chunk
        nvcomp.decompress(self, self._library, 0, *streams, most=nvcomp.spare(self.current.room, len(sizes)))

    def compressed_room(self, algorithm, nbytes) -> int:
        return nvcomp_compress.room(self._library, algorithm, nbytes)

    def compression_scratch(self, algorithm, nbytes, effort=0) -> int:
        return nvcomp_compress.scratch_each(self._library, algorithm, nbytes, effort)

    def compress(self, algorithm, sources, sizes, targets, effort=0) -> DeviceArray:
        self.current.count_streams(algorithm, len(sizes))
        streams = algorithm, sources, sizes, targets, effort
        most = nvcomp.spare(self.current.room, len(sizes))
        return nvcomp_compress.compress(self, self._library, 0, *streams, most=most)

    def check(self, bad: DeviceArray, chunk: np.ndarray, problem: str) -> None:
        assert isinstance(bad, DeviceArray) and bad.dtype == np.int32 and bad.shape == (1,)
        self._pending.add(bad, chunk, problem)

    def checked(self) -> Complete | None:
        self.look_at_guards()
        return self._pending.take(self)


def _is_gone(scratch: np.ndarray) -> bool:
    """Whether nobody wrote to it since it was let go; another thread may be about to poison it just now."""
    for _ in range(100):
        if (scratch == GONE).all():
            return True
        time.sleep(0.001)
    return False
