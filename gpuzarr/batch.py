"""The forms of data between codecs: specs describe a chunk, an EncodedBatch holds the bytes of many chunks.

A decoded batch is an array whose first axis counts chunks; so an array codec is one array expression, the same in NumPy
and in CuPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

MAX_PYTHON_ROWS = 32  # up to here Python ints are faster than NumPy's functions
ALIGNMENT = 256  # bytes, of every chunk in a new encoded batch: enough for vector loads, nvCOMP and GDS
PACKED = 16  # bytes, to which every chunk of an Unmeasured is aligned


@dataclass(frozen=True)
class ChunkSpec:
    """A decoded chunk at one place in a chain of codecs: an array of elements.

    `dtype` is in native byte order. `fill_value` is a scalar of that dtype.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fill_value: Any = None

    @cached_property
    def nbytes(self) -> int | None:
        """Bytes of the elements; None for Python objects and strings of variable length."""
        return None if self.dtype.hasobject or self.dtype.kind == "T" else prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class BytesSpec:
    """A chunk on the decoded side of a bytes->bytes codec: `nbytes` bytes, None where this varies."""

    nbytes: int | None


@dataclass(frozen=True)
class EncodedBatch:
    """The bytes of many chunks in one buffer: chunk i is data[starts[i] : starts[i] + sizes[i]].

    `data` is a 1-d uint8 array of the device; `starts` and `sizes` are int64 arrays of the host.
    `host`, for an encoded batch on a GPU: the same bytes (same starts) in host memory, while these exist; headers are
    parsed and frames checked there.
    """

    data: Any
    starts: np.ndarray
    sizes: np.ndarray
    host: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, i: int) -> Any:
        start = int(self.starts[i])
        return self.data[start : start + int(self.sizes[i])]

    @cached_property
    def addresses(self) -> list[int]:
        """The address of each chunk, of an encoded batch in host memory. They are valid while it is referenced."""
        base = self.data.ctypes.data
        return [base + start for start in self.starts.tolist()]

    def on_host(self, i: int) -> np.ndarray:
        """Chunk i in host memory, where the encoded batch must have its bytes."""
        start = int(self.starts[i])
        data = self.data if self.host is None else self.host
        return data[start : start + int(self.sizes[i])]

    def take(self, which: np.ndarray | slice) -> EncodedBatch:
        """Some of the chunks; no byte moves."""
        return EncodedBatch(self.data, self.starts[which], self.sizes[which], self.host)

    def part(self, skip: int, trim: int) -> EncodedBatch:
        """The chunks without their first `skip` and last `trim` bytes; no byte moves."""
        return EncodedBatch(self.data, self.starts + skip, self.sizes - skip - trim, self.host)


@dataclass(frozen=True)
class Unmeasured:
    """An encoded batch on a GPU whose sizes only the device knows yet: `starts` and `sizes` are uint64 arrays there.

    Chunk i has sizes[i] bytes, at most `most`; 0 if the encoder refused it. Chunks are packed, aligned to PACKED.
    """

    data: Any
    starts: Any
    sizes: Any
    most: int

    def measuring(self, device: Any) -> Callable[[], EncodedBatch | None]:
        """Launch the copy of the sizes to the host, behind all that is launched so far.

        Returns a function that waits, and returns the encoded batch, or None where a chunk was refused.
        """
        data, fetched = self.data, device.download_async(self.sizes)

        def measured() -> EncodedBatch | None:
            starts, sizes, total = packed(fetched().astype(np.int64), PACKED)
            return EncodedBatch(data[:total], starts, sizes) if sizes.all() else None

        return measured


def measured(chunks: Any, device: Any) -> Any:
    """A batch as it is; for an Unmeasured wait for its sizes: its encoded batch, or None where a chunk was refused."""
    return chunks.measuring(device)() if isinstance(chunks, Unmeasured) else chunks


def packed(sizes: Sequence[int] | np.ndarray, alignment: int = ALIGNMENT) -> tuple[np.ndarray, np.ndarray, int]:
    """Pack aligned chunks of these sizes: starts and sizes (int64), and the total number of bytes."""
    sizes = np.asarray(sizes, np.int64)
    if len(sizes) <= MAX_PYTHON_ROWS:
        starts, end = [], 0
        for size in sizes.tolist():
            starts.append(end)
            end += -(-size // alignment) * alignment
        return np.array(starts, np.int64), sizes, end
    aligned = (sizes + (alignment - 1)) // alignment * alignment
    ends = aligned.cumsum()
    return ends - aligned, sizes, int(ends[-1])


def allocated(sizes: np.ndarray, allocate: Callable[[int], Any]) -> EncodedBatch:
    """Encoded batch for chunks of these sizes, each aligned, in memory from `allocate(nbytes)`."""
    starts, sizes, total = packed(sizes)
    return EncodedBatch(allocate(total), starts, sizes)
