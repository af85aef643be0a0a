"""An NVIDIA GPU: CuPy's arrays, streams and memory pool; our kernels; nvCOMP. Not yet run on a GPU.

Everything is ordered on the current CuPy stream of the calling thread; nothing waits for the device but
`download` and `settle`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from gpuzarr.batch import Slab, packed
from gpuzarr.devices import nvcomp, nvcomp_compress
from gpuzarr.devices.pending import Pending
from gpuzarr.devices.waves import Finish, Load, Settle, pipelined
from gpuzarr.errors import DeviceError
from gpuzarr.kernels import cubin

AHEAD = 3  # waves that are being loaded beside the one that is decoded


class Cuda:
    """GPU number `ordinal`, as CUDA counts them. Make it by `devices.choose.device`, which keeps one of each."""

    gpu, threads, wave_bytes = True, 1, 256 << 20
    readers = min(32, 4 * (os.cpu_count() or 1))

    def __init__(self, ordinal: int = 0) -> None:
        import cupy

        self.xp: Any = cupy
        self.name = f"cuda:{ordinal}"
        self._device = cupy.cuda.Device(ordinal)
        self._pending = Pending()
        self._functions: dict[tuple[str, str], Any] = {}
        self._compiling = threading.Lock()
        self._turn = threading.Lock()
        self._last_batch: Any = None
        self._process = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        from gpuzarr.devices.choose import device

        return device, (self.name,)

    def __repr__(self) -> str:
        return f"Cuda({self._device.id})"

    def empty(self, nbytes: int) -> Any:
        """From CuPy's pool, which aligns to 512 bytes and gives memory back in the order of the stream."""
        with self._device:
            return self.xp.empty(nbytes, np.uint8)

    def slab(self, sizes: np.ndarray) -> Slab:
        starts, sizes, total = packed(sizes)
        return Slab(self.empty(total), starts, sizes)

    def stage(self, sizes: np.ndarray) -> Slab:
        """Pinned, so that the copy to the device runs beside all else. CuPy's pool keeps it for the next wave."""
        starts, sizes, total = packed(sizes)
        memory = self.xp.cuda.alloc_pinned_memory(max(total, 1))
        return Slab(np.frombuffer(memory, np.uint8, total), starts, sizes)

    def run(self, load: Load, finish: Finish, waves: Iterable[Any]) -> None:
        if os.getpid() != self._process:
            raise DeviceError(f"{self.name} was used before the fork: start processes that use it with 'spawn'")
        with self._device:
            try:
                pipelined(load, finish, waves, self._pool, AHEAD)
            finally:
                self._pending.forget()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AHEAD, f"gpuzarr {self.name}")

    def upload(self, data: np.ndarray) -> Any:
        """A copy on the device, in the order of the stream; from memory of `stage` the host does not wait for it.

        Whoever staged the memory keeps it until the wave is settled.
        """
        with self._device:
            data = np.ascontiguousarray(data, data.dtype.newbyteorder("="))
            there = self.xp.empty(data.shape, data.dtype)
            there.set(data, self.xp.cuda.get_current_stream())
            return there

    def download(self, data: Any) -> np.ndarray:
        return self.fetch(data)()

    def fetch(self, data: Any) -> Callable[[], np.ndarray]:
        with self._device:
            memory = self.xp.cuda.alloc_pinned_memory(max(data.nbytes, 1))
            host: np.ndarray = np.frombuffer(memory, data.dtype, data.size).reshape(data.shape)
            stream = self.xp.cuda.get_current_stream()
            self.xp.ascontiguousarray(data).get(stream=stream, out=host, blocking=False)
            event = stream.record()

        def wait() -> np.ndarray:
            try:
                event.synchronize()
            except self.xp.cuda.runtime.CUDARuntimeError as error:
                raise DeviceError(f"{self.name} stopped ({error}); a damaged stream can do that") from error
            return host

        return wait

    def address(self, data: Any) -> int:
        return int(data.data.ptr)

    def kernel(self, file: str, name: str) -> Any:
        key = (file, name)
        with self._compiling:
            if key not in self._functions:
                self._functions[key] = self._load(file, name)
        return self._functions[key]

    def _load(self, file: str, name: str) -> Any:
        with self._device:
            module = self.xp.cuda.function.Module()
            module.load(cubin(file, f"sm_{self._device.compute_capability}"))
            return module.get_function(name)

    def decompress(
        self,
        algorithm: str,
        sources: np.ndarray,
        sizes: np.ndarray,
        targets: np.ndarray,
        capacities: np.ndarray,
        chunk: np.ndarray,
    ) -> None:
        """One batch of nvCOMP at a time on this GPU, whatever streams the callers are on."""
        with self._device, self._turn:
            stream = self.xp.cuda.get_current_stream()
            if self._last_batch is not None:
                stream.wait_event(self._last_batch)
            nvcomp.decompress(self, nvcomp.load(), stream.ptr, algorithm, sources, sizes, targets, capacities, chunk)
            self._last_batch = stream.record()

    def compressed_room(self, algorithm: str, nbytes: int) -> int:
        return nvcomp_compress.room(nvcomp.load(), algorithm, nbytes)

    def compress(
        self, algorithm: str, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, effort: int = 0
    ) -> Any:
        """As `decompress`: one batch at a time."""
        with self._device, self._turn:
            stream = self.xp.cuda.get_current_stream()
            if self._last_batch is not None:
                stream.wait_event(self._last_batch)
            columns = (sources, sizes, targets, effort)
            made = nvcomp_compress.compress(self, nvcomp.load(), stream.ptr, algorithm, *columns)
            self._last_batch = stream.record()
            return made

    def check(self, bad: Any, chunk: np.ndarray, problem: str) -> None:
        self._pending.add(bad, chunk, problem)

    def checked(self) -> Settle:
        """There is always something to wait for: the copy from the stage."""
        with self._device:
            settle = self._pending.take(self)
            return settle or self.xp.cuda.get_current_stream().record().synchronize
