"""A GPU for machines without one. Everything but the hardware and nvCOMP's inside is real: the launch code, the pointer
tables, grids, the order and types of arguments, the text of the kernels.

Scratch begins poisoned, is poisoned again when nobody refers to it any more (as a GPU's pool may give it to others
then), and lies between guards that are looked at when a wave or a batch of checks ends.
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

from gpuzarr.batch import Slab, packed
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.cuda.pending import Pending
from gpuzarr.devices.cuda.pinned import Pinned, rounded
from gpuzarr.devices.cuda.probe import holds
from gpuzarr.devices.nvcomp import compress as nvcomp_compress
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.pipeline import AHEAD, Finish, Load, Pipeline, Settle
from gpuzarr.devices.trace import Held, Record, Tab, Tabs, behind_view
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
    wave_bytes = 1 << 20
    ahead = AHEAD
    memory_limit = write_limit = 64 << 20
    cost = Costs(where="gpu")

    def __init__(self, seed: int = 0) -> None:
        self.name, self.xp, self._seed = "emulated", Xp(), seed
        self._pending, self._library = Pending(), Library()
        self.tabs, self.held = Tabs(), Held()
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

    def mark(self) -> float:
        return time.perf_counter()

    def after(self, mark: float = 0) -> AbstractContextManager[None]:
        return nullcontext()

    def seconds(self, begin: float, end: float) -> float:
        return end - begin

    def release(self) -> None:
        self._pins.clear()

    def count(self, **numbers: int) -> None:
        self.tabs.count(**numbers)

    def settled(self) -> None:
        self.tabs.settled()

    @contextmanager
    def apart(self) -> Iterator[None]:
        if (tab := self.tabs.tab) is None:
            yield
            return
        inner = tab.inner()
        try:
            with self.tabs.of(inner):
                yield
        finally:
            inner.close()

    @property
    def room(self) -> int | None:
        return self.tabs.room

    def empty(self, nbytes: int) -> DeviceArray:
        self.tabs.scratch(nbytes)
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

    def slab(self, sizes: np.ndarray) -> Slab:
        starts, sizes, total = packed(sizes)
        return Slab(self.empty(total), starts, sizes)

    def stage(self, sizes: np.ndarray) -> Slab:
        starts, sizes, total = packed(sizes)
        return Slab(self._pin(self.tabs.staged(total))[:total], starts, sizes)

    def land(self, sizes: np.ndarray) -> Slab:
        starts, sizes, total = packed(sizes)
        there = self._memory(total)
        if self.tabs.tab is not None:
            self.tabs.tab.keep(there, rounded(total))
        return Slab(there, starts, sizes)

    def _pin(self, nbytes: int, kind: str = "pinned") -> np.ndarray:
        if self.tabs.tab is None:
            return np.full(nbytes, POISON, np.uint8)
        buffer = self._pins.take(nbytes)
        self.tabs.tab.pin(buffer, kind)
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

    def run(self, load: Load, finish: Finish, waves: Iterable[Any], record: Record | None = None) -> None:
        record = record or Record()
        ahead = self.ahead if record.ahead is None else record.ahead
        tab = partial(Tab, record, self.held, self._give)
        try:
            with ThreadPoolExecutor(4) as pool:
                Pipeline(load, finish, pool, ahead, self.tabs, tab, lambda: None, record.behind).run(waves)
        finally:
            self._pending.forget()
            self.look_at_guards()

    def upload(self, data: np.ndarray) -> DeviceArray:
        assert not isinstance(data, DeviceArray), "upload takes an array of the host"
        data = np.asarray(data, data.dtype.newbyteorder("="), order="C")  # as CuPy does
        begin, tab = self.mark(), self.tabs.tab
        self.tabs.count(sent=data.nbytes)
        there = self._memory(data.nbytes).view(data.dtype)
        there.view(np.ndarray)[...] = data.reshape(-1)
        if tab is not None and tab.pinned(data):
            tab.keep(there, rounded(data.nbytes))
            tab.record.mark("copy", begin, self.mark())
        elif tab is not None:
            self._pin(data.nbytes, "tables")
            self.tabs.scratch(data.nbytes)
        return there.reshape(data.shape)

    def download(self, data: DeviceArray) -> np.ndarray:
        return self.fetch(data)()

    def fetch(self, data: DeviceArray) -> Callable[[], np.ndarray]:
        assert isinstance(data, DeviceArray), "what is fetched is an array of the device"
        self.tabs.count(fetched=data.nbytes)
        return partial(self.xp.asnumpy, data)

    def bring(self, data: DeviceArray) -> Callable[..., np.ndarray]:
        """The copy is made as late as it can be: what overwrites `data` meanwhile is noticed."""
        data, tab = self.xp.ascontiguousarray(data), self.tabs.tab
        if tab is None or not data.nbytes:
            return lambda count=None: self.download(data[:count])
        tab.keep(data, behind_view(data))

        def bring(count: int | None = None) -> np.ndarray:
            begin, some = self.mark(), data[:count]
            with self.tabs.of(tab):
                host = self._pin(some.nbytes)[: some.nbytes].view(some.dtype).reshape(some.shape)
                self.tabs.count(fetched=some.nbytes)
            some.get(out=host)
            tab.record.mark("copy", begin, self.mark())
            return host

        return bring

    def address(self, data: DeviceArray) -> int:
        assert isinstance(data, DeviceArray), "only an array of the device has an address there"
        return data.ctypes.data

    def kernel(self, file: str, name: str) -> Kernel:
        return Kernel(file, name, self._seed)

    def decompress(self, algorithm, sources, sizes, targets, capacities, chunk) -> None:
        self.tabs.count(streams=len(sizes), **{algorithm: len(sizes)})
        streams = algorithm, sources, sizes, targets, capacities, chunk
        nvcomp.decompress(self, self._library, 0, *streams, most=nvcomp.spare(self.tabs.room, len(sizes)))

    def compressed_room(self, algorithm, nbytes) -> int:
        return nvcomp_compress.room(self._library, algorithm, nbytes)

    def compression_scratch(self, algorithm, nbytes, effort=0) -> int:
        return nvcomp_compress.scratch_each(self._library, algorithm, nbytes, effort)

    def compress(self, algorithm, sources, sizes, targets, effort=0) -> DeviceArray:
        self.tabs.count(streams=len(sizes), **{algorithm: len(sizes)})
        streams = algorithm, sources, sizes, targets, effort
        most = nvcomp.spare(self.tabs.room, len(sizes))
        return nvcomp_compress.compress(self, self._library, 0, *streams, most=most)

    def check(self, bad: DeviceArray, chunk: np.ndarray, problem: str) -> None:
        assert isinstance(bad, DeviceArray) and bad.dtype == np.int32 and bad.shape == (1,)
        self._pending.add(bad, chunk, problem)

    def checked(self) -> Settle | None:
        self.look_at_guards()
        return self._pending.take(self)


def _is_gone(scratch: np.ndarray) -> bool:
    """Whether nobody wrote to it since it was let go; another thread may be about to poison it just now."""
    for _ in range(100):
        if (scratch == GONE).all():
            return True
        time.sleep(0.001)
    return False
