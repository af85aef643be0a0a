"""nvCOMP 6.0's batch API by ctypes, and decompression of many streams in one call.

Source of signatures, struct sizes and limits: the 6.0 headers (nvcomp/{lz4,snappy,deflate,gzip,zstd}.h). The API
changed between 5 and 6, so any other version is refused. Functions take the library as an argument: tests answer the
same calls with CPU codecs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_int, c_size_t, c_void_p
from functools import cache
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.cuda.pinned import rounded
from gpuzarr.devices.nvcomp.files import installed
from gpuzarr.errors import DeviceError

REQUIRED_VERSION = 6000
BACKEND_CUDA = 2  # not the decompression engine of newer GPUs, which reports no error for a corrupt stream
GUARD_BYTES = 64 << 10  # unused, after nvCOMP's scratch
TABLE_BYTES_PER_STREAM = 128  # on the device and pinned


class Options(ctypes.Structure):
    """Options of any format, 64 bytes. Zeros after the first word are the defaults.

    `first`: the backend, to decompress; the algorithm of deflate and gzip, else 0, to compress.
    """

    _fields_ = (("first", c_int), ("rest", ctypes.c_char * 60))


class Alignments(ctypes.Structure):
    """nvcompAlignmentRequirements_t: bytes that sources, targets and scratch must be aligned to."""

    _fields_ = (("source", c_size_t), ("target", c_size_t), ("scratch", c_size_t))


class Properties(ctypes.Structure):
    """nvcompProperties_t."""

    _fields_ = (("version", ctypes.c_uint32), ("cudart_version", ctypes.c_uint32))


_BOTH_DIRECTIONS: dict[str, tuple[Any, ...]] = {
    "GetRequiredAlignments": (Options, POINTER(Alignments)),
    "GetTempSize": (c_size_t, c_size_t, Options, POINTER(c_size_t), c_size_t, c_void_p),
}
_ARGUMENT_TYPES: dict[str, dict[str, tuple[Any, ...]]] = {
    "Decompress": _BOTH_DIRECTIONS
    | {"Async": (*[c_void_p] * 4, c_size_t, c_void_p, c_size_t, c_void_p, Options, c_void_p, c_void_p)},
    "Compress": _BOTH_DIRECTIONS
    | {
        "GetMaxOutputChunkSize": (c_size_t, Options, POINTER(c_size_t)),
        "Async": (
            *(c_void_p, c_void_p, c_size_t, c_size_t, c_void_p, c_size_t),
            *(c_void_p, c_void_p, Options, c_void_p, c_void_p),
        ),
    },
}


def function(library: Any, algorithm: Algorithm, verb: str, direction: str = "Decompress") -> Any:
    """Function of nvCOMP, with its argument types declared."""
    found = getattr(library, f"nvcompBatched{algorithm.nvcomp_name}{direction}{verb}")
    found.argtypes, found.restype = _ARGUMENT_TYPES[direction][verb], c_int
    return found


@cache
def load() -> Any:
    """Load nvCOMP. DeviceError, saying what is missing, if it cannot be used."""
    library = _open()
    properties = Properties()
    status = library.nvcompGetProperties(ctypes.byref(properties))
    if status or properties.version != REQUIRED_VERSION:
        raise DeviceError(
            f"nvCOMP {REQUIRED_VERSION // 1000}.{REQUIRED_VERSION % 1000 // 100} is needed, found version number "
            f"{properties.version}: "
            "pip install 'nvidia-libnvcomp-cu13==6.0.*' (CUDA 12: nvidia-libnvcomp-cu12)"
        )
    return library


def _open() -> ctypes.CDLL:
    for place in [*installed("libnvcomp.so.*"), "libnvcomp.so.6"]:
        try:
            return ctypes.CDLL(place)
        except OSError as error:
            problem = error
    raise DeviceError(f"no nvCOMP ({problem}): pip install gpuzarr[cuda13], or gpuzarr[cuda12] for CUDA 12")


def options() -> Options:
    """Options for decompression, of any format."""
    return Options(first=BACKEND_CUDA)


def alignments(library: Any, algorithm: Algorithm, options: Options, direction: str = "Decompress") -> Alignments:
    """Alignments that a format needs."""
    answer = Alignments()
    query = function(library, algorithm, "GetRequiredAlignments", direction)
    require(query(options, ctypes.byref(answer)), algorithm, "alignment query")
    return answer


def scratch_bytes(
    library: Any, algorithm: Algorithm, sizes: np.ndarray, options: Options, stream: int, direction: str = "Decompress"
) -> int:
    """Bytes of scratch for one batch with these decoded sizes. Some formats need 3 times their sum."""
    answer = c_size_t()
    count, largest, total = len(sizes), int(sizes.max(initial=0)), int(sizes.sum())
    query = function(library, algorithm, "GetTempSize", direction)
    require(query(count, largest, options, ctypes.byref(answer), total, stream), algorithm, "scratch query")
    return answer.value


def decompress(
    device: Any,
    library: Any,
    stream: int,
    algorithm: Algorithm,
    sources: np.ndarray,
    sizes: np.ndarray,
    targets: np.ndarray,
    capacities: np.ndarray,
    chunk: np.ndarray,
    max_scratch: Callable[[], int],
) -> None:
    """See `Device.decompress`. `stream` is the CUDA stream as an integer; nothing here waits for it.

    `max_scratch()`: bytes of scratch, asked for if any is needed; a batch that needs more is split, down to single
    streams.
    """
    check_alignment(algorithm, alignments(library, algorithm, options()), sources, targets)
    if (largest := capacities.max(initial=0)) > algorithm.max_decoded_bytes:
        raise DeviceError(
            f"nvCOMP {algorithm.name} decodes at most {algorithm.max_decoded_bytes} bytes a stream, not {largest}"
        )

    def query(sizes: np.ndarray) -> int:
        return scratch_bytes(library, algorithm, sizes, options(), stream)

    parts, scratch_nbytes = divided(query, capacities, max_scratch)
    if not parts:
        return
    count, columns = len(sizes), (sources, sizes, capacities, targets)
    table = device.upload(np.concatenate([column.astype(np.uint64) for column in columns]))
    results = device.filled(12 * count, 255)  # a stream that nvCOMP leaves out must not pass for a good one
    actual, status = results[: 8 * count].view(np.uint64), results[8 * count :].view(np.int32)
    temporary = device.empty(scratch_nbytes + GUARD_BYTES)  # shared by all parts
    launch, scratch = function(library, algorithm, "Async"), device.address(temporary)
    for part, nbytes in parts:
        row, found = device.address(table) + 8 * part.start, device.address(actual) + 8 * part.start
        answer = launch(
            row, row + 8 * count, row + 16 * count, found, part.stop - part.start,
            scratch, nbytes, row + 24 * count, options(), device.address(status) + 4 * part.start, stream,
        )  # fmt: skip
        require(answer, algorithm, "decompression")
    problem = f"nvCOMP {algorithm.name}: the stream is damaged, or does not decode to its expected size"
    arguments = (status, actual, table[2 * count : 3 * count], np.uint32(count), device.check(chunk, problem))
    device.kernel("check.cu", "bad_status")((-(-count // 256),), (256,), arguments)


def scratch_limit(nbytes: int, streams: int) -> int:
    """Bytes of scratch that a batch of `streams` may take, of `nbytes` of memory that are left."""
    return max(nbytes - GUARD_BYTES - TABLE_BYTES_PER_STREAM * streams, 0)


def _rounded_up(nbytes: int, limit: int) -> int:
    """A round size within the limit. Batches differ a little, and CuPy's pool keeps a block for each size."""
    return max(nbytes, min(rounded(nbytes), limit))


def check_alignment(algorithm: Algorithm, need: Alignments, sources: np.ndarray, targets: np.ndarray) -> None:
    """DeviceError for an address that is not aligned as nvCOMP needs it."""
    if (sources % np.uint64(need.source)).any() or (targets % np.uint64(need.target)).any():
        raise DeviceError(
            f"nvCOMP {algorithm.name}: sources must be at multiples of {need.source}, targets of {need.target}"
        )


def divided(
    query: Callable[[np.ndarray], int], sizes: np.ndarray, max_scratch: Callable[[], int]
) -> tuple[list[tuple[slice, int]], int]:
    """Divide a batch into parts whose scratch is within the limit: parts with their bytes of scratch, and bytes of
    scratch to allocate for all of them.

    `query(sizes)`: bytes of scratch for a batch with these decoded sizes. `max_scratch()`: the limit, asked for if any
    scratch is needed. Most often there is one part, and none if there are no streams.
    """
    if not len(sizes):
        return [], 0
    if not (nbytes := query(sizes)):
        return [(slice(0, len(sizes)), 0)], 0
    limit = max_scratch()
    parts = _halved(query, sizes, limit, slice(0, len(sizes)), nbytes)
    return parts, _rounded_up(max(nbytes for _, nbytes in parts), limit)


def _halved(
    query: Callable[[np.ndarray], int], sizes: np.ndarray, limit: int, part: slice, nbytes: int
) -> list[tuple[slice, int]]:
    """Halve a part, which needs `nbytes` of scratch, until that is within the limit, or a half needs as much."""
    middle = (part.start + part.stop) // 2
    if nbytes <= limit or middle == part.start:
        return [(part, nbytes)]
    halves = slice(part.start, middle), slice(middle, part.stop)
    each = [query(sizes[half]) for half in halves]
    if each[1] >= nbytes:
        return [(part, nbytes)]
    return [p for half, need in zip(halves, each, strict=True) for p in _halved(query, sizes, limit, half, need)]


def require(status: int, algorithm: Algorithm, what: str) -> None:
    """DeviceError for a status of nvCOMP other than success."""
    if status:
        raise DeviceError(f"nvCOMP {algorithm.name}: {what} failed with status {status}")
