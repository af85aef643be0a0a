"""nvCOMP 6.0's batch API by ctypes: decompression of many streams in one call (`nvcomp_compress`: the way back).

Signatures, struct sizes and limits are those of the 6.0 headers (nvcomp/{lz4,snappy,deflate,gzip,zstd}.h). The API
changed between 5 and 6, so any other version is refused. The functions here take the library as an
argument: the tests answer the same calls with CPU codecs. Not yet run on a GPU.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import POINTER, c_int, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.cuda.pinned import rounded
from gpuzarr.errors import DeviceError

VERSION = 6000
BACKEND_CUDA = 2  # the decompression engine of newer GPUs reports no error for a corrupt stream
GUARD = 64 << 10  # bytes after nvCOMP's scratch that belong to nobody
MAX_SCRATCH = 1 << 30  # bytes, if nobody says how many; a batch that wants more is done in parts
TABLES = 128  # bytes of the tables of a stream, on the device and pinned


class Options(ctypes.Structure):
    """Any format's options: 64 bytes; zeros after the first word are each format's default.

    `first`: to decompress the backend; to compress the algorithm of deflate and gzip, and 0 for the others.
    """

    _fields_ = (("first", c_int), ("rest", ctypes.c_char * 60))


class Alignments(ctypes.Structure):
    _fields_ = (("source", c_size_t), ("target", c_size_t), ("scratch", c_size_t))


class Properties(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("cudart_version", ctypes.c_uint32))


_BOTH: dict[str, tuple[Any, ...]] = {
    "GetRequiredAlignments": (Options, POINTER(Alignments)),
    "GetTempSize": (c_size_t, c_size_t, Options, POINTER(c_size_t), c_size_t, c_void_p),
}
_TYPES: dict[str, dict[str, tuple[Any, ...]]] = {
    "Decompress": _BOTH
    | {"Async": (*[c_void_p] * 4, c_size_t, c_void_p, c_size_t, c_void_p, Options, c_void_p, c_void_p)},
    "Compress": _BOTH
    | {
        "GetMaxOutputChunkSize": (c_size_t, Options, POINTER(c_size_t)),
        "Async": (
            *(c_void_p, c_void_p, c_size_t, c_size_t, c_void_p, c_size_t),
            *(c_void_p, c_void_p, Options, c_void_p, c_void_p),
        ),
    },
}


def function(library: Any, algorithm: Algorithm, verb: str, direction: str = "Decompress") -> Any:
    """One of nvCOMP's functions, with its argument types declared."""
    found = getattr(library, f"nvcompBatched{algorithm.nvcomp_name}{direction}{verb}")
    found.argtypes, found.restype = _TYPES[direction][verb], c_int
    return found


@cache
def load() -> Any:
    """nvCOMP's library. DeviceError that says what is missing."""
    library = _open()
    properties = Properties()
    status = library.nvcompGetProperties(ctypes.byref(properties))
    if status or properties.version != VERSION:
        raise DeviceError(
            f"nvCOMP {VERSION // 1000}.{VERSION % 1000 // 100} is needed, found version number {properties.version}: "
            "pip install 'nvidia-libnvcomp-cu13==6.0.*' (CUDA 12: nvidia-libnvcomp-cu12)"
        )
    return library


def _open() -> ctypes.CDLL:
    """In all folders `nvidia` of Python's path: a package that has an `__init__.py` in one hides the others."""
    folders = [Path(p or ".", "nvidia") for p in sys.path]
    found = [str(p) for folder in folders for p in folder.glob("*nvcomp/*/libnvcomp.so.*")]
    for place in [*found, "libnvcomp.so.6"]:
        try:
            return ctypes.CDLL(place)
        except OSError as error:
            problem = error
    raise DeviceError(f"no nvCOMP ({problem}): pip install gpuzarr[cuda13], or gpuzarr[cuda12] for CUDA 12")


def options() -> Options:
    return Options(first=BACKEND_CUDA)


def alignments(library: Any, algorithm: Algorithm, options: Options, direction: str = "Decompress") -> Alignments:
    """What sources, targets and scratch must be aligned to."""
    answer = Alignments()
    query = function(library, algorithm, "GetRequiredAlignments", direction)
    require(query(options, ctypes.byref(answer)), algorithm, "alignment query")
    return answer


def scratch_bytes(
    library: Any, algorithm: Algorithm, sizes: np.ndarray, options: Options, stream: int, direction: str = "Decompress"
) -> int:
    """Scratch for one batch of these decoded sizes. The exact sum is passed: some ask for 3 times that."""
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
    most: int | None = None,
) -> None:
    """See devices.Device.decompress. `stream` is the CUDA stream as an integer; nothing here waits for it.

    `most`: bytes of scratch; a batch that wants more is done in parts, of one stream at least.
    """
    check_places(algorithm, alignments(library, algorithm, options()), sources, targets)
    if (largest := capacities.max(initial=0)) > algorithm.max_decoded_bytes:
        raise DeviceError(
            f"nvCOMP {algorithm.name} decodes at most {algorithm.max_decoded_bytes} bytes a stream, not {largest}"
        )

    def query(sizes: np.ndarray) -> int:
        return scratch_bytes(library, algorithm, sizes, options(), stream)

    done = parts(query, capacities, most, 0, len(capacities))
    room = device.empty(_grown(max(scratch for _, scratch in done), most) + GUARD) if done else None  # for all in turn
    for part, scratch in done:
        columns = [np.asarray(column[part]) for column in (sources, sizes, capacities, targets)]
        bad = _launch(device, library, stream, algorithm, columns, room, scratch)
        problem = f"nvCOMP {algorithm.name}: the stream is damaged, or does not decode to its expected size"
        device.check(bad, chunk[part], problem)


def spare(room: int | None, count: int) -> int | None:
    """Of `room` bytes those that a batch of `count` streams may have as scratch; None: as many as it likes."""
    return None if room is None else max(room - GUARD - TABLES * count, 0)


def _grown(scratch: int, most: int | None) -> int:
    """A round size, if there is room: CuPy's pool asks CUDA for more whenever a batch wants more than those before."""
    return max(scratch, min(rounded(scratch), MAX_SCRATCH if most is None else most))


def check_places(algorithm: Algorithm, need: Alignments, sources: np.ndarray, targets: np.ndarray) -> None:
    """DeviceError where a stream does not lie as nvCOMP wants it."""
    if (sources % np.uint64(need.source)).any() or (targets % np.uint64(need.target)).any():
        raise DeviceError(
            f"nvCOMP {algorithm.name}: sources lie at multiples of {need.source}, targets of {need.target}"
        )


def parts(
    query: Callable[[np.ndarray], int], sizes: np.ndarray, most: int | None, begin: int, end: int
) -> list[tuple[slice, int]]:
    """The batch in halves of halves until each part's scratch is bounded; most often the whole batch, none if empty.

    `query(sizes)`: bytes of scratch for a batch of these decoded sizes; `most`: as of `decompress`. Parts whose
    halves want as much stay whole.
    """
    if begin == end:
        return []
    most = MAX_SCRATCH if most is None else most
    scratch, middle = query(sizes[begin:end]), (begin + end) // 2
    if scratch <= most or end - begin == 1 or query(sizes[middle:end]) >= scratch:
        return [(slice(begin, end), scratch)]
    two_phase = (begin, middle), (middle, end)
    return [part for half in two_phase for part in parts(query, sizes, most, *half)]


def _launch(
    device: Any, library: Any, stream: int, algorithm: Algorithm, columns: list[np.ndarray], room: Any, scratch: int
) -> Any:
    """One call, and the search for its first bad stream: a device int32 array of one element."""
    count = len(columns[0])
    table = device.upload(np.concatenate([column.astype(np.uint64) for column in columns]))
    place = device.address(table)
    actual, status, bad = device.empty(8 * count), device.empty(4 * count), device.empty(4)
    actual.fill(255)  # a stream that nvCOMP does not answer for must not pass
    status.fill(255)
    bad.fill(255)
    answer = function(library, algorithm, "Async")(
        place, place + 8 * count, place + 16 * count, device.address(actual), count,
        device.address(room), scratch, place + 24 * count, options(), device.address(status), stream,
    )  # fmt: skip
    require(answer, algorithm, "decompression")
    expected = table[2 * count : 3 * count]
    arguments = (status.view(np.int32), actual.view(np.uint64), expected, np.uint32(count), bad.view(np.uint32))
    device.kernel("check.cu", "bad_status")((-(-count // 256),), (256,), arguments)
    return bad.view(np.int32)


def require(status: int, algorithm: Algorithm, what: str) -> None:
    if status:
        raise DeviceError(f"nvCOMP {algorithm.name}: {what} failed with status {status}")
