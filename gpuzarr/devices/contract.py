"""Contract of a device: where chunks are decoded, encoded and placed. `Cpu` and `Cuda` exist, and `Emulated` for tests.

A new device implements the members of `Device` that every device must have: the first three groups. It says `gpu =
False`, and codecs then give it what they give NumPy: arrays of `xp`, without kernels. The read and write paths run its
batches by `run`, and never ask what kind of device it is except by `gpu`.

The other groups are for a device that runs CUDA kernels and nvCOMP (`gpu = True`): codecs then launch kernels by
`kernel`, decode streams by `decompress`, and report damage by `check`. All launches are ordered on the current stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.pipeline import Complete, Launch, Load
from gpuzarr.devices.trace import CurrentBatch, Trace


class Kernel(Protocol):
    """A CUDA kernel.

    `grid` is in blocks, `block` in threads, with one to three axes each. `args` are device arrays, and NumPy scalars of
    the width that the kernel declares.
    """

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None: ...


class Device(Protocol):
    """A device. Objects are picklable and may be used by many threads at once."""

    # ---- Every device: description ----

    name: str  # as users select it: "cpu", "cuda:0"
    gpu: bool  # kernels and nvCOMP run here
    xp: Any  # array module: numpy or cupy
    threads: int  # batches at work at once
    readers: int  # threads that may read one batch from the store
    batch_bytes: int  # preferred decoded bytes of one batch
    prefetch_depth: int  # batches loaded ahead of those that are decoded, where memory allows

    @property
    def memory_limit(self) -> int:
        """Default of the bytes that a read may hold beyond its result."""
        ...

    # ---- Every device: arrays, scratch and time ----

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """An array for a result, not initialised."""
        ...

    def empty(self, nbytes: int) -> Any:
        """Scratch: a uint8 array, not initialised, aligned to 256 bytes.

        It is valid until the batch ends, and only while it is referenced. Code that passes its address to a kernel must
        hold it until the last launch that uses it: a GPU reuses memory in the order of the stream.
        """
        ...

    def encoded_batch(self, sizes: np.ndarray) -> EncodedBatch:
        """An encoded batch in scratch, for chunks of these sizes, each aligned to `batch.ALIGNMENT`."""
        ...

    def pinned_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """Host memory for one batch's encoded chunks; pinned if that makes copies to the device faster."""
        ...

    def on(self, stream: Any = None) -> AbstractContextManager[None]:
        """Make this device the current one, and `stream` (of CuPy; None: unchanged) the current stream."""
        ...

    def address(self, data: Any) -> int:
        """Address of the first element of an array in the memory of the device, for kernels and libraries."""
        ...

    def timestamp(self) -> Any:
        """The present: seconds of the host's clock (a float), or an event of the current stream."""
        ...

    def seconds(self, begin: Any, end: Any) -> float:
        """Seconds between two timestamps. Waits for the second."""
        ...

    def after(self, timestamp: Any = None, work: str = "writing") -> AbstractContextManager[None]:
        """Make the stream for `work` that does not block the current one. It waits for `timestamp`, if given."""
        ...

    def release(self) -> None:
        """Free everything that is kept for the next read."""
        ...

    # ---- Every device: batches ----

    def run(self, load: Load, launch: Launch, batches: Iterable[Any], trace: Trace | None = None) -> None:
        """Do launch(load(batch)) for each batch, several at once, in any order. The first error is raised.

        On a GPU the function that `launch` returns is called later, to complete the batch: see `devices.pipeline`. What
        batches hold, move and take is added to `trace`.
        """
        ...

    def count(self, **numbers: int) -> None:
        """Add to the counts of the read or write that the calling thread works for."""
        ...

    def completed(self) -> None:
        """Say that the calling thread's batch has waited for everything it launched: its memory can be reused."""
        ...

    def checked(self) -> Complete | None:
        """Take the pending checks of this thread: a function that waits for them and raises CodecError.

        None if there is nothing to wait for.
        """
        ...

    # ---- Only a GPU: limits ----

    cost: Costs  # decides which chunks the CPU decodes instead
    concurrent_batches: int  # that are decoded at once, each on a stream of its own
    pinned_limit: int  # of `memory_limit`, bytes that may be pinned memory
    current: CurrentBatch  # that of the calling thread: bytes that it may still take, batches that overlap

    @property
    def write_limit(self) -> int:
        """Default of the bytes that a write may hold beyond its value."""
        ...

    @property
    def free_bytes(self) -> int:
        """Bytes of device memory that are free now: the limit of what is done outside of reads and writes."""
        ...

    def stream_at(self, pointer: int) -> Any:
        """The stream of another library with this `cudaStream_t`, for `on`. 0 is CUDA's null stream."""
        ...

    def holds(self, dtype: np.dtype) -> bool:
        """Return True if the device can hold arrays of a dtype that NumPy does not define."""
        ...

    # ---- Only a GPU: memory and copies ----

    def decoded_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """Host memory for chunks of these sizes that the host decodes for the GPU. Any thread may write to it.

        In a batch it is pinned: `upload` copies from it without a wait, and without a copy on the host.
        """
        ...

    def filled(self, nbytes: int, byte: int) -> Any:
        """Scratch of which every byte is `byte`."""
        ...

    def device_buffer(self, sizes: np.ndarray) -> EncodedBatch:
        """Device memory for one batch's encoded chunks, free to be written to at once by other means than a stream."""
        ...

    def scoped_scratch(self) -> AbstractContextManager[None]:
        """Context whose scratch is freed at its end, after a wait for the stream: for work too large to do at once."""
        ...

    def upload(self, data: np.ndarray) -> Any:
        """Copy to the device, in the order of the current stream."""
        ...

    def upload_target(self, nbytes: int) -> Any:
        """Device memory, uint8, for bytes that `upload_part` copies. The batch holds it until it is complete."""
        ...

    def upload_part(self, source: np.ndarray, target: Any) -> None:
        """Copy pinned memory of the batch to a part of `upload_target`'s memory, beside other work.

        Threads that load a batch call it; the host does not wait.
        """
        ...

    def await_uploads(self) -> None:
        """Order what the calling thread launches from now on behind the copies of `upload_part` for its batch."""
        ...

    def download(self, data: Any) -> np.ndarray:
        """Copy to the host. Waits for the stream."""
        ...

    def download_async(self, data: Any) -> Callable[[], np.ndarray]:
        """Copy to the host in the order of the current stream. The function that is returned waits for the copy."""
        ...

    def copy_back(self, data: Any) -> Callable[..., np.ndarray]:
        """Copy encoded chunks into pinned memory of the batch, beside work that is launched later.

        The function that is returned, `(count=None)`, copies the first `count` items (default: all) when everything
        that is launched by now is done, and waits for them. Any thread may call it, once. `data` must not change any
        more.
        """
        ...

    # ---- Only a GPU: kernels and nvCOMP ----

    def kernel(self, file: str, name: str, width: int | None = None) -> Kernel:
        """Kernel `name` of kernels/`file` (or of a file at another path), compiled for this device.

        `width`: bytes of an element, for the files of `devices.kernels.WIDTHS`, which are compiled for each by itself.
        """
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
        """Decode streams in one nvCOMP batch.

        Stream i, `sizes[i]` bytes at `sources[i]`, must decode to exactly `capacities[i]` bytes, which are at
        `targets[i]`. A stream is what nvCOMP takes for one: a raw block of lz4 or snappy, a frame of zstd, a raw stream
        of deflate (RFC 1951), a member of gzip (RFC 1952). All arrays are of the host: uint64 addresses, int64 sizes.
        `chunk[i]` is the number of the chunk that stream i belongs to. Bad streams raise nothing here: the status and
        decoded size of each are compared on the device, and the function from `checked` raises.
        """
        ...

    def compressed_capacity(self, algorithm: Algorithm, nbytes: int) -> int:
        """Bytes that each target of a `compress` needs if its largest source has `nbytes` (at most 16 MiB)."""
        ...

    def compression_scratch(self, algorithm: Algorithm, nbytes: int, effort: int = 0) -> int:
        """Approximate bytes of nvCOMP's scratch for each source of `nbytes` of a `compress`."""
        ...

    def compress(
        self, algorithm: Algorithm, sources: np.ndarray, sizes: np.ndarray, targets: np.ndarray, effort: int = 0
    ) -> Any:
        """Encode streams in one nvCOMP batch: `sizes[i]` bytes (1 to 16 MiB) at `sources[i]`, to `targets[i]`.

        Streams are those of `decompress`. Sources of zstd must be aligned to 4 bytes, targets of deflate and gzip to 8.
        Each target has `compressed_capacity` of the largest size. `effort` of deflate and gzip: 0 (fast) to 5. Returns
        a device array, uint64: the bytes of each stream, 0 where nvCOMP failed.
        """
        ...

    def check(self, chunk: np.ndarray, problem: str) -> Any:
        """Add a pending check, and return its flag: device uint32 (1,), all bits set.

        A kernel sets it to the number of the first bad stream by `atomicMin`. Then the function from `checked` raises
        CodecError for `chunk[number]`, with the text `problem`.
        """
        ...
