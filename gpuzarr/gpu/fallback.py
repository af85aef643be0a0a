"""Some chunks of a batch on the host, the rest on the GPU."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import CodecError
from gpuzarr.gpu.tables import addresses, copy

_COPIES = 13 / 4  # of a decoded chunk: two pinned ones, each an eighth larger at most, and one on the device
_TABLES, _FIXED = 1 << 10, 32 << 10  # bytes of tables, a chunk and in all


def with_host(chunks: EncodedBatch, device: Device) -> EncodedBatch:
    """The same encoded batch, with its bytes in host memory too; downloaded if an earlier step made them on the
    device."""
    if chunks.host is not None:
        return chunks
    return EncodedBatch(chunks.data, chunks.starts, chunks.sizes, device.download(chunks.data))


def targets(chunks: EncodedBatch, nbytes: int, device: Device, into: EncodedBatch | None) -> EncodedBatch:
    """`into`, or a fresh encoded batch for as many chunks of `nbytes` bytes."""
    return device.encoded_batch(np.full(len(chunks), nbytes, np.int64)) if into is None else into


def decode_on_host(
    codec: Any, chunks: EncodedBatch, which: np.ndarray, spec: BytesSpec, device: Device, into: EncodedBatch
) -> None:
    """Decode chunks `which` (numbers in the batch) by the codec's host lines, on all threads, into `into`.

    CodecError with the number in the batch. `chunks` must have its bytes on the host. What has no room in the batch's
    memory all at once is decoded in parts, and the host waits for each but the last.
    """
    device.count(host_chunks=len(which))
    each = _at_once(int(into.sizes[which].max(initial=1)), len(which), device)
    for first in range(0, len(which), each):
        last = first + each >= len(which)
        with nullcontext() if last else device.scoped_scratch():
            _decode_on_host(codec, chunks, which[first : first + each], spec, device, into)


def decode_scratch(algorithm: Algorithm, nbytes: int) -> int:
    """Bytes to plan for the scratch of a chunk of `nbytes`, wherever it is decoded; 0 for algorithms that want none.

    Of one that wants scratch there is enough for as many chunks as the host takes instead; of the others `room_beside`
    says how many it may take.
    """
    scratch = algorithm.decode_scratch
    return int(max(scratch.each_byte, _COPIES) * nbytes) + scratch.each_stream if scratch.each_byte else 0


def room_beside(nbytes: int, scratch: float, device: Device) -> float | None:
    """Of `nbytes` decoded bytes, how many the host can decode while a GPU decodes the rest; None: any number.

    `scratch`: bytes that the GPU needs for a decoded byte.
    """
    if device.headroom is None or (device.headroom >= _COPIES * nbytes and scratch < _COPIES) or scratch >= _COPIES:
        return None
    return max(0.0, (device.headroom - _FIXED - scratch * nbytes) / (_COPIES - scratch))


def _at_once(nbytes: int, count: int, device: Device) -> int:
    """How many chunks of `nbytes` the batch has room for, as a pinned copy (kept while the next batch is decoded) and
    one on the device."""
    if device.headroom is None:
        return max(count, 1)
    return max(1, min(count, int((device.headroom - _FIXED) / (_COPIES * nbytes + _TABLES))))


def _decode_on_host(
    codec: Any, chunks: EncodedBatch, which: np.ndarray, spec: BytesSpec, device: Device, into: EncodedBatch
) -> None:
    some = EncodedBatch(chunks.host, chunks.starts, chunks.sizes).take(which)
    decoded = CPU.encoded_batch(into.sizes[which])

    def work(part: slice) -> None:
        try:
            codec.decode(some.take(part), spec, CPU, decoded.take(part))
        except CodecError as error:
            index = None if error.index is None else int(which[part.start + error.index])
            raise CodecError(str(error), index) from error

    each = -(-len(which) // (4 * CPU.threads))
    CPU.each(work, [slice(first, first + each) for first in range(0, len(which), each)])
    there = EncodedBatch(device.upload(decoded.data), decoded.starts, decoded.sizes)
    copy(device, addresses(there, device), addresses(into, device)[which], decoded.sizes)
