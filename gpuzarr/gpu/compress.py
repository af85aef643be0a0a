"""Chunks that become one compressed stream each: zstd, lz4, zlib and gzip by nvCOMP."""

from __future__ import annotations

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp.compress import MAX_INPUT
from gpuzarr.gpu.checksums import BIG, adler32
from gpuzarr.gpu.compact import Ends, aligned, compacted, in_slots
from gpuzarr.gpu.tables import addresses, copy, table

_ZLIB_HEADER = 0x9C78  # 78 9c
_HEADERS = 4  # bytes of lz4's


def why_host(spec: BytesSpec) -> str | None:
    """None where a GPU encodes chunks of this spec; else why not."""
    if spec.nbytes is None:
        return "the size of what is to be compressed is not known from metadata"
    if spec.nbytes == 0:
        return "there is nothing to compress"
    return f"nvCOMP compresses at most {MAX_INPUT} bytes a chunk" if spec.nbytes > MAX_INPUT else None


def effort(level: int) -> int:
    """nvCOMP's algorithm for a level of zlib: 2 compresses as level 1 does, 4 as level 6 (the default), 5 better."""
    return 4 if level in (-1, 6) else 5 if level > 6 else 2


def encode(
    algorithm: str, chunks: EncodedBatch, spec: BytesSpec, device: Device, effort: int = 0
) -> EncodedBatch | Unmeasured:
    """Encode a batch of chunks of `spec.nbytes` bytes. `algorithm` is "zstd", "lz4", "zlib" or "gzip".

    What nvCOMP does not compress has 0 bytes.
    """
    if not len(chunks):
        return EncodedBatch(device.empty(0), chunks.starts, chunks.sizes)
    name = "deflate" if algorithm == "zlib" else algorithm
    room = aligned(device.compressed_room(name, spec.nbytes or 0))
    chunks = _at_multiples(4, chunks, device)
    sources = addresses(chunks, device)
    _slots, where = in_slots(len(chunks), room, device)
    sizes = device.compress(name, sources, chunks.sizes, where, effort)
    return compacted(device, table(device, where), sizes, room, _ends(algorithm, chunks, sources, device))


def _ends(algorithm: str, chunks: EncodedBatch, sources: np.ndarray, device: Device) -> Ends:
    if algorithm == "lz4":  # numcodecs puts the decoded size before the block
        return Ends(device.upload(chunks.sizes.astype(np.uint32)), _HEADERS)
    if algorithm == "zlib":
        heads = device.upload(np.full(len(chunks), _ZLIB_HEADER, np.uint32))
        return Ends(heads, 2, adler32(device, sources, chunks.sizes), 4, BIG)
    return Ends()


def _at_multiples(alignment: int, chunks: EncodedBatch, device: Device) -> EncodedBatch:
    """The chunks, each at a multiple of `alignment`; copied where they are not."""
    if not (addresses(chunks, device) % np.uint64(alignment)).any():
        return chunks
    there = device.encoded_batch(chunks.sizes)
    copy(device, addresses(chunks, device), addresses(there, device), chunks.sizes)
    return there
