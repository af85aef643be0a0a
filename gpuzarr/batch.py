"""The forms of data between codecs: specs describe a chunk, an EncodedBatch holds the bytes of many chunks.

A decoded batch is an array whose first axis counts chunks; so an array codec is one array expression, the same in NumPy
and in CuPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import CodecError

MAX_PYTHON_ROWS = 32  # up to here Python ints are faster than NumPy's functions
ALIGNMENT = 256  # bytes, of every chunk in a new encoded batch: enough for vector loads, nvCOMP and GDS
MAX_VARIABLE_BYTES = 1 << 28  # that a chunk of elements of variable length is decoded to,
MAX_VARIABLE_RATIO = 64  # or so many times its stored bytes, if that is more,
MAX_UNKNOWN_BYTES = 2**31 - 1  # but not more than this
PADDING_RATIO, PADDING_BYTES = 2, 1 << 20  # of stored chunks, above what encoders make: skipped frames, small members
PACKED = 16  # bytes, to which every chunk of an Unmeasured is aligned


@dataclass(frozen=True)
class ChunkSpec:
    """A decoded chunk at one place in a chain of codecs: an array of elements.

    `dtype` is in native byte order. `fill_value` is a scalar of that dtype. `allowed`: see BytesSpec.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fill_value: Any = None
    allowed: int = 0

    @cached_property
    def nbytes(self) -> int | None:
        """Bytes of the elements; None for Python objects and strings of variable length."""
        return None if self.dtype.hasobject or self.dtype.kind == "T" else prod(self.shape) * self.dtype.itemsize

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Bytes from element to element along each axis of a contiguous chunk, in C order."""
        return tuple([prod(self.shape[axis + 1 :]) * self.dtype.itemsize for axis in range(len(self.shape))])


@dataclass(frozen=True)
class BytesSpec:
    """A chunk on the decoded side of a bytes->bytes codec: `nbytes` bytes, None where this varies.

    Where it varies, a chunk has at most `at_most` bytes, and no decoder makes more of it. None: elements are of
    variable length, and metadata says nothing; then `most` is a limit. `allowed`: bytes that the caller allows chunks
    of elements of variable length, where the limit is less; None where elements are of no variable length.
    """

    nbytes: int | None
    at_most: int | None = None
    allowed: int | None = None

    @property
    def bound(self) -> int | None:
        """The most bytes that a chunk may have by its metadata; None where elements are of variable length."""
        return self.at_most if self.nbytes is None else self.nbytes

    def most(self, stored: int) -> int:
        """The most bytes that a decoder may make of a chunk of `stored` bytes."""
        if self.nbytes is not None:
            return self.nbytes
        if self.at_most is not None:
            return self.at_most
        return max(min(max(MAX_VARIABLE_BYTES, MAX_VARIABLE_RATIO * stored), MAX_UNKNOWN_BYTES), self.allowed or 0)

    def resized(self, change: Callable[[int], int]) -> BytesSpec:
        """The spec after a codec that makes `change(n)` bytes of n bytes."""
        nbytes, at_most = (None if n is None else change(n) for n in (self.nbytes, self.at_most))
        return BytesSpec(nbytes, at_most, self.allowed)

    def compressed(self) -> BytesSpec:
        """The spec after a codec that makes bytes shorter, or a little longer."""
        return BytesSpec(None, None if self.bound is None else most_compressed(self.bound), self.allowed)


@dataclass(frozen=True)
class StoredSize:
    """The bytes that a chunk may have as it is stored, so that what is larger is refused before it is read.

    From `least` to `most`; the same where metadata tells how many. `codec`: the name of the last codec.
    """

    codec: str
    least: int
    most: int

    @classmethod
    def of(cls, codec: str, spec: BytesSpec) -> StoredSize:
        """The sizes of stored chunks of which encoders make what `spec` says."""
        if spec.nbytes is not None:
            return cls(codec, spec.nbytes, spec.nbytes)
        if spec.at_most is None:
            return cls(codec, 0, max(MAX_UNKNOWN_BYTES, spec.allowed or 0))
        return cls(codec, 0, PADDING_RATIO * spec.at_most + PADDING_BYTES)

    def wrong(self, sizes: np.ndarray) -> CodecError | None:
        """The error for the first chunk whose size cannot be right; None if all may be. A missing chunk has -1."""
        bad = (sizes < self.least) | (sizes > self.most)
        if not np.count_nonzero(bad) or not (bad := bad & (sizes >= 0)).any():
            return None
        index = int(np.argmax(bad))
        expected = f"{self.most}" if self.least == self.most else f"at most {self.most}"
        return CodecError(f"{self.codec}: a chunk of {sizes[index]} bytes, expected {expected}", index, self.codec)


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

    @classmethod
    def of_one(cls, data: Any) -> EncodedBatch:
        """One chunk: bytes of the host."""
        chunk = np.frombuffer(data, np.uint8)
        return cls(chunk, np.zeros(1, np.int64), np.array([len(chunk)], np.int64))

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, i: int) -> Any:
        start = int(self.starts[i])
        return self.data[start : start + int(self.sizes[i])]

    @property
    def places(self) -> np.ndarray:
        """The address of each chunk, int64, of an encoded batch in host memory; valid while it is referenced."""
        return address(self.data) + self.starts

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
class Boxes:
    """Boxes of elements that are copied from chunks to results. A chunk may have several, also of several results.

    Of each box, int64 (m,): `chunk`, the number of its chunk; `begin`, bytes from the chunk's first element to the
    box's; `result`, the number of its result; `target`, bytes from that result's first element to the place of the
    box's; `shape`, the number of its shape. Of each shape, int64 (k, axes): `extents`, elements along each axis;
    `sources` and `targets`, bytes from one to the next in the chunk and in the result; `lists`, -1, or the first of the
    `entries` of an axis along which these are no steps: int64 (e, 2), bytes of each element in the chunk and in the
    result.
    """

    chunk: np.ndarray
    begin: np.ndarray
    result: np.ndarray
    target: np.ndarray
    shape: np.ndarray
    extents: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    lists: np.ndarray
    entries: np.ndarray


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


def address(array: np.ndarray) -> int:
    """The address of the first element of an array in host memory. It is valid while the array is referenced."""
    found: int = array.__array_interface__["data"][0]  # takes half as long as `array.ctypes.data`
    return found


def bytes_at(place: int, nbytes: int) -> np.ndarray:
    """The bytes at an address in host memory, which must stay valid while the array is used."""
    return np.frombuffer((ctypes.c_ubyte * nbytes).from_address(place), np.uint8)


def measured(chunks: Any, device: Any) -> Any:
    """A batch as it is; for an Unmeasured wait for its sizes: its encoded batch, or None where a chunk was refused."""
    return chunks.measuring(device)() if isinstance(chunks, Unmeasured) else chunks


def most_compressed(nbytes: int) -> int:
    """The most bytes that any compressor makes of `nbytes`: bz2 adds most to large chunks, xz to small ones.

    Enough also for streams of many frames or members, and for a header with a file's name.
    """
    return nbytes + nbytes // 8 + 1024


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


def joined(encoded_batches: list[EncodedBatch]) -> EncodedBatch:
    """Join encoded batches of the host to one."""
    bases = np.cumsum([0] + [len(s.data) for s in encoded_batches[:-1]])
    starts = np.concatenate([s.starts + base for s, base in zip(encoded_batches, bases, strict=True)])
    return EncodedBatch(
        np.concatenate([s.data for s in encoded_batches]), starts, np.concatenate([s.sizes for s in encoded_batches])
    )
