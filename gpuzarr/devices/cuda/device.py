"""An NVIDIA GPU: CuPy's arrays, streams and memory pool; our kernels; nvCOMP. Not yet run on a GPU.

Everything is ordered on the current CuPy stream of the calling thread, but for the copies of what was staged, and of
what was encoded: those run on streams of their own (devices/copies.py). Nothing waits for the device but `download`,
what `fetch` and `bring` return, and `settle`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch, packed
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.cost import kept
from gpuzarr.devices.cuda.available import why_not_cuda
from gpuzarr.devices.cuda.copies import Copies
from gpuzarr.devices.cuda.pending import Pending
from gpuzarr.devices.cuda.pinned import Pinned, rounded
from gpuzarr.devices.cuda.probe import holds
from gpuzarr.devices.cuda.streams import LaunchLock, Streams
from gpuzarr.devices.kernels import cubin
from gpuzarr.devices.nvcomp import compress as nvcomp_compress
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.pipeline import PREFETCH_DEPTH, Complete, Launch, Load, Pipeline
from gpuzarr.devices.trace import BatchMemory, CurrentBatch, MemoryUse, Trace
from gpuzarr.errors import DeviceError

LIMIT = 1 << 30  # bytes that a read may hold beyond its result, if nobody says how many
WRITE_LIMIT = 4 << 30  # and a write beyond its value: nvCOMP's compressors want up to 34 times what they compress
LOADERS = 4 * PREFETCH_DEPTH  # threads that load batches, of all reads together


class Cuda:
    """GPU number `ordinal`, as CUDA counts them. Make it by `devices.choose.device`, which keeps one of each."""

    gpu, threads, batch_bytes = True, 1, 256 << 20
    readers = min(32, 4 * (os.cpu_count() or 1))
    prefetch_depth = PREFETCH_DEPTH

    def __init__(self, ordinal: int = 0) -> None:
        import cupy

        self.xp: Any = cupy
        self.name = f"cuda:{ordinal}"
        self._ordinal = ordinal
        self.cost = kept()
        self._pending = Pending()
        self._functions: dict[tuple[str, str], Any] = {}
        self._compiling = threading.Lock()
        self._launch_lock = LaunchLock()
        self._process = os.getpid()
        self._pins = Pinned(self._lock_pages)
        self._streams = Streams(self._stream)
        self.current, self.held = CurrentBatch(), MemoryUse()
        self._copies = Copies(cupy, self.current, self._streams, self._pin, self._waited, self.on)

    def __reduce__(self) -> tuple[Any, ...]:
        return cuda, (self._ordinal,)

    def __repr__(self) -> str:
        return f"Cuda({self._ordinal})"

    @contextmanager
    def on(self, stream: Any = None) -> Iterator[None]:
        """This GPU and `stream` (None: the thread's current one of this GPU) are the current ones within.

        (CuPy's Device object keeps the GPU that was current before in itself, not for each thread.)
        """
        self._check_process()
        runtime = self.xp.cuda.runtime
        if (before := runtime.getDevice()) != self._ordinal:
            runtime.setDevice(self._ordinal)
        try:
            with nullcontext() if stream is None else stream:
                yield
        finally:
            if before != self._ordinal:
                runtime.setDevice(before)

    def _check_process(self) -> None:
        """CUDA does not survive a fork: calls would fail or hang."""
        if os.getpid() != self._process:
            raise DeviceError(f"{self.name} was used before the fork: start processes that use it with 'spawn'")

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """From CuPy's current allocator, in the order of the current stream."""
        with self.on():
            return self.xp.empty(shape, dtype)

    def empty(self, nbytes: int) -> Any:
        """From CuPy's allocator; its pool aligns to 512 bytes and gives memory back in the order of the stream."""
        with self.on():
            self.current.scratch(nbytes)
            return self.xp.empty(nbytes, np.uint8)

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        starts, sizes, total = packed(sizes)
        return EncodedBatch(self.empty(total), starts, sizes)

    def pinned_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """Pinned, so that the copy to the device runs beside all else; kept for later batches."""
        starts, sizes, total = packed(sizes)
        with self.on():
            return EncodedBatch(self._pin(self.current.staged(total))[:total], starts, sizes)

    def device_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """Of the copying stream, for which the host waits: an allocator may give memory that is ordered on it."""
        starts, sizes, total = packed(sizes)
        with self.on(), self._copying:
            there = self.xp.empty(rounded(total), np.uint8)
            self._copying.synchronize()
        if self.current.batch_memory is not None:
            self.current.batch_memory.keep(there, len(there))
        return EncodedBatch(there[:total], starts, sizes)

    def _pin(self, nbytes: int, kind: str = "pinned") -> np.ndarray:
        """A pinned buffer of the batch; outside of batches one that nobody uses again."""
        if (batch_memory := self.current.batch_memory) is None:
            return self._lock_pages(max(nbytes, 1))
        buffer = self._pins.take(nbytes)
        batch_memory.pin(buffer, kind)
        return buffer

    def _lock_pages(self, nbytes: int) -> np.ndarray:
        cuda = self.xp.cuda
        return np.frombuffer(cuda.PinnedMemoryPointer(cuda.PinnedMemory(nbytes), 0), np.uint8, nbytes)

    def run(self, load: Load, finish: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        trace = trace or Trace()
        with self.on():
            prefetch_depth = self.prefetch_depth if trace.prefetch_depth is None else trace.prefetch_depth
            self._pins.keep = max(self._pins.keep, trace.limit or 0)  # who may hold more finds it again
            batch_memory = partial(BatchMemory, trace, self.held, self._pins.give)
            try:
                self._check_capture()
                Pipeline(
                    load,
                    finish,
                    self._pool,
                    prefetch_depth,
                    self.current,
                    batch_memory,
                    self._drain,
                    trace.write_behind_depth,
                ).run(batches)
            except self._cuda_errors as error:
                raise self._stopped(error) from error
            finally:
                self._pending.forget()

    def _check_capture(self) -> None:
        """A CUDA graph cannot hold what the host waits for; and later batches would wait for an event of one."""
        if self.xp.cuda.get_current_stream().is_capturing():
            raise DeviceError(
                f"the current stream of {self.name} is captured into a CUDA graph: read and write outside it"
            )

    @property
    def _cuda_errors(self) -> tuple[type[Exception], ...]:
        """What CuPy raises where CUDA refuses: after a kernel has failed, by any call that comes next."""
        cuda = self.xp.cuda
        return cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError

    def _stopped(self, error: Exception) -> DeviceError:
        return DeviceError(f"{self.name} stopped ({error}); a damaged stream can do that")

    def count(self, **numbers: int) -> None:
        self.current.count(**numbers)

    def completed(self) -> None:
        self.current.completed()

    @property
    def room(self) -> int | None:
        return self.current.room

    @contextmanager
    def scoped_scratch(self) -> Iterator[None]:
        if (batch_memory := self.current.batch_memory) is None:
            yield
            return
        inner, done = batch_memory.inner(), False
        try:
            with self.current.of(inner):
                yield
                self.xp.cuda.get_current_stream().synchronize()
                done = True
        finally:
            inner.close(reuse=done)

    def _drain(self) -> None:
        """Wait for all that was launched by this thread, and for copies that others launched."""
        for stream in self._streams.made:
            stream.synchronize()
        self.xp.cuda.get_current_stream().synchronize()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(LOADERS, f"gpuzarr {self.name}")

    @property
    def _copying(self) -> Any:
        """The stream of the copies; it does not wait for the null stream."""
        return self._streams["copying"]

    @property
    def _writing(self) -> Any:
        """The stream of writers that do not wait."""
        return self._streams["writing"]

    def _stream(self) -> Any:
        with self.on():
            return self.xp.cuda.Stream(non_blocking=True)

    def release(self) -> None:
        """Let go of the pinned buffers, the threads and the scratch that are kept; reads at work keep theirs.

        CuPy's pool keeps memory by stream: what is kept for those of this device, nobody else could use.
        """
        self._pins.clear()
        for name in ("_pool", "memory_limit", "write_limit"):
            self.__dict__.pop(name, None)
        if (made := self._streams.made) and os.getpid() == self._process:
            with self.on():
                for stream in made:
                    self.xp.get_default_memory_pool().free_all_blocks(stream)

    @cached_property
    def memory_limit(self) -> int:
        """Bytes that a read may hold beyond its result, if nobody says how many."""
        with self.on():
            return int(min(LIMIT, self.xp.cuda.runtime.memGetInfo()[0] // 4))

    @cached_property
    def write_limit(self) -> int:
        """Bytes that a write may hold beyond its value, if nobody says how many."""
        with self.on():
            return int(min(WRITE_LIMIT, self.xp.cuda.runtime.memGetInfo()[0] // 4))

    def holds(self, dtype: np.dtype) -> bool:
        with self.on():
            return holds(self.xp, dtype)

    def timestamp(self) -> Any:
        """The point that the current stream has reached when it comes here."""
        return self.xp.cuda.get_current_stream().record()

    @contextmanager
    def after(self, mark: Any = None) -> Iterator[None]:
        """The stream of writers, of all threads; what they use is kept until the host has waited for it."""
        with self.on(self._writing):
            if mark is not None:
                self._writing.wait_event(mark)
            yield

    def seconds(self, begin: Any, end: Any) -> float:
        """Between two marks; waits for the second. Of the host's clock, or of the device's."""
        if isinstance(begin, float):
            return float(end - begin)
        with self.on():
            end.synchronize()
            return float(self.xp.cuda.get_elapsed_time(begin, end)) / 1e3

    def upload(self, data: np.ndarray) -> Any:
        with self.on():
            if self.current.batch_memory is None:  # then the host waits for it
                self._check_capture()
            return self._copies.upload(data)

    def download(self, data: Any) -> np.ndarray:
        return self.download_async(data)()

    def download_async(self, data: Any) -> Callable[[], np.ndarray]:
        with self.on():
            return self._copies.download_async(data)

    def copy_back(self, data: Any) -> Callable[..., np.ndarray]:
        with self.on():
            return self._copies.copy_back(data)

    def _waited(self, event: Any, filled: Any) -> Any:
        """What the copy that ends with `event` (or as the last of a stream) has filled."""
        try:
            event.synchronize()
        except self._cuda_errors as error:
            raise self._stopped(error) from error
        return filled

    def address(self, data: Any) -> int:
        if data.data.device_id != self._ordinal:
            raise DeviceError(f"an array of cuda:{data.data.device_id} cannot be used by {self.name}")
        return int(data.data.ptr)

    def kernel(self, file: str, name: str) -> Any:
        key = (file, name)
        with self._compiling:
            if key not in self._functions:
                self._functions[key] = self._load(file, name)
        return self._functions[key]

    def _load(self, file: str, name: str) -> Any:
        with self.on():
            module = self.xp.cuda.function.Module()
            module.load(cubin(file, f"sm_{self.xp.cuda.Device(self._ordinal).compute_capability}"))
            return module.get_function(name)

    def decompress(
        self,
        algorithm: Algorithm,
        sources: np.ndarray,
        sizes: np.ndarray,
        targets: np.ndarray,
        capacities: np.ndarray,
        chunk: np.ndarray,
    ) -> None:
        """One batch of nvCOMP at a time on this GPU, whatever streams the callers are on."""
        self.current.count_streams(algorithm, len(sizes))
        with self.on(), self._launch_lock.of(self.xp.cuda.get_current_stream()) as stream:
            streams = algorithm, sources, sizes, targets, capacities, chunk
            nvcomp.decompress(
                self, nvcomp.load(), stream.ptr, *streams, most=nvcomp.spare(self.current.room, len(sizes))
            )

    def compressed_room(self, algorithm: Algorithm, nbytes: int) -> int:
        return nvcomp_compress.room(nvcomp.load(), algorithm, nbytes)

    def compression_scratch(self, algorithm: Algorithm, nbytes: int, effort: int = 0) -> int:
        return nvcomp_compress.scratch_each(nvcomp.load(), algorithm, nbytes, effort)

    def compress(
        self, algorithm: Algorithm, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, effort: int = 0
    ) -> Any:
        """As `decompress`: one batch at a time."""
        self.current.count_streams(algorithm, len(sizes))
        with self.on(), self._launch_lock.of(self.xp.cuda.get_current_stream()) as stream:
            streams = algorithm, sources, sizes, targets, effort
            most = nvcomp.spare(self.current.room, len(sizes))
            return nvcomp_compress.compress(self, nvcomp.load(), stream.ptr, *streams, most=most)

    def check(self, bad: Any, chunk: np.ndarray, problem: str) -> None:
        self._pending.add(bad, chunk, problem)

    def checked(self) -> Complete:
        """There is always something to wait for: the copy from the stage."""
        with self.on():
            complete = self._pending.take(self)
            return complete or self.xp.cuda.get_current_stream().record().synchronize


@cache
def cuda(ordinal: int) -> Cuda:
    """The one object that stands for GPU `ordinal` in this process. DeviceError where it cannot be used."""
    if missing := why_not_cuda(ordinal):
        raise DeviceError(f"device 'cuda:{ordinal}' is not there: {missing}")
    return Cuda(ordinal)
