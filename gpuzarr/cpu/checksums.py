"""Verify and append checksums of 4 bytes, little-endian, at the start or the end of chunks, on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
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
    name: str, chunks: EncodedBatch, spec: BytesSpec, into: EncodedBatch | None, location: str, checksum: Checksum
) -> EncodedBatch:
    """Verify checksums; the chunks without them, as views, or copied to `into` if given. CodecError for a mismatch."""
    at_start = location == "start"
    payload = payload_of(name, chunks, spec, location)
    for i in range(len(chunks)):
        chunk = chunks[i]
        stored = int.from_bytes((chunk[:SIZE] if at_start else chunk[-SIZE:]).tobytes(), "little")
        found = checksum(payload[i])
        if stored != found:
            raise CodecError(f"{name}: the checksum is {found:#010x}, and {stored:#010x} is stored", i)
    return moved(payload, into)


def appended(name: str, chunks: EncodedBatch, device: Any, location: str, checksum: Checksum) -> EncodedBatch:
    """Copy chunks, each with its checksum."""

    def encode(chunk: np.ndarray) -> bytes:
        stored, data = checksum(chunk).to_bytes(SIZE, "little"), chunk.tobytes()
        return stored + data if location == "start" else data + stored

    return encoded(name, chunks, device, encode)
