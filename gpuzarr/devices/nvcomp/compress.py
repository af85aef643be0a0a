"""Compression of many streams in one call of nvCOMP 6.0. The streams are of standard formats.

As in `nvcomp.decompress`, functions take the library as an argument.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.nvcomp.decompress import (
    GUARD_BYTES,
    Options,
    alignments,
    check_alignment,
    function,
    require,
    scratch_bytes,
    split,
)
from gpuzarr.errors import DeviceError

MAX_INPUT_BYTES = 16 << 20  # of a stream: one format takes no more, others need 30 times as much scratch
DIRECTION = "Compress"
_SAMPLE_STREAMS = 16


def capacity(library: Any, algorithm: Algorithm, nbytes: int) -> int:
    """Bytes that every target of a batch must have if its largest source has `nbytes`."""
    answer = ctypes.c_size_t()
    query = function(library, algorithm, "GetMaxOutputChunkSize", DIRECTION)
    require(query(nbytes, Options(), ctypes.byref(answer)), algorithm, "query of the largest output")
    return answer.value


def scratch_per_stream(library: Any, algorithm: Algorithm, nbytes: int, effort: int) -> int:
    """Bytes of scratch for each stream of `nbytes` in a large batch; by nvCOMP, where it answers without a GPU."""
    if algorithm.encode_scratch is not None:
        return algorithm.encode_scratch.of(nbytes)
    sizes, options = np.full(_SAMPLE_STREAMS, nbytes), Options(first=effort)
    return -(-scratch_bytes(library, algorithm, sizes, options, 0, DIRECTION) // _SAMPLE_STREAMS)


def compress(
    device: Any,
    library: Any,
    stream: int,
    algorithm: Algorithm,
    sources: np.ndarray,
    sizes: np.ndarray,
    targets: np.ndarray,
    effort: int,
    max_scratch: int | None = None,
) -> Any:
    """See `Device.compress`. `stream` is the CUDA stream as an integer; nothing here waits for it.

    `max_scratch`: bytes of scratch; a batch that needs more is split, down to single streams.
    """
    options = Options(first=effort)
    check_alignment(algorithm, alignments(library, algorithm, options, DIRECTION), sources, targets)
    if not 0 < sizes.min(initial=1) <= sizes.max(initial=1) <= MAX_INPUT_BYTES:
        raise DeviceError(
            f"nvCOMP {algorithm.name} compresses 1 to {MAX_INPUT_BYTES} bytes a stream, not {sizes.max()}"
        )
    made = device.empty(8 * len(sizes)).view(np.uint64)

    def query(sizes: np.ndarray) -> int:
        return scratch_bytes(library, algorithm, sizes, options, stream, DIRECTION)

    parts = split(query, sizes, max_scratch, 0, len(sizes))
    temporary = device.empty(max(nbytes for _, nbytes in parts) + GUARD_BYTES) if parts else None  # shared by all parts
    for part, nbytes in parts:
        columns = [np.asarray(column[part]) for column in (sources, sizes, targets)]
        target_bytes = capacity(library, algorithm, int(sizes[part].max()))
        _launch(device, library, stream, algorithm, columns, made[part], target_bytes, temporary, nbytes, options)
    return made


def _launch(
    device: Any,
    library: Any,
    stream: int,
    algorithm: Algorithm,
    columns: list[np.ndarray],
    made: Any,
    target_bytes: int,
    temporary: Any,
    scratch_nbytes: int,
    options: Options,
) -> None:
    """Launch one call. `made` gets the sizes of its streams, 0 for those that failed."""
    count, largest = len(columns[0]), int(columns[1].max())
    table = device.upload(np.concatenate([column.astype(np.uint64) for column in columns]))
    place = device.address(table)
    status = device.empty(4 * count)
    status.fill(255)  # a stream that nvCOMP leaves out must not pass for a good one
    made.fill(0)
    answer = function(library, algorithm, "Async", DIRECTION)(
        place, place + 8 * count, largest, count, device.address(temporary), scratch_nbytes,
        place + 16 * count, device.address(made), options, device.address(status), stream,
    )  # fmt: skip
    require(answer, algorithm, "compression")
    arguments = (status.view(np.int32), np.uint64(target_bytes), made, np.uint32(count))
    device.kernel("check.cu", "drop_failed")((-(-count // 256),), (256,), arguments)
