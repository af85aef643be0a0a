"""Verify and append checksums of 4 bytes, little-endian, at the start or the end of chunks, on the host."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from gpuzarr import native
from gpuzarr.batch import BytesSpec, EncodedBatch, address
from gpuzarr.cpu.chunkwise import check_sizes, encoded, moved
from gpuzarr.errors import CodecError, MetadataError

SIZE = 4

Checksum = Callable[[np.ndarray], int]


def with_checksum(spec: BytesSpec) -> BytesSpec:
    return spec.resized(lambda nbytes: nbytes + SIZE)


def check_location(location: Any, codec: str) -> None:
    if location not in ("start", "end"):
        raise MetadataError(f"codec {codec!r}: location must be 'start' or 'end', not {location!r}")


def payload_of(name: str, chunks: EncodedBatch, spec: BytesSpec, location: str) -> EncodedBatch:
    """The chunks without their checksums, as views. CodecError for a chunk of a wrong size."""
    if spec.nbytes is not None:
        check_sizes(name, chunks, spec.nbytes + SIZE)
    elif (short := chunks.sizes < SIZE).any():
        raise CodecError(f"{name}: the chunk is shorter than its checksum", int(np.argmax(short)))
    return chunks.part(SIZE, 0) if location == "start" else chunks.part(0, SIZE)


def verified(
    name: str,
    chunks: EncodedBatch,
    spec: BytesSpec,
    into: EncodedBatch | None,
    location: str,
    checksum: Checksum,
    function: int = 0,
) -> EncodedBatch:
    """Verify checksums; the chunks without them, as views, or copied to `into` if given. CodecError for a mismatch.

    `function`: the address of the same function in C, uint32_t f(const void *, size_t), if there is one.
    """
    payload = payload_of(name, chunks, spec, location)
    at = chunks.starts if location == "start" else payload.starts + payload.sizes
    expected = chunks.data[at[:, None] + np.arange(SIZE)].view("<u4")[:, 0]
    found = _checksums(payload, checksum, function)
    if np.count_nonzero(bad := found != expected):
        i = int(np.argmax(bad))
        raise CodecError(f"{name}: the checksum is {found[i]:#010x}, and {expected[i]:#010x} is stored", i)
    return moved(payload, into)


def _checksums(chunks: EncodedBatch, checksum: Checksum, function: int) -> np.ndarray:
    """The checksum of each chunk, uint32 (n,)."""
    library = native.library() if function else None
    if library is None:
        return np.array([checksum(chunks[i]) for i in range(len(chunks))], np.uint32)
    found, places, sizes = np.empty(len(chunks), np.uint32), chunks.places, np.ascontiguousarray(chunks.sizes)
    library.gpuzarr_checksums(function, len(found), address(places), address(sizes), address(found))
    return found


@cache
def crc32c_function() -> int:
    """The address of google-crc32c's function of C, 0 where it is not to be had."""
    try:
        module = import_module("google_crc32c._crc32c")
        return ctypes.cast(ctypes.CDLL(module.__file__).crc32c_value, ctypes.c_void_p).value or 0
    except (ImportError, OSError, AttributeError):
        return 0


def appended(name: str, chunks: EncodedBatch, device: Any, location: str, checksum: Checksum) -> EncodedBatch:
    """Copy chunks, each with its checksum."""

    def encode(chunk: np.ndarray) -> bytes:
        stored, data = checksum(chunk).to_bytes(SIZE, "little"), chunk.tobytes()
        return stored + data if location == "start" else data + stored

    return encoded(name, chunks, device, encode)
