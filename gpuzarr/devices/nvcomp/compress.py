"""Compression of many streams in one call of nvCOMP 6.0. The streams are of standard formats.

As in `nvcomp.decompress`, functions take the library as an argument.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.nvcomp.decompress import (
    GUARD_BYTES,
    Options,
    alignments,
    check_alignment,
    divided,
    function,
    require,
    scratch_bytes,
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
    max_scratch: Callable[[], int],
) -> Any:
    """See `Device.compress`. `stream` is the CUDA stream as an integer; nothing here waits for it.

    `max_scratch()`: bytes of scratch, asked for if any is needed; a batch that needs more is split, down to single
    streams.
    """
    options = Options(first=effort)
    check_alignment(algorithm, alignments(library, algorithm, options, DIRECTION), sources, targets)
    if not 0 < sizes.min(initial=1) <= sizes.max(initial=1) <= MAX_INPUT_BYTES:
        raise DeviceError(
            f"nvCOMP {algorithm.name} compresses 1 to {MAX_INPUT_BYTES} bytes a stream, not {sizes.max()}"
        )

    def query(sizes: np.ndarray) -> int:
        return scratch_bytes(library, algorithm, sizes, options, stream, DIRECTION)

    parts, scratch_nbytes = divided(query, sizes, max_scratch)
    count, columns = len(sizes), (sources, sizes, targets)
    results = device.filled(12 * count, 255)  # a stream that nvCOMP leaves out must not pass for a good one
    made, status = results[: 8 * count].view(np.uint64), results[8 * count :].view(np.int32)
    if not parts:
        return made
    table = device.upload(np.concatenate([column.astype(np.uint64) for column in columns]))
    temporary = device.empty(scratch_nbytes + GUARD_BYTES)  # shared by all parts
    launch, scratch = function(library, algorithm, "Async", DIRECTION), device.address(temporary)
    for part, nbytes in parts:
        row, found = device.address(table) + 8 * part.start, device.address(made) + 8 * part.start
        answer = launch(
            row, row + 8 * count, int(sizes[part].max()), part.stop - part.start, scratch, nbytes,
            row + 16 * count, found, options, device.address(status) + 4 * part.start, stream,
        )  # fmt: skip
        require(answer, algorithm, "compression")
    target_bytes = capacity(library, algorithm, int(sizes.max()))
    arguments = (status, np.uint64(target_bytes), made, np.uint32(count))
    device.kernel("check.cu", "drop_failed")((-(-count // 256),), (256,), arguments)
    return made
