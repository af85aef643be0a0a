"""A GPU for machines without one. Everything but the hardware and nvCOMP's inside is real: the launch code, the pointer
tables, grids, the order and types of arguments, the text of the kernels.

Scratch begins poisoned, and lies between guards that are looked at when a wave or a batch of checks ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpuzarr.batch import Slab, packed
from gpuzarr.devices import nvcomp
from gpuzarr.devices.pending import Pending
from tests.emulator.arrays import DeviceArray, Xp
from tests.emulator.compiled import Kernel
from tests.emulator.library import Library

GUARD, POISON, GUARDED = 512, 0xA5, 0x5A


class Emulated:
    """As devices.cuda.Cuda, on NumPy's memory. `seed` picks the order of threads: 0 forward, -1 backward, else shuffled."""

    gpu, threads, wave_bytes = True, 1, 1 << 20

    def __init__(self, seed: int = 0) -> None:
        self.name, self.xp, self._seed = "emulated", Xp(), seed
        self._pending, self._library = Pending(), Library()
        self._guards: list[tuple[np.ndarray, np.ndarray]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Emulated, (self._seed,)

    def empty(self, nbytes: int) -> DeviceArray:
        whole = np.full(GUARD + 256 + nbytes + GUARD, GUARDED, np.uint8)
        start = GUARD + -(whole.ctypes.data + GUARD) % 256
        self._guards.append((whole[:start], whole[start + nbytes :]))
        inside = whole[start : start + nbytes]
        inside.fill(POISON)
        return inside.view(DeviceArray)

    def slab(self, sizes: np.ndarray) -> Slab:
        starts, sizes, total = packed(sizes)
        return Slab(self.empty(total), starts, sizes)

    @contextmanager
    def wave(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._pending.forget()
            raise
        finally:
            self.look_at_guards()

    def look_at_guards(self) -> None:
        guards, self._guards = self._guards, []
        for before, after in guards:
            assert (before == GUARDED).all() and (after == GUARDED).all(), "something wrote beside its scratch"

    def run(self, work: Callable[[Any], None], waves: Iterable[Any]) -> None:
        for wave in waves:
            work(wave)

    def upload(self, data: np.ndarray) -> DeviceArray:
        assert not isinstance(data, DeviceArray), "upload takes an array of the host"
        there = self.empty(data.nbytes).view(data.dtype)
        there.view(np.ndarray)[...] = data.reshape(-1)
        return there.reshape(data.shape)

    def download(self, data: DeviceArray) -> np.ndarray:
        assert isinstance(data, DeviceArray), "download takes an array of the device"
        return self.xp.asnumpy(data)

    def address(self, data: DeviceArray) -> int:
        assert isinstance(data, DeviceArray), "only an array of the device has an address there"
        return data.ctypes.data

    def kernel(self, file: str, name: str) -> Kernel:
        return Kernel(file, name, self._seed)

    def decompress(self, algorithm, sources, sizes, targets, capacities, chunk) -> None:
        nvcomp.decompress(self, self._library, 0, algorithm, sources, sizes, targets, capacities, chunk)

    def check(self, bad: DeviceArray, chunk: np.ndarray, problem: str) -> None:
        assert isinstance(bad, DeviceArray) and bad.dtype == np.int32 and bad.shape == (1,)
        self._pending.add(bad, chunk, problem)

    def settle(self) -> None:
        self.look_at_guards()
        self._pending.settle(self)
