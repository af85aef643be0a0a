"""Decode a batch by some steps of a chain: on one device, or on all threads of the host for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec, EncodedBatch, joined
from gpuzarr.codecs.step import Step
from gpuzarr.cpu.chunkwise import SplitBatchError, moved
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import BAD_DATA_ERRORS, CodecError, GpuZarrError


def decode_steps(
    chunks: Any,
    steps: tuple[Step, ...],
    device: Device,
    into: EncodedBatch | None,
    shuffled: tuple[int, np.ndarray] | None = None,
) -> Any:
    """Undo `steps` on the device. `into`, `shuffled`: see `Chain.decode`."""
    try:
        return _decode_together(chunks, steps, device, into, shuffled)
    except SplitBatchError:
        return _decode_each(chunks, steps, device, into)


def _decode_each(chunks: EncodedBatch, steps: tuple[Step, ...], device: Device, into: EncodedBatch | None) -> Any:
    """Decode chunks one by one, so that bytes between codecs are those of one chunk, which are limited."""
    done, i = [], 0
    try:
        for i in range(len(chunks)):
            one = slice(i, i + 1)
            done.append(decode_steps(chunks.take(one), steps, device, None if into is None else into.take(one)))
    except CodecError as error:
        error.index = i
        raise
    if into is not None:
        return None if done[0] is None else into
    return joined(done) if isinstance(done[0], EncodedBatch) else np.concatenate(done)


def _decode_together(
    chunks: Any,
    steps: tuple[Step, ...],
    device: Device,
    into: EncodedBatch | None,
    shuffled: tuple[int, np.ndarray] | None,
) -> Any:
    last_bytes = sum(step.codec.kind != "bytes->bytes" for step in steps)
    for i in reversed(range(len(steps))):
        codec, spec = steps[i].codec, steps[i].spec
        try:
            if shuffled and not i and (shuffling := steps[i].leaves_shuffle) is not None:
                chunks = shuffling.planes(chunks, spec, device, *shuffled)
            elif codec.kind == "bytes->bytes":
                chunks = codec.decode(chunks, spec, device, into if i == last_bytes else None)
            elif into is not None:
                return None
            else:
                chunks = steps[i].decode(chunks, device)
        except BAD_DATA_ERRORS as error:
            blame(steps[i], error)
            raise
    return chunks


def blame(step: Step, error: Exception) -> None:
    """Set the codec's name in an error; make a CodecError of an error that NumPy raised."""
    if isinstance(error, CodecError):
        error.codec = error.codec or step.name
    elif not isinstance(error, GpuZarrError):
        raise CodecError(f"{type(error).__name__}: {error}", None, step.name) from error


def as_stored(batch: Any, nbytes: int) -> EncodedBatch:
    """View a contiguous batch of native elements as the encoded batch of their bytes."""
    n = len(batch)
    return EncodedBatch(batch.reshape(-1).view(np.uint8), np.arange(n) * nbytes, np.full(n, nbytes, np.int64))


def decode_on_host(encoded_batch: EncodedBatch, steps: tuple[Step, ...], device: Device) -> Any:
    """Decode by steps that the host does for a GPU, on all threads, to memory that the device can copy from at once.

    Each thread decodes, or copies, its chunks to their places there: an encoded batch, or an array of decoded chunks.
    """
    spec = steps[0].spec
    if isinstance(spec, ChunkSpec):
        return _decode_to_array(encoded_batch, steps, spec, device)
    if spec.nbytes is None:
        return _decode_to_any_size(encoded_batch, steps, device)
    target = device.decoded_buffer(np.full(len(encoded_batch), spec.nbytes, np.int64))
    on_threads(len(target), lambda run: decode_steps(encoded_batch.take(run), steps, CPU, target.take(run)))
    return target


def _decode_to_array(encoded_batch: EncodedBatch, steps: tuple[Step, ...], spec: ChunkSpec, device: Device) -> Any:
    count, nbytes = len(encoded_batch), spec.nbytes or 0
    data = device.decoded_buffer(np.full(1, count * nbytes, np.int64)).data
    chunks = data[: count * nbytes].view(spec.dtype).reshape(count, *spec.shape)
    target = as_stored(chunks, nbytes) if steps[0].is_native and len(steps) > 1 else None

    def work(run: slice) -> None:
        made = decode_steps(encoded_batch.take(run), steps, CPU, None if target is None else target.take(run))
        if target is None:
            chunks[run] = made

    on_threads(count, work)
    return chunks


def _decode_to_any_size(encoded_batch: EncodedBatch, steps: tuple[Step, ...], device: Device) -> EncodedBatch:
    """Decode chunks whose sizes only decoding tells. Chunks of which only a checksum is taken stay where they are."""
    done = decode_runs(encoded_batch, steps)
    if all(each.data is encoded_batch.data for each in done):
        return within(encoded_batch, done)
    target = device.decoded_buffer(np.concatenate([each.sizes for each in done]))
    ends = np.cumsum([len(each) for each in done]).tolist()

    def work(i: int) -> None:
        moved(done[i], target.take(slice(ends[i] - len(done[i]), ends[i])))

    CPU.each(work, range(len(done)))
    return target


def decode_runs(encoded_batch: EncodedBatch, steps: tuple[Step, ...]) -> list[Any]:
    """Decode on all threads of the host; one result for each run of chunks."""
    return on_threads(len(encoded_batch), lambda run: decode_steps(encoded_batch.take(run), steps, CPU, None))


def within(encoded_batch: EncodedBatch, done: list[EncodedBatch]) -> EncodedBatch:
    """The chunks of `done`, which are parts of those of `encoded_batch`, in its memory."""
    starts, sizes = (np.concatenate(column) for column in zip(*((s.starts, s.sizes) for s in done), strict=True))
    return EncodedBatch(encoded_batch.data, starts, sizes, encoded_batch.host)


def on_threads(count: int, function: Callable[[slice], Any]) -> list[Any]:
    """Call `function` for runs of `count` > 0 chunks on all threads of the host; the results, in order.

    CodecError with the index among all chunks.
    """
    each = -(-count // (4 * CPU.threads))
    runs = [slice(first, min(first + each, count)) for first in range(0, count, each)]
    done: list[Any] = [None] * len(runs)

    def work(i: int) -> None:
        try:
            done[i] = function(runs[i])
        except CodecError as error:
            error.index = None if error.index is None else error.index + runs[i].start
            raise

    CPU.each(work, range(len(runs)))
    return done
