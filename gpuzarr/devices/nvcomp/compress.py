"""nvCOMP 6.0's batch API by ctypes: compression of many streams in one call. Not yet run on a GPU.

Everything that it writes is a standard stream. As in `nvcomp`, functions take the library as an argument.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.nvcomp.decompress import (
    GUARD,
    Options,
    alignments,
    check_places,
    function,
    parts,
    require,
    scratch_bytes,
)
from gpuzarr.errors import DeviceError

MAX_INPUT = 16 << 20  # bytes of a stream: one format takes no more, others want 30 times as much scratch
_MANY = 16
WAY = "Compress"


def room(library: Any, algorithm: Algorithm, nbytes: int) -> int:
    """Bytes that every target of a batch must have, of which the largest source has `nbytes`."""
    answer = ctypes.c_size_t()
    query = function(library, algorithm, "GetMaxOutputChunkSize", WAY)
    require(query(nbytes, Options(), ctypes.byref(answer)), algorithm, "query of the largest output")
    return answer.value


def scratch_each(library: Any, algorithm: Algorithm, nbytes: int, effort: int) -> int:
    """Scratch for a stream of `nbytes` in a batch of many such; by nvCOMP, where it tells that without a GPU."""
    if algorithm.encode_scratch is not None:
        return algorithm.encode_scratch.of(nbytes)
    sizes, options = np.full(_MANY, nbytes), Options(first=effort)
    return -(-scratch_bytes(library, algorithm, sizes, options, 0, WAY) // _MANY)


def compress(
    device: Any,
    library: Any,
    stream: int,
    algorithm: Algorithm,
    sources: np.ndarray,
    sizes: np.ndarray,
    targets: np.ndarray,
    effort: int,
    most: int | None = None,
) -> Any:
    """See devices.Device.compress. `stream` is the CUDA stream as an integer; nothing here waits for it.

    `most`: bytes of scratch; a batch that wants more is done in parts, of one stream at least.
    """
    options = Options(first=effort)
    check_places(algorithm, alignments(library, algorithm, options, WAY), sources, targets)
    if not 0 < sizes.min(initial=1) <= sizes.max(initial=1) <= MAX_INPUT:
        raise DeviceError(f"nvCOMP {algorithm.name} compresses 1 to {MAX_INPUT} bytes a stream, not {sizes.max()}")
    made = device.empty(8 * len(sizes)).view(np.uint64)

    def query(sizes: np.ndarray) -> int:
        return scratch_bytes(library, algorithm, sizes, options, stream, WAY)

    done = parts(query, sizes, most, 0, len(sizes))
    temporary = device.empty(max(scratch for _, scratch in done) + GUARD) if done else None  # for all in turn
    for part, scratch in done:
        columns = [np.asarray(column[part]) for column in (sources, sizes, targets)]
        capacity = room(library, algorithm, int(sizes[part].max()))
        _launch(device, library, stream, algorithm, columns, made[part], capacity, temporary, scratch, options)
    return made


def _launch(
    device: Any,
    library: Any,
    stream: int,
    algorithm: Algorithm,
    columns: list[np.ndarray],
    made: Any,
    capacity: int,
    temporary: Any,
    scratch: int,
    options: Options,
) -> None:
    """One call; `made` gets the sizes of its streams, 0 for those that failed."""
    count, largest = len(columns[0]), int(columns[1].max())
    table = device.upload(np.concatenate([column.astype(np.uint64) for column in columns]))
    place = device.address(table)
    status = device.empty(4 * count)
    status.fill(255)  # a stream that nvCOMP does not answer for must not pass
    made.fill(0)
    answer = function(library, algorithm, "Async", WAY)(
        place, place + 8 * count, largest, count, device.address(temporary), scratch,
        place + 16 * count, device.address(made), options, device.address(status), stream,
    )  # fmt: skip
    require(answer, algorithm, "compression")
    arguments = (status.view(np.int32), np.uint64(capacity), made, np.uint32(count))
    device.kernel("check.cu", "drop_failed")((-(-count // 256),), (256,), arguments)
