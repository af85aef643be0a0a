"""What the tests of codecs share: an encoded batch from bytes, and one codec or chain run over a batch on the host."""

from __future__ import annotations

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.devices.cpu import Cpu

CPU = Cpu()


def encoded_batch(*chunks: bytes, gap: int = 0) -> EncodedBatch:
    """The chunks one after another, `gap` bytes of rubbish between them."""
    sizes = np.array([len(chunk) for chunk in chunks], np.int64)
    starts = np.cumsum(sizes + gap) - sizes
    data = b"".join(b"\xa5" * gap + chunk for chunk in chunks)
    return EncodedBatch(np.frombuffer(data or b"\0", np.uint8), starts, sizes)


def whole(made: EncodedBatch) -> list[bytes]:
    return [made[i].tobytes() for i in range(len(made))]


def decode_bytes(codec, *chunks: bytes, nbytes: int | None) -> list[bytes]:
    return whole(codec.decode(encoded_batch(*chunks, gap=3), BytesSpec(nbytes), CPU))


def encode_bytes(codec, *chunks: bytes) -> list[bytes]:
    return whole(codec.encode(encoded_batch(*chunks), BytesSpec(len(chunks[0])), CPU))


def spec_of(batch: np.ndarray, fill_value=None) -> ChunkSpec:
    dtype = batch.dtype if batch.dtype.kind == "T" else batch.dtype.newbyteorder("=")
    return ChunkSpec(batch.shape[1:], dtype, fill_value)


def v2(id: str, **configuration):
    return find(id, configuration, 2)
