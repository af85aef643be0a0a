"""Run functions that decode or encode one chunk, on the host, over an encoded batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.cpu.byte_streams import TooLongError
from gpuzarr.cpu.functions import Function
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, GpuZarrError, UnsupportedError

MAX_TOGETHER_BYTES = 1 << 28  # of several decoded chunks whose sizes metadata does not tell

Fill = Callable[[np.ndarray, np.ndarray], None]  # fill(stored, target): decode to exactly the target
Produce = Callable[[np.ndarray, int], Any]  # produce(stored, nbytes): decode to at most `nbytes` bytes
Encode = Callable[[np.ndarray], Any]
_VARIES = BytesSpec(None)


class SplitBatchError(GpuZarrError):
    """Chunks must be decoded one by one, because metadata does not tell how large they become."""


@dataclass(frozen=True)
class Encoder:
    """A library that encodes by address, on one thread. `capacity(nbytes)`: the most that `nbytes` bytes become."""

    capacity: Callable[[Any], Any]
    encode: Function


def filled(
    name: str, chunks: EncodedBatch, nbytes: int, device: Device, into: EncodedBatch | None, fill: Fill
) -> EncodedBatch:
    """Decode every chunk to exactly `nbytes` bytes, in `into` or a new encoded batch.

    CodecError, with the chunk's index, for any error of `fill`.
    """
    target = target_batch(chunks, nbytes, device, into)
    source, out, i = chunks.data, target.data, 0
    begins, ends = target.starts.tolist(), (target.starts + nbytes).tolist()
    try:
        for i, (start, size) in enumerate(zip(chunks.starts.tolist(), chunks.sizes.tolist(), strict=True)):
            fill(source[start : start + size], out[begins[i] : ends[i]])
    except Exception as error:
        raise blamed(name, error, i) from error
    return target


def by_address(name: str, chunks: EncodedBatch, target: EncodedBatch, nbytes: int, decode: Function) -> EncodedBatch:
    """Decode every chunk to exactly `nbytes` bytes of `target`, by a library that takes addresses."""
    try:
        decode.many(target.places, np.full(len(chunks), nbytes), chunks.places, chunks.sizes)
    except Exception as error:
        raise blamed(name, error, getattr(error, "index", None) or 0) from error
    return target


def target_batch(chunks: EncodedBatch, nbytes: int, device: Device, into: EncodedBatch | None) -> EncodedBatch:
    """`into`, or a new encoded batch for as many chunks of `nbytes` bytes each."""
    return device.encoded_batch(np.full(len(chunks), nbytes, np.int64)) if into is None else into


def produced(
    name: str,
    chunks: EncodedBatch,
    nbytes: int | None,
    device: Device,
    into: EncodedBatch | None,
    produce: Produce,
    varies: BytesSpec = _VARIES,
) -> EncodedBatch:
    """Decode every chunk by a library that allocates its output; to exactly `nbytes` bytes where they are known, else
    to as many as `varies` allows."""

    def fill(chunk: np.ndarray, target: np.ndarray) -> None:
        made = produce(chunk, len(target))
        if len(made) != len(target):
            raise CodecError(f"decoded to {len(made)} bytes, expected {len(target)}")
        target[:] = np.frombuffer(made, np.uint8)

    if nbytes is not None:
        return filled(name, chunks, nbytes, device, into, fill)

    def make(chunk: np.ndarray) -> Any:
        try:
            return produce(chunk, varies.most(len(chunk)))
        except TooLongError as error:
            raise too_large(str(error), varies.most(len(chunk)), varies) from error

    return unmeasured(name, chunks, device, make)


def unmeasured(name: str, chunks: EncodedBatch, device: Device, decode: Encode) -> EncodedBatch:
    """Decode every chunk by a function that returns bytes, of sizes that were not known.

    SplitBatchError where together they take more than MAX_TOGETHER_BYTES.
    """
    made, total, i = [], 0, 0
    try:
        for i in range(len(chunks)):
            made.append(decode(chunks[i]))
            total += len(made[-1])
            if total > MAX_TOGETHER_BYTES and len(chunks) > 1:
                break
    except Exception as error:
        raise blamed(name, error, i) from error
    check_together(total, len(chunks))
    return pack(made, device)


def check_together(nbytes: int, chunks: int) -> None:
    """Raise SplitBatchError if this is too much for so many chunks, which can be decoded one by one."""
    if nbytes > MAX_TOGETHER_BYTES and chunks > 1:
        raise SplitBatchError(f"{chunks} chunks become {nbytes} bytes")


def check_declared(nbytes: int, stored: int, spec: BytesSpec) -> None:
    """Raise CodecError if a chunk of `stored` bytes says that it has more bytes than `spec` allows."""
    if nbytes > spec.most(stored):
        raise too_large(f"{nbytes} bytes are declared", spec.most(stored), spec)


def too_large(problem: str, most: int, spec: BytesSpec) -> CodecError:
    """The CodecError for a chunk that would become more than `most` bytes, the most that `spec` allows."""
    raised = "" if spec.allowed is None else "; a larger memory_limit allows more"
    return CodecError(f"{problem}, and a chunk here has at most {most}{raised}")


def encoded(name: str, chunks: EncodedBatch, device: Device, encode: Encode) -> EncodedBatch:
    """Encode every chunk by a function that returns bytes."""
    return pack(each(name, chunks, encode), device)


def encoded_by_address(name: str, chunks: EncodedBatch, device: Device, encoder: Encoder) -> EncodedBatch:
    """Encode every chunk by a library that takes addresses."""
    capacities = encoder.capacity(chunks.sizes)
    target = device.encoded_batch(capacities)
    try:
        made = encoder.encode.many(target.places, capacities, chunks.places, chunks.sizes)
    except Exception as error:
        raise blamed(name, error, getattr(error, "index", None) or 0) from error
    return EncodedBatch(target.data, target.starts, made)


def each(name: str, chunks: Any, function: Callable[[Any], Any]) -> list[Any]:
    """Call `function` for every chunk of a batch or an encoded batch; the results.

    CodecError, with the chunk's index, for any error.
    """
    made, i = [], 0
    try:
        for i in range(len(chunks)):
            made.append(function(chunks[i]))
    except Exception as error:
        raise blamed(name, error, i) from error
    return made


def stacked(name: str, chunks: EncodedBatch, spec: ChunkSpec, fill: Fill) -> np.ndarray:
    """Decode every chunk to its place in a batch of elements. CodecError, with the chunk's index, for any error."""
    batch, i = np.empty((len(chunks), *spec.shape), spec.dtype), 0
    try:
        for i in range(len(chunks)):
            fill(chunks[i], batch[i, ...])
    except Exception as error:
        raise blamed(name, error, i) from error
    return batch


def pack(parts: Iterable[Any], device: Device) -> EncodedBatch:
    """Copy bytes-like objects to a new encoded batch."""
    arrays = [np.frombuffer(part, np.uint8) for part in parts]
    encoded_batch = device.encoded_batch(np.array([len(part) for part in arrays], np.int64))
    for i, part in enumerate(arrays):
        encoded_batch[i][:] = part
    return encoded_batch


def moved(chunks: EncodedBatch, into: EncodedBatch | None) -> EncodedBatch:
    """`chunks`; or `into` after a copy, where the caller gives it."""
    if into is None:
        return chunks
    for i in range(len(chunks)):
        into[i][:] = chunks[i]
    return into


def blamed(name: str, error: Exception, index: int) -> Exception:
    """The exception to raise for `error` in chunk `index`: a CodecError; an UnsupportedError stays as it is."""
    if isinstance(error, UnsupportedError):
        return error
    text = str(error) or type(error).__name__
    return CodecError(text if text.startswith(f"{name}: ") else f"{name}: {text}", index)


def check_sizes(name: str, chunks: EncodedBatch, nbytes: int) -> None:
    """Raise CodecError for the first chunk that has not exactly `nbytes` bytes."""
    if np.count_nonzero(bad := chunks.sizes != nbytes):
        index = int(np.argmax(bad))
        raise CodecError(f"{name}: a chunk of {chunks.sizes[index]} bytes, expected {nbytes}", index)
