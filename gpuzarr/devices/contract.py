"""Where decoding and encoding run. One pipeline, three devices: `Cpu`, `Cuda`, and in the tests `Emulated`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.pipeline import Complete, Launch, Load
from gpuzarr.devices.trace import Trace


class Kernel(Protocol):
    """A CUDA kernel: grid and block in threads, then arguments (device arrays, NumPy scalars of the declared width)."""

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None: ...


class Device(Protocol):
    """What the pipeline asks of a device.

    `gpu` is True where kernels and nvCOMP run; `xp` is the array module (numpy or cupy).
    `cost` and the last members, from `address` on, are asked for only where `gpu` is True.
    """

    name: str
    gpu: bool
    xp: Any
    threads: int  # batches at work at once
    readers: int  # threads that one batch's read from the store may use
    batch_bytes: int  # decoded bytes that one batch should have
    cost: Costs  # what decides which chunks the host decodes instead
    prefetch_depth: int  # batches that are loaded beside the one that is decoded, where memory allows

    @property
    def memory_limit(self) -> int:
        """Bytes that a read may hold beyond its result, if nobody says how many."""
        ...

    @property
    def write_limit(self) -> int:
        """Bytes that a write may hold beyond its value, if nobody says how many. Only asked for on a GPU."""
        ...

    def on(self, stream: Any = None) -> AbstractContextManager[None]:
        """Within, this device is the current one, and `stream` (of CuPy; None: as it is) the current stream."""
        ...

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A result, not initialised."""
        ...

    def holds(self, dtype: np.dtype) -> bool:
        """Whether arrays of a dtype of another package can lie on the device. Only asked for on a GPU."""
        ...

    def timestamp(self) -> Any:
        """A point in time: of the host's clock (a float), or of the current stream."""
        ...

    def after(self, mark: Any = None) -> AbstractContextManager[None]:
        """Within, the current stream is one that is kept for writers; it goes on when `mark`, if any, is reached."""
        ...

    def seconds(self, begin: Any, end: Any) -> float:
        """Between two marks; waits until the second is reached."""
        ...

    def release(self) -> None:
        """Let go of all that is kept for the next read."""
        ...

    def empty(self, nbytes: int) -> Any:
        """A uint8 array of scratch, not initialised, aligned to 256 bytes.

        It lives until the batch ends, and no longer than it is referenced: who took its address holds it until the
        last launch that uses it (on a GPU, memory is given back in the order of the stream).
        """
        ...

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        """A fresh encoded batch of scratch for chunks of these sizes, each aligned to `batch.ALIGNMENT`."""
        ...

    def pinned_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """Host memory for the encoded chunks of one batch; pinned where that makes the copy to the device faster."""
        ...

    def device_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """Device memory for the encoded chunks of one batch, which something else than a stream may write to at
        once."""
        ...

    def run(self, load: Load, finish: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        """finish(load(batch)) for each batch, some at once, each in what order suits; the first error is raised.

        On a GPU what `finish` returns is called when the batch shall end: see `devices.batches`.
        `trace` is told what the batches hold, move and take.
        """
        ...

    def count(self, **numbers: int) -> None:
        """Add to the counts of the read or write that the calling thread works for, of which reports tell."""
        ...

    def completed(self) -> None:
        """The calling thread's batch is settled before its end, and what it held can be used again."""
        ...

    @property
    def room(self) -> int | None:
        """Bytes that the calling thread's batch may still take while it is decoded; None: as many as it likes."""
        ...

    def scoped_scratch(self) -> AbstractContextManager[None]:
        """What is taken within goes back at its end, for which the host waits: for what is too large to do at once."""
        ...

    def upload(self, data: np.ndarray) -> Any:
        """Copy to the device."""
        ...

    def download(self, data: Any) -> np.ndarray:
        """Copy to the host; waits for the stream."""
        ...

    def download_async(self, data: Any) -> Callable[[], np.ndarray]:
        """`download` in two: the copy is ordered on the stream now; the function that is returned waits for it."""
        ...

    def copy_back(self, data: Any) -> Callable[..., np.ndarray]:
        """What a batch has encoded, to come into pinned memory of the batch, beside all that is launched later.

        The function that is returned, `(count=None)`, copies the first `count` items (all) as soon as what is launched
        by now is done, and waits for them; any thread may call it, once. `data` must not be changed any more.
        """
        ...

    def address(self, data: Any) -> int:
        """Where a device array begins, as nvCOMP's pointer tables want it."""
        ...

    def kernel(self, file: str, name: str) -> Kernel:
        """Kernel `name` of kernels/`file` (or of a file at another path), compiled for this device."""
        ...

    def decompress(
        self,
        algorithm: Algorithm,
        sources: np.ndarray,
        sizes: np.ndarray,
        targets: np.ndarray,
        capacities: np.ndarray,
        chunk: np.ndarray,
    ) -> None:
        """One nvCOMP batch. Stream i, `sizes[i]` bytes at address `sources[i]`, becomes exactly `capacities[i]` bytes
        at `targets[i]`.

        A stream is what nvCOMP takes for one: a raw block of lz4 or snappy, a frame of zstd, a raw stream of deflate
        (RFC 1951), a member of gzip (RFC 1952). All arrays are of the host (uint64 addresses, int64 sizes). `chunk[i]`
        is the chunk that stream i belongs to. Nothing is raised here for bad streams: status and actual size of each
        are compared on the device, and what `checked` returns tells.
        """
        ...

    def compressed_room(self, algorithm: Algorithm, nbytes: int) -> int:
        """Bytes that every target of a `compress` needs whose largest source has `nbytes` (at most 16 MiB)."""
        ...

    def compression_scratch(self, algorithm: Algorithm, nbytes: int, effort: int = 0) -> int:
        """Bytes of nvCOMP's scratch that a `compress` takes for each source of `nbytes`, about."""
        ...

    def compress(
        self, algorithm: Algorithm, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, effort: int = 0
    ) -> Any:
        """One nvCOMP batch. `sizes[i]` bytes at `sources[i]` (1 byte to 16 MiB) become a stream at `targets[i]`.

        Streams are those of `decompress`; sources of zstd lie at multiples of 4, targets of deflate and gzip of 8. Each
        target has `compressed_room` of the largest size. `effort`: of deflate and gzip, 0 (fast) to 5. What is
        returned is a uint64 array of the device: the bytes of each stream, 0 where nvCOMP failed.
        """
        ...

    def check(self, bad: Any, chunk: np.ndarray, problem: str) -> None:
        """Remember a device int32 array of one element: the number of the first bad stream, or a negative number.

        What `checked` returns will turn it into a CodecError for `chunk[bad]` with the text `problem`.
        """
        ...

    def checked(self) -> Complete | None:
        """What this thread remembered since the last call, as a function that waits for it and raises CodecError.

        None if there is nothing to wait for.
        """
        ...
