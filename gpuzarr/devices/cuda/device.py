"""An NVIDIA GPU: CuPy's arrays, streams and memory pool; our kernels; nvCOMP.

Work is ordered on the current CuPy stream of the calling thread. Only copies from and to pinned buffers run on streams
of their own (`devices.cuda.copies`). Only `download` waits for the device, and the functions that `download_async`,
`copy_back` and `checked` return.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, cached_property
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch, allocated
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.cost import calibrated
from gpuzarr.devices.cuda.available import why_not_cuda
from gpuzarr.devices.cuda.copies import Copies
from gpuzarr.devices.cuda.memory import GpuMemory
from gpuzarr.devices.cuda.pending import Pending
from gpuzarr.devices.cuda.pinned import Pinned, no_memory_is_told, rounded
from gpuzarr.devices.cuda.probe import holds
from gpuzarr.devices.cuda.streams import Lanes, LaunchLock, Streams
from gpuzarr.devices.kernels import cubin
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.devices.nvcomp.batches import NvcompBatches
from gpuzarr.devices.pipeline import PREFETCH_DEPTH, Complete, Launch, Load
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import DeviceError
from gpuzarr.line import Line

DEFAULT_MEMORY_LIMIT_BYTES = 16 << 30  # that a read may hold beyond its result,
DEFAULT_PINNED_LIMIT_BYTES = 2 << 30  # and of them in pinned memory, of which a host has less to spare
DEFAULT_WRITE_LIMIT_BYTES = 4 << 30  # beyond the value; nvCOMP compresses with up to 34 times the bytes as scratch
CAPTURE_STATUSES = range(900, 909)  # cudaErrorStreamCaptureUnsupported to cudaErrorStreamCaptureWrongThread
MAX_LOADING_THREADS = 4 * PREFETCH_DEPTH  # of all reads together


class Cuda:
    """GPU number `ordinal`, as CUDA counts them. `devices.select.device` makes one object for each GPU."""

    gpu, threads, batch_bytes = True, 1, 256 << 20
    readers = min(32, 4 * (os.cpu_count() or 1))
    prefetch_depth, pinned_limit = PREFETCH_DEPTH, DEFAULT_PINNED_LIMIT_BYTES
    concurrent_batches = 1  # until it is known that nvCOMP bears more

    def __init__(self, ordinal: int = 0) -> None:
        import cupy

        self.xp: Any = cupy
        self.name = f"cuda:{ordinal}"
        self._ordinal = ordinal
        self.cost = calibrated()
        self._pending = Pending()
        self._functions: dict[tuple[str, str, int | None], Any] = {}
        self._compiling = threading.Lock()
        self._launch_lock = LaunchLock()
        self._process = os.getpid()
        self._pins = Pinned(self._lock_pages)
        self._streams = Streams(self._stream)
        self._memory = GpuMemory(self._pins)
        self.current, self.held = self._memory.current, self._memory.held
        self._copies = Copies(cupy, self.current, self._streams, self._memory.pin, self._waited, self.on)
        self._nvcomp = NvcompBatches(self, nvcomp.load, self._launching, self.current)

    def __reduce__(self) -> tuple[Any, ...]:
        return cuda, (self._ordinal,)

    def __repr__(self) -> str:
        return f"Cuda({self._ordinal})"

    @contextmanager
    def on(self, stream: Any = None) -> Iterator[None]:
        """Make this GPU and `stream` (None: the thread's current stream of this GPU) the current ones.

        CuPy's `Device` would do, but it remembers the GPU that was current before in itself and not for each thread.
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
        """DeviceError in a forked child: CUDA does not survive a fork, so calls would fail or hang."""
        if os.getpid() != self._process:
            raise DeviceError(f"{self.name} was used before the fork: start processes that use it with 'spawn'")

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """See `Device.array`. Memory of CuPy's current allocator, in the order of the current stream."""
        with self.on():
            return self.xp.empty(shape, dtype)

    def empty(self, nbytes: int) -> Any:
        """See `Device.empty`. CuPy's pool aligns to 512 bytes and reuses memory in the order of the stream."""
        with self.on():
            self.current.add_scratch(nbytes)
            return self.xp.empty(nbytes, np.uint8)

    def filled(self, nbytes: int, byte: int) -> Any:
        """See `Device.filled`. CuPy's `fill` would compile a kernel for any byte but 0."""
        with self.on():
            made = self.empty(nbytes)
            if nbytes:
                stream = self.xp.cuda.get_current_stream()
                self.xp.cuda.runtime.memsetAsync(self.address(made), byte, nbytes, stream.ptr)
            return made

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        return allocated(sizes, self.empty)

    def pinned_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """See `Device.pinned_buffer`. Kept for later batches."""
        with self.on():
            return self._memory.pinned_buffer(sizes)

    def decoded_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        with self.on():
            return self._memory.decoded_buffer(sizes)

    def device_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """See `Device.device_buffer`. Memory of the copying stream, on which earlier uses of it are waited for."""
        return allocated(sizes, self._device_buffer)

    def _device_buffer(self, nbytes: int) -> Any:
        with self.on(), self._copying:
            data = self.xp.empty(rounded(nbytes), np.uint8)
            self._copying.synchronize()
        self._memory.hold(data, len(data))
        return data[:nbytes]

    def _lock_pages(self, nbytes: int) -> np.ndarray:
        """A new pinned buffer of the host. MemoryError where there is no space for it."""
        cuda = self.xp.cuda
        with no_memory_is_told(cuda, nbytes):
            return np.frombuffer(cuda.PinnedMemoryPointer(cuda.PinnedMemory(nbytes), 0), np.uint8, nbytes)

    def run(self, load: Load, launch: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        """See `Device.run`. DeviceError where CUDA fails, by whichever call it is noticed."""
        trace = trace or Trace()
        with self.on():
            try:
                self._check_capture()
                count = trace.overlap.decoded if trace.overlap else 1
                lanes = Lanes(self._streams, self.xp.cuda.get_current_stream(), count)
                self._memory.pipeline(load, launch, trace, self._line, self._drain, lanes.lane).run(batches)
                lanes.join()
            except self._cuda_errors as error:
                raise self._stopped(error) from error
            finally:
                self._pending.forget()

    def _check_capture(self) -> None:
        """DeviceError for a stream captured into a CUDA graph: neither the host nor later batches could wait for it."""
        if self.xp.cuda.get_current_stream().is_capturing():
            raise DeviceError(
                f"the current stream of {self.name} is captured into a CUDA graph: read and write outside it"
            )

    @property
    def _cuda_errors(self) -> tuple[type[Exception], ...]:
        """Errors of CUDA as CuPy raises them: after a kernel has failed, any later call may raise one."""
        cuda = self.xp.cuda
        return cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError

    def _stopped(self, error: Exception) -> DeviceError:
        if getattr(error, "status", 0) in CAPTURE_STATUSES:
            return DeviceError(
                f"{self.name} refused a call ({error}), for a stream is captured into a CUDA graph, maybe by another "
                "thread: read and write before or after that"
            )
        return DeviceError(f"{self.name} stopped ({error}); a damaged stream can do that")

    def count(self, **numbers: int) -> None:
        self.current.count(**numbers)

    def completed(self) -> None:
        self.current.completed()

    def scoped_scratch(self) -> AbstractContextManager[None]:
        return self._memory.scoped_scratch(lambda: self.xp.cuda.get_current_stream().synchronize())

    def _drain(self) -> None:
        """Wait for everything that this thread launched, and for the copies that all threads launched."""
        for stream in self._streams.made:
            stream.synchronize()
        self.xp.cuda.get_current_stream().synchronize()

    @cached_property
    def _line(self) -> Line:
        return Line(MAX_LOADING_THREADS)

    @property
    def _copying(self) -> Any:
        """Stream of copies to the device. Like all of ours, it does not wait for the null stream."""
        return self._streams["copying"]

    def _stream(self) -> Any:
        with self.on():
            return self.xp.cuda.Stream(non_blocking=True)

    def release(self) -> None:
        """Free the pinned buffers, threads and scratch that are kept for the next read. Reads at work keep theirs.

        CuPy's pool keeps memory for the stream that used it, so that of our streams is of no use to others.
        """
        self._pins.clear()
        for name in ("_line", "memory_limit", "write_limit"):
            self.__dict__.pop(name, None)
        if (made := self._streams.made) and os.getpid() == self._process:
            with self.on():
                for stream in made:
                    self.xp.get_default_memory_pool().free_all_blocks(stream)

    @cached_property
    def memory_limit(self) -> int:
        """See `Device.memory_limit`: 16 GiB, or a quarter of the free device memory if that is less."""
        with self.on():
            return int(min(DEFAULT_MEMORY_LIMIT_BYTES, self.xp.cuda.runtime.memGetInfo()[0] // 4))

    @cached_property
    def write_limit(self) -> int:
        """See `Device.write_limit`: 4 GiB, or a quarter of the free device memory if that is less."""
        with self.on():
            return int(min(DEFAULT_WRITE_LIMIT_BYTES, self.xp.cuda.runtime.memGetInfo()[0] // 4))

    @property
    def free_bytes(self) -> int:
        """See `Device.free_bytes`: the GPU's, and those that CuPy's pool keeps, which it gives back where it must."""
        with self.on():
            kept = self.xp.get_default_memory_pool().free_bytes()
            return int(self.xp.cuda.runtime.memGetInfo()[0] + kept)

    def stream_at(self, pointer: int) -> Any:
        """See `Device.stream_at`."""
        cuda = self.xp.cuda
        return cuda.ExternalStream(pointer, self._ordinal) if pointer else cuda.Stream.null

    def holds(self, dtype: np.dtype) -> bool:
        with self.on():
            return holds(self.xp, dtype)

    def timestamp(self) -> Any:
        """See `Device.timestamp`: an event of the current stream."""
        return self.xp.cuda.get_current_stream().record()

    @contextmanager
    def after(self, timestamp: Any = None, work: str = "writing") -> Iterator[None]:
        """See `Device.after`. All threads share the stream."""
        stream = self._streams[work]
        with self.on(stream):
            if timestamp is not None:
                stream.wait_event(timestamp)
            yield

    def seconds(self, begin: Any, end: Any) -> float:
        """See `Device.seconds`. Timestamps are events, or seconds of the host's clock."""
        if isinstance(begin, float):
            return float(end - begin)
        with self.on():
            end.synchronize()
            return float(self.xp.cuda.get_elapsed_time(begin, end)) / 1e3

    def upload(self, data: np.ndarray) -> Any:
        with self.on():
            if self.current.memory is None:  # then the host waits for the copy
                self._check_capture()
            return self._copies.upload(data)

    def upload_target(self, nbytes: int) -> Any:
        with self.on():
            return self._copies.upload_target(nbytes)

    def upload_part(self, source: np.ndarray, target: Any) -> None:
        with self.on():
            self._copies.upload_part(source, target)

    def await_uploads(self) -> None:
        with self.on():
            self._copies.await_uploads()

    def download(self, data: Any) -> np.ndarray:
        return self.download_async(data)()

    def download_async(self, data: Any) -> Callable[[], np.ndarray]:
        with self.on():
            return self._copies.download_async(data)

    def copy_back(self, data: Any) -> Callable[..., np.ndarray]:
        with self.on():
            return self._copies.copy_back(data)

    def _waited(self, event: Any, filled: Any) -> Any:
        """`filled`, after a wait for the event (or stream) that ends the copy into it. DeviceError where CUDA fails."""
        try:
            event.synchronize()
        except self._cuda_errors as error:
            raise self._stopped(error) from error
        return filled

    def address(self, data: Any) -> int:
        if data.data.device_id != self._ordinal:
            raise DeviceError(f"an array of cuda:{data.data.device_id} cannot be used by {self.name}")
        return int(data.data.ptr)

    def kernel(self, file: str, name: str, width: int | None = None) -> Any:
        key = (file, name, width)
        with self._compiling:
            if key not in self._functions:
                self._functions[key] = self._load(file, name, width)
        return self._functions[key]

    def _load(self, file: str, name: str, width: int | None) -> Any:
        with self.on():
            module = self.xp.cuda.function.Module()
            module.load(cubin(file, f"sm_{self.xp.cuda.Device(self._ordinal).compute_capability}", width))
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
        self._nvcomp.decompress(algorithm, sources, sizes, targets, capacities, chunk)

    @contextmanager
    def _launching(self) -> Iterator[int]:
        """Launch nvCOMP's batches one after another on this GPU, whatever streams their callers use.

        Where several may run at once, those of one stream follow each other.
        """
        with self.on():
            stream = self.xp.cuda.get_current_stream()
            with nullcontext() if self.concurrent_batches > 1 else self._launch_lock.ordered(stream):
                yield stream.ptr

    def compressed_capacity(self, algorithm: Algorithm, nbytes: int) -> int:
        return self._nvcomp.compressed_capacity(algorithm, nbytes)

    def compression_scratch(self, algorithm: Algorithm, nbytes: int, effort: int = 0) -> int:
        return self._nvcomp.compression_scratch(algorithm, nbytes, effort)

    def compress(
        self, algorithm: Algorithm, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, effort: int = 0
    ) -> Any:
        return self._nvcomp.compress(algorithm, sources, sizes, targets, effort)

    def check(self, chunk: np.ndarray, problem: str) -> Any:
        return self._pending.add(self, chunk, problem)

    def checked(self) -> Complete:
        """See `Device.checked`. Never None: the copy from the pinned buffer must be waited for."""
        with self.on():
            complete = self._pending.take(self)
            return complete or self.xp.cuda.get_current_stream().record().synchronize


@cache
def cuda(ordinal: int) -> Cuda:
    """The one object for GPU `ordinal` of this process. DeviceError, saying what is missing, if it cannot be used."""
    if missing := why_not_cuda(ordinal):
        raise DeviceError(f"device 'cuda:{ordinal}' is not there: {missing}")
    return Cuda(ordinal)
