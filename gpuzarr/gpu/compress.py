"""Chunks that become one compressed stream each: zstd, lz4, zlib and gzip by nvCOMP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, Slab
from gpuzarr.devices import Device
from gpuzarr.devices.nvcomp_compress import MAX_INPUT
from gpuzarr.gpu.checksums import BIG, adler32
from gpuzarr.gpu.compact import Ends, aligned, compacted, joined
from gpuzarr.gpu.fallback import encode_on_host
from gpuzarr.gpu.tables import addresses, copy

MAX_ROOM = 1 << 30  # bytes of slots, and of what else a part of a batch takes; a batch that wants more goes in parts
_ZLIB_HEADER = 0x9C78  # 78 9c
_HEADERS = 4  # bytes of lz4's

Part = Callable[[Slab], Slab | None]


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


def encode(algorithm: str, codec: Any, chunks: Slab, spec: BytesSpec, device: Device, effort: int = 0) -> Slab:
    """Encode a batch of chunks of `spec.nbytes` bytes. `algorithm` is "zstd", "lz4", "zlib" or "gzip".

    Waits for the device, to know the sizes. What nvCOMP does not compress is encoded by the codec's host lines.
    """
    name = "deflate" if algorithm == "zlib" else algorithm
    room = aligned(device.compressed_room(name, spec.nbytes or 0))

    def part(some: Slab) -> Slab | None:
        return _encode(algorithm, name, some, room, device, effort)

    return in_parts(part, codec, chunks, spec, device, 2 * room)


def in_parts(part: Part, codec: Any, chunks: Slab, spec: BytesSpec, device: Device, each: int) -> Slab:
    """All that `part` makes of runs of the chunks, of which each takes `each` bytes of room."""
    if not len(chunks):
        return Slab(device.empty(0), chunks.starts, chunks.sizes)
    step, made = max(1, MAX_ROOM // each), []
    for first in range(0, len(chunks), step):
        some = chunks.take(slice(first, first + step))
        done = part(some)
        made.append(encode_on_host(codec, some, spec, device) if done is None else done)
    return joined(device, made)


def _encode(algorithm: str, name: str, chunks: Slab, room: int, device: Device, effort: int) -> Slab | None:
    """One part of a batch; None if a chunk of it was not compressed."""
    chunks = _at_multiples(4, chunks, device)
    count, sources = len(chunks), addresses(chunks, device)
    slots = device.empty(count * room)
    where = np.uint64(device.address(slots)) + np.arange(count, dtype=np.uint64) * np.uint64(room)
    sizes = device.compress(name, sources, chunks.sizes, where, effort)
    return compacted(device, where, sizes, room, _ends(algorithm, chunks, sources, device))


def _ends(algorithm: str, chunks: Slab, sources: np.ndarray, device: Device) -> Ends:
    if algorithm == "lz4":  # numcodecs puts the decoded size before the block
        return Ends(device.upload(chunks.sizes.astype(np.uint32)), _HEADERS)
    if algorithm == "zlib":
        heads = device.upload(np.full(len(chunks), _ZLIB_HEADER, np.uint32))
        return Ends(heads, 2, adler32(device, sources, chunks.sizes), 4, BIG)
    return Ends()


def _at_multiples(alignment: int, chunks: Slab, device: Device) -> Slab:
    """The chunks, each at a multiple of `alignment`; copied where they are not."""
    if not (addresses(chunks, device) % np.uint64(alignment)).any():
        return chunks
    there = device.slab(chunks.sizes)
    copy(device, addresses(chunks, device), addresses(there, device), chunks.sizes)
    return there
