"""An NVIDIA GPU: CuPy's arrays, streams and memory pool; our kernels; nvCOMP. Not yet run on a GPU.

Everything is ordered on the current CuPy stream of the calling thread; nothing waits for the device but
`download` and `settle`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpuzarr.batch import Slab, packed
from gpuzarr.devices import nvcomp
from gpuzarr.devices.pending import Pending
from gpuzarr.errors import DeviceError
from gpuzarr.kernels import cubin


class Cuda:
    """GPU number `ordinal`, as CUDA counts them. Make it by `devices.choose.device`, which keeps one of each."""

    gpu, threads, wave_bytes = True, 1, 256 << 20

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

    @contextmanager
    def wave(self) -> Iterator[None]:
        with self._device:
            try:
                yield
            except BaseException:
                self._pending.forget()
                raise

    def run(self, work: Callable[[Any], None], waves: Iterable[Any]) -> None:
        for wave in waves:
            work(wave)

    def upload(self, data: np.ndarray) -> Any:
        """Through pinned memory that CuPy keeps until the copy is done; `data` may change after the call."""
        with self._device:
            return self.xp.array(np.ascontiguousarray(data))

    def download(self, data: Any) -> np.ndarray:
        try:
            with self._device:
                host: np.ndarray = self.xp.asnumpy(data)
                return host
        except self.xp.cuda.runtime.CUDARuntimeError as error:
            raise DeviceError(f"{self.name} stopped: {error}. A damaged stream can do this to nvCOMP; device='cpu' cannot fall") from error

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
        self, algorithm: str, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, capacities: np.ndarray, chunk: np.ndarray
    ) -> None:
        """One batch of nvCOMP at a time on this GPU, whatever streams the callers are on."""
        with self._device, self._turn:
            stream = self.xp.cuda.get_current_stream()
            if self._last_batch is not None:
                stream.wait_event(self._last_batch)
            nvcomp.decompress(self, nvcomp.load(), stream.ptr, algorithm, sources, sizes, targets, capacities, chunk)
            self._last_batch = stream.record()

    def check(self, bad: Any, chunk: np.ndarray, problem: str) -> None:
        self._pending.add(bad, chunk, problem)

    def settle(self) -> None:
        self._pending.settle(self)
