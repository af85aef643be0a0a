"""Decode some chunks of a batch on the host, while the GPU decodes the others."""

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

_COPIES = 13 / 4  # of a chunk decoded by the host: pinned, of two batches, each up to an eighth larger; on the device
_PINNED = 9 / 8  # of it in the pinned memory of one batch
_TABLES, _FIXED = 1 << 10, 32 << 10  # bytes of tables, for each chunk and for a batch
_BESIDE = 96 << 10  # bytes of a batch that nvCOMP decodes beside: the guard behind its scratch, flags, small tables


def with_host(chunks: EncodedBatch, device: Device) -> EncodedBatch:
    """The same encoded batch with a copy of its bytes in host memory; downloaded if an earlier step made them."""
    if chunks.host is not None:
        return chunks
    return EncodedBatch(chunks.data, chunks.starts, chunks.sizes, device.download(chunks.data))


def targets(chunks: EncodedBatch, nbytes: int, device: Device, into: EncodedBatch | None) -> EncodedBatch:
    """`into`, or a new encoded batch for as many chunks of `nbytes` bytes each."""
    return device.encoded_batch(np.full(len(chunks), nbytes, np.int64)) if into is None else into


def decode_on_host(
    codec: Any, chunks: EncodedBatch, which: np.ndarray, spec: BytesSpec, device: Device, into: EncodedBatch
) -> None:
    """Decode chunks `which` (indices into the batch) on all threads of the host, and upload them into `into`.

    CodecError with the index in the batch. `chunks` must have its bytes on the host. Chunks that exceed the memory of
    the batch are decoded in parts, and the host waits for each but the last.
    """
    device.count(host_chunks=len(which))
    each = _at_once(int(into.sizes[which].max(initial=1)), len(which), device)
    for first in range(0, len(which), each):
        last = first + each >= len(which)
        with nullcontext() if last else device.scoped_scratch():
            _decode_on_host(codec, chunks, which[first : first + each], spec, device, into)


def decode_scratch(algorithm: Algorithm, nbytes: int) -> int:
    """Bytes to plan for the scratch of decoding a chunk of `nbytes`; 0 for algorithms that need none.

    Where nvCOMP needs scratch, the plan is also enough if the host decodes the chunk instead; elsewhere `host_capacity`
    limits what the host decodes.
    """
    scratch = algorithm.decode_scratch
    return int(max(scratch.each_byte, _COPIES) * nbytes) + scratch.each_stream if scratch.each_byte else 0


def host_capacity(nbytes: int, scratch: float, device: Device) -> float | None:
    """Decoded bytes, of `nbytes`, that memory allows the host to decode while a GPU decodes the rest; None: all.

    `scratch`: bytes that the GPU needs for each decoded byte.
    """
    if device.current.headroom is None:
        return None
    pinned = _pinned_capacity(device)
    if scratch >= _COPIES or device.current.headroom >= _COPIES * nbytes:
        return None if pinned >= nbytes else pinned
    return min(pinned, max(0.0, (device.current.headroom - _FIXED - _BESIDE - scratch * nbytes) / (_COPIES - scratch)))


def _pinned_capacity(device: Device) -> float:
    """Decoded bytes that the pinned memory of the batch holds at once."""
    if (headroom := device.current.pinned_headroom) is None:
        return float("inf")
    return max(0.0, headroom - _FIXED) / _PINNED


def faster_on_host(
    algorithm: Algorithm, totals: np.ndarray, largest: np.ndarray, moved: np.ndarray, copied: float, device: Device
) -> np.ndarray:
    """Indices, ascending, of the chunks that the host decodes sooner than the GPU, as far as memory allows; counted.

    `totals`, `largest`, `moved`: see `Costs.decide`. `copied`: bytes that the GPU needs for each decoded byte besides
    nvCOMP's scratch.
    """
    capacity = host_capacity(int(moved.sum()), copied + algorithm.decode_scratch.each_byte, device)
    decision = device.cost.decide(algorithm, totals, largest, moved, capacity, device.current.overlapping_batches)
    device.count(**{f"host_{decision.because}": len(decision.host)})
    return decision.host


def _at_once(nbytes: int, count: int, device: Device) -> int:
    """Chunks of `nbytes` that the memory of the batch allows at once.

    They are decoded to pinned memory, which is kept while the next batch is decoded, and copied to the device once.
    """
    if device.current.headroom is None:
        return max(count, 1)
    pinned = _pinned_capacity(device) / (nbytes + _TABLES)
    return max(1, int(min(count, pinned, (device.current.headroom - _FIXED) / (_COPIES * nbytes + _TABLES))))


def _decode_on_host(
    codec: Any, chunks: EncodedBatch, which: np.ndarray, spec: BytesSpec, device: Device, into: EncodedBatch
) -> None:
    some = EncodedBatch(chunks.host, chunks.starts, chunks.sizes).take(which)
    decoded = device.decoded_buffer(into.sizes[which])

    def work(part: slice) -> None:
        try:
            codec.decode(some.take(part), spec, CPU, decoded.take(part))
        except CodecError as error:
            index = None if error.index is None else int(which[part.start + error.index])
            raise CodecError(str(error), index) from error

    each = -(-len(which) // (4 * CPU.threads))
    CPU.each(work, [slice(first, first + each) for first in range(0, len(which), each)])
    uploaded = EncodedBatch(device.upload(decoded.data), decoded.starts, decoded.sizes)
    copy(device, addresses(uploaded, device), addresses(into, device)[which], decoded.sizes)
