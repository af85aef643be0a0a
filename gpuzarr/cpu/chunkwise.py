"""A bytes->bytes codec that handles one chunk at a time on the host, run over an encoded batch of chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, UnsupportedError

LARGEST = 2**31 - 1  # bytes of a decoded chunk whose size nothing but the chunk itself says

Fill = Callable[[np.ndarray, np.ndarray], None]  # decode the first into the second, exactly
Produce = Callable[[np.ndarray, int], Any]  # decode; no more than so many bytes may come out
Decode = Callable[[int, int, int, int], None]  # to this address, so many bytes, from that address, of so many
Encode = Callable[[np.ndarray], Any]
EncodeTo = Callable[[int, int, int, int], int]  # to this address, at most so many bytes, from that, so many


@dataclass(frozen=True)
class Encoder:
    """A library that encodes by address, on one thread; `room(nbytes)` bytes are enough for what comes of so many."""

    room: Callable[[Any], Any]
    encode: EncodeTo


def filled(
    name: str, chunks: EncodedBatch, nbytes: int, device: Device, into: EncodedBatch | None, fill: Fill
) -> EncodedBatch:
    """Decode every chunk to exactly `nbytes` bytes, straight into `into` or a fresh encoded batch.

    CodecError with the chunk's index for whatever `fill` raises.
    """
    target = room(chunks, nbytes, device, into)
    source, out, i = chunks.data, target.data, 0
    begins, ends = target.starts.tolist(), (target.starts + nbytes).tolist()
    try:
        for i, (start, size) in enumerate(zip(chunks.starts.tolist(), chunks.sizes.tolist(), strict=True)):
            fill(source[start : start + size], out[begins[i] : ends[i]])
    except Exception as error:
        raise blamed(name, error, i) from error
    return target


def by_address(name: str, chunks: EncodedBatch, target: EncodedBatch, nbytes: int, decode: Decode) -> EncodedBatch:
    """As `filled`, by a library that takes addresses: for small chunks their arithmetic is what takes the time."""
    sources, places, i = chunks.addresses, target.addresses, 0
    try:
        for i, size in enumerate(chunks.sizes.tolist()):
            decode(places[i], nbytes, sources[i], size)
    except Exception as error:
        raise blamed(name, error, i) from error
    return target


def room(chunks: EncodedBatch, nbytes: int, device: Device, into: EncodedBatch | None) -> EncodedBatch:
    """Where chunks of `nbytes` bytes are decoded to: `into`, or a fresh encoded batch."""
    return device.encoded_batch(np.full(len(chunks), nbytes, np.int64)) if into is None else into


def produced(
    name: str, chunks: EncodedBatch, nbytes: int | None, device: Device, into: EncodedBatch | None, produce: Produce
) -> EncodedBatch:
    """Decode every chunk by a library that makes its own output; exactly `nbytes` bytes where that is known."""

    def fill(chunk: np.ndarray, target: np.ndarray) -> None:
        made = produce(chunk, len(target))
        if len(made) != len(target):
            raise CodecError(f"decoded to {len(made)} bytes, not {len(target)}")
        target[:] = np.frombuffer(made, np.uint8)

    if nbytes is not None:
        return filled(name, chunks, nbytes, device, into, fill)
    return pack(each(name, chunks, lambda chunk: produce(chunk, LARGEST)), device)


def encoded(name: str, chunks: EncodedBatch, device: Device, encode: Encode) -> EncodedBatch:
    """Encode every chunk by a function from bytes to bytes."""
    return pack(each(name, chunks, encode), device)


def encoded_by_address(name: str, chunks: EncodedBatch, device: Device, encoder: Encoder) -> EncodedBatch:
    """As `encoded`, by a library that takes addresses."""
    rooms, encode = encoder.room(chunks.sizes), encoder.encode
    target = device.encoded_batch(rooms)
    sources, places = chunks.data.ctypes.data + chunks.starts, target.data.ctypes.data + target.starts
    rows = zip(*(a.tolist() for a in (places, rooms, sources, chunks.sizes)), strict=True)
    made, i = np.zeros(len(chunks), np.int64), 0
    try:
        for i, (place, room, source, size) in enumerate(rows):
            made[i] = encode(place, room, source, size)
    except Exception as error:
        raise blamed(name, error, i) from error
    return EncodedBatch(target.data, target.starts, made)


def each(name: str, chunks: Any, function: Callable[[np.ndarray], Any]) -> list[Any]:
    """`function` of every chunk of an encoded batch or batch; CodecError with the chunk's index for whatever it
    raises."""
    made, i = [], 0
    try:
        for i in range(len(chunks)):
            made.append(function(chunks[i]))
    except Exception as error:
        raise blamed(name, error, i) from error
    return made


def pack(parts: Iterable[Any], device: Device) -> EncodedBatch:
    """A fresh encoded batch of these bytes-like objects."""
    arrays = [np.frombuffer(part, np.uint8) for part in parts]
    encoded_batch = device.encoded_batch(np.array([len(part) for part in arrays], np.int64))
    for i, part in enumerate(arrays):
        encoded_batch[i][:] = part
    return encoded_batch


def moved(chunks: EncodedBatch, into: EncodedBatch | None) -> EncodedBatch:
    """`chunks`, or `into` with their bytes, where the caller says where they shall lie."""
    if into is None:
        return chunks
    for i in range(len(chunks)):
        into[i][:] = chunks[i]
    return into


def blamed(name: str, error: Exception, index: int) -> Exception:
    """What to raise for `error` in chunk `index`: a CodecError, but an UnsupportedError as it is."""
    if isinstance(error, UnsupportedError):
        return error
    text = str(error) or type(error).__name__
    return CodecError(text if text.startswith(f"{name}: ") else f"{name}: {text}", index)


def check_sizes(name: str, chunks: EncodedBatch, nbytes: int) -> None:
    """CodecError for the first chunk that has not exactly `nbytes` bytes."""
    if np.count_nonzero(bad := chunks.sizes != nbytes):
        index = int(np.argmax(bad))
        raise CodecError(f"{name}: a chunk of {chunks.sizes[index]} bytes, where {nbytes} are due", index)
