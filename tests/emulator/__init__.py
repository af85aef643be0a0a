"""An emulated GPU for machines without one.

All but the hardware and the inside of nvCOMP is real: launch code, pointer tables, grids, order and types of arguments,
the text of the kernels, memory accounts and the pipeline.

Scratch is filled with poison at first, and again when the last reference to it is gone (a GPU's pool may then give it
to others). It is surrounded by guards, which are compared when a read, a write or a set of checks ends.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch, allocated
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cuda.memory import GpuMemory
from gpuzarr.devices.cuda.pending import Pending
from gpuzarr.devices.cuda.pinned import Pinned, rounded
from gpuzarr.devices.cuda.probe import holds
from gpuzarr.devices.nvcomp.batches import NvcompBatches
from gpuzarr.devices.pipeline import PREFETCH_DEPTH, Complete, Launch, Load
from gpuzarr.devices.trace import Trace, backing_bytes
from gpuzarr.gpu.algorithms import ALGORITHMS
from gpuzarr.line import Line
from tests.emulator import sanitizer
from tests.emulator.arrays import DeviceArray, Xp, address_of, is_full
from tests.emulator.compiled import Kernel
from tests.emulator.library import Library

GUARD_BYTES = 512  # on both sides of scratch
FULL_STREAMS = 16  # of nvCOMP, that keep all of it busy: a real GPU needs thousands
NEW, GUARD, FREED = 0xA5, 0x5A, 0xDD  # bytes of memory that is not initialised, of guards, of memory that was freed


class Emulated:
    """A device like `Cuda` in NumPy's memory. `seed`: order of threads; 0 forward, -1 backward, else shuffled."""

    gpu = True
    threads = 1
    readers = 2
    batch_bytes = 1 << 20
    prefetch_depth, concurrent_batches = PREFETCH_DEPTH, 1
    memory_limit = write_limit = pinned_limit = 64 << 20
    free_bytes = 1 << 30
    cost = Costs({n: replace(a.rate, full=FULL_STREAMS * a.rate.stream) for n, a in ALGORITHMS.items()}, where="gpu")

    def __init__(self, seed: int = 0) -> None:
        self.name, self.xp, self._seed = "emulated", Xp(), seed
        self._pending, self._library = Pending(), Library()
        self._pins = _poisoned_pins()
        self._memory = GpuMemory(self._pins)
        self.current, self.held = self._memory.current, self._memory.held
        self._nvcomp = NvcompBatches(self, lambda: self._library, lambda: nullcontext(0), self.current)
        self._guarded: list[tuple[np.ndarray, int, int, weakref.finalize]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Emulated, (self._seed,)

    def on(self, stream: Any = None) -> AbstractContextManager[None]:
        assert stream is None, "the emulated device has no streams"
        return nullcontext()

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        return np.full(shape, NEW, np.uint8).astype(dtype).view(DeviceArray)

    def stream_at(self, pointer: int) -> None:
        """No stream: see `on`."""

    def holds(self, dtype: np.dtype) -> bool:
        return holds(self.xp, dtype)

    def timestamp(self) -> float:
        return time.perf_counter()

    def after(self, timestamp: float = 0, work: str = "writing") -> AbstractContextManager[None]:
        return nullcontext()

    def seconds(self, begin: float, end: float) -> float:
        return end - begin

    def release(self) -> None:
        self._pins.clear()

    def count(self, **numbers: int) -> None:
        self.current.count(**numbers)

    def completed(self) -> None:
        self.current.completed()

    def scoped_scratch(self) -> AbstractContextManager[None]:
        return self._memory.scoped_scratch(lambda: None)

    def empty(self, nbytes: int) -> DeviceArray:
        self.current.add_scratch(nbytes)
        return self._allocate(nbytes)

    def filled(self, nbytes: int, byte: int) -> DeviceArray:
        made = self.empty(nbytes)
        made.view(np.ndarray).fill(byte)
        return made

    def _allocate(self, nbytes: int) -> DeviceArray:
        """Device memory between guards, aligned to 256 bytes."""
        memory = np.empty(GUARD_BYTES + 256 + nbytes + GUARD_BYTES, np.uint8)
        memory.fill(GUARD)
        start = GUARD_BYTES + -(address_of(memory) + GUARD_BYTES) % 256
        memory[start : start + nbytes] = NEW
        handle = np.frombuffer(memoryview(memory), np.uint8)  # every view refers to this
        sanitizer.close_around(memory, start, start + nbytes)
        held = weakref.finalize(handle, _free, memory, start, start + nbytes)
        held.atexit = False
        self._guarded.append((memory, start, start + nbytes, held))
        return handle[start : start + nbytes].view(DeviceArray)

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        return sanitizer.apart(allocated(sizes, self.empty))

    def pinned_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        return self._memory.pinned_buffer(sizes)

    def decoded_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        return self._memory.decoded_buffer(sizes)

    def device_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        return sanitizer.apart(allocated(sizes, self._device_buffer))

    def _device_buffer(self, nbytes: int) -> DeviceArray:
        data = self._allocate(nbytes)
        self._memory.hold(data, rounded(nbytes))
        return data

    def check_guards(self) -> None:
        """Assert that no kernel wrote beside its scratch, or to scratch that was freed."""
        guarded, self._guarded = self._guarded, []
        for memory, start, end, held in guarded:
            beside = (memory[:start], memory[end:])
            assert all(is_full(guard, GUARD) for guard in beside), "something wrote beside its scratch"
            assert held.alive or _is_freed(memory[start:end]), "something wrote to scratch that was freed"

    def run(self, load: Load, launch: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        trace = trace or Trace()
        try:
            self._memory.pipeline(load, launch, trace, Line(4)).run(batches)
        finally:
            self._pending.forget()
            self.check_guards()

    def upload(self, data: np.ndarray) -> DeviceArray:
        assert not isinstance(data, DeviceArray), "upload takes an array of the host"
        data = np.asarray(data, data.dtype.newbyteorder("="), order="C")  # as CuPy does
        memory = self.current.memory
        kind = None if memory is None else memory.pinned_kind(data)
        if kind == "pinned":
            copy = self.upload_target(data.nbytes).view(data.dtype).reshape(data.shape)
            self.upload_part(data, copy)
            self.await_uploads()
            return copy
        self.current.count(sent=data.nbytes)
        copy = self._allocate(data.nbytes).view(data.dtype)
        copy.view(np.ndarray)[...] = data.reshape(-1)
        self.current.add_scratch(data.nbytes)
        if memory is not None and kind is None:
            self._memory.pin(data.nbytes, "tables")
        return copy.reshape(data.shape)

    def upload_target(self, nbytes: int) -> DeviceArray:
        data = self._allocate(nbytes)
        self._memory.hold(data, rounded(nbytes))
        return data

    def upload_part(self, source: np.ndarray, target: DeviceArray) -> None:
        """See `Device.upload_part`. Copy as late as allowed, so that a launch that does not wait is noticed."""
        memory = self.current.memory
        assert memory is not None and memory.pinned_kind(source), "what is copied beside other work is pinned"
        memory.trace.count(sent=source.nbytes)
        memory.uploads = [*(memory.uploads or []), (source, target)]

    def await_uploads(self) -> None:
        memory = self.current.memory
        assert memory is not None, "only a batch has copies to wait for"
        begin, uploads = self.timestamp(), memory.uploads or []
        for source, target in uploads:
            target.view(np.ndarray)[...] = source
        if uploads:
            memory.trace.add_time("copy", begin, self.timestamp())
        memory.uploads = None

    def download(self, data: DeviceArray) -> np.ndarray:
        return self.download_async(data)()

    def download_async(self, data: DeviceArray) -> Callable[[], np.ndarray]:
        assert isinstance(data, DeviceArray), "download takes an array of the device"
        self.current.count(fetched=data.nbytes)
        return partial(self.xp.asnumpy, data)

    def copy_back(self, data: DeviceArray) -> Callable[..., np.ndarray]:
        """See `Device.copy_back`. Copy as late as allowed, so that overwriting `data` too early is noticed."""
        data, memory = self.xp.ascontiguousarray(data), self.current.memory
        if memory is None or not data.nbytes:
            return lambda count=None: self.download(data[:count])
        memory.hold(data, backing_bytes(data))

        def copy_back(count: int | None = None) -> np.ndarray:
            begin, some = self.timestamp(), data[:count]
            with self.current.use(memory):
                host = self._memory.pin(some.nbytes)[: some.nbytes].view(some.dtype).reshape(some.shape)
                self.current.count(fetched=some.nbytes)
            some.get(out=host)
            memory.trace.add_time("copy", begin, self.timestamp())
            return host

        return copy_back

    def address(self, data: DeviceArray) -> int:
        assert isinstance(data, DeviceArray), "only an array of the device has an address there"
        return address_of(data)

    def kernel(self, file: str, name: str, width: int | None = None) -> Kernel:
        return Kernel(file, name, self._seed, width)

    def decompress(self, algorithm, sources, sizes, targets, capacities, chunk) -> None:
        self._nvcomp.decompress(algorithm, sources, sizes, targets, capacities, chunk)

    def compressed_capacity(self, algorithm, nbytes) -> int:
        return self._nvcomp.compressed_capacity(algorithm, nbytes)

    def compression_scratch(self, algorithm, nbytes, effort=0) -> int:
        return self._nvcomp.compression_scratch(algorithm, nbytes, effort)

    def compress(self, algorithm, sources, sizes, targets, effort=0) -> DeviceArray:
        return self._nvcomp.compress(algorithm, sources, sizes, targets, effort)

    def check(self, chunk: np.ndarray, problem: str) -> DeviceArray:
        return self._pending.add(self, chunk, problem)

    def checked(self) -> Complete | None:
        self.check_guards()
        return self._pending.take(self)


def _poisoned_pins() -> Pinned:
    """Pinned buffers that are filled with poison at first, and when they are given back."""
    pins = Pinned(lambda nbytes: np.full(nbytes, NEW, np.uint8))
    give = pins.give

    def poison(buffer: np.ndarray) -> None:
        buffer.fill(NEW)  # so that code that still reads it is noticed
        give(buffer)

    pins.give = poison
    return pins


def _free(memory: np.ndarray, start: int, end: int) -> None:
    memory[start:end].fill(FREED)
    sanitizer.close(memory, start, end)


def _is_freed(scratch: np.ndarray) -> bool:
    """Return True if nothing wrote to it since it was freed. Another thread may be just about to fill it."""
    for _ in range(100):
        if is_full(scratch, FREED):
            return True
        time.sleep(0.001)
    return False
