"""Encoded batches made from bytes, and one codec or chain run over a batch."""

from __future__ import annotations

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch, packed
from gpuzarr.codecs import find
from gpuzarr.devices.cpu import Cpu
from tests.hardware import complete

CPU = Cpu()
KINDS = ("smooth", "noise", "mixed")
RNG = np.random.default_rng(11)


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


def plain(nbytes, kind):
    """Bytes of three characters: smooth (they compress), noise (they do not), mixed elements of 4 bytes."""
    if kind == "noise":
        return RNG.integers(0, 256, nbytes, dtype=np.uint8).tobytes()
    if kind == "smooth":
        return (np.cumsum(RNG.integers(0, 2, nbytes)) // 7).astype(np.uint8).tobytes()
    return np.cumsum(RNG.normal(size=nbytes // 4 + 1)).astype("<f4").tobytes()[:nbytes]


def batch_on(device, chunks):
    """Encoded chunks on a device, with their bytes on the host."""
    starts, sizes, total = packed([len(c) for c in chunks])
    data = np.zeros(total, np.uint8)
    for start, chunk in zip(starts, chunks, strict=True):
        data[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
    return EncodedBatch(device.upload(data), starts, sizes, data) if device.gpu else EncodedBatch(data, starts, sizes)


def decode(device, codec, chunks, nbytes, into=None):
    """The decoded chunks, as bytes."""
    if not device.gpu:
        out = codec.decode(batch_on(device, chunks), BytesSpec(nbytes), device)
        return [out[i].tobytes() for i in range(len(out))]
    out = codec.decode(batch_on(device, chunks), BytesSpec(nbytes), device, into)
    complete(device)
    data = device.download(out.data)
    return [data[s : s + n].tobytes() for s, n in zip(out.starts, out.sizes, strict=True)]


def decoded(device, codec, spec, *chunks):
    """Decoded chunks, as bytes after a bytes->bytes codec, as arrays of the host after others."""
    if isinstance(spec, BytesSpec):
        return decode(device, codec, chunks, spec.nbytes)
    made = codec.decode(batch_on(device, chunks), spec, device)
    complete(device)
    return list(device.download(made)) if device.gpu else list(made)
