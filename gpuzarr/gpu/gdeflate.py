"""Decode and encode chunks of zarrs' gdeflate on the GPU: all pages of a batch in one call of nvCOMP.

A page is what nvCOMP's batched API calls a chunk: that API decodes what nvCOMP's encoder on the CPU makes
(nvcomp/native/gdeflate_cpu.h), which is what libdeflate makes, byte for byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.batch import ALIGNMENT, BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.devices.contract import Device
from gpuzarr.formats import gdeflate as chunk_format
from gpuzarr.formats.blocks import Blocks
from gpuzarr.formats.gdeflate import PAGE_BYTES
from gpuzarr.gpu import blocks
from gpuzarr.gpu.algorithms import GDEFLATE
from gpuzarr.gpu.compact import aligned, in_slots, places
from gpuzarr.gpu.compress import at_multiples
from gpuzarr.gpu.containers import aligned_streams
from gpuzarr.gpu.tables import THREADS, addresses, grid


def why_host(spec: BytesSpec) -> str | None:
    """None where a GPU decodes chunks of this spec; else the reason why not."""
    return "decoded size is not known from metadata" if spec.nbytes is None else None


def why_host_to_encode(level: int, spec: BytesSpec) -> str | None:
    """None where a GPU encodes chunks of this spec; else the reason why not."""
    if level == 0:
        return "level 0 does not compress"
    if spec.nbytes is None:
        return "the size to compress is not known from metadata"
    return "there is nothing to compress" if spec.nbytes == 0 else None


def decode(
    codec: Any, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None
) -> EncodedBatch:
    """Decode a batch whose decoded size `spec.nbytes` is known. Unsound chunks are left to `codec` on the host."""
    return blocks.decode(codec, GDEFLATE, _launch, 0.0, chunks, spec, device, into)


def _launch(
    codec: Any, found: Blocks, on_gpu: np.ndarray, chunks: EncodedBatch, into: EncodedBatch, device: Device
) -> None:
    some = on_gpu[found.chunk]
    chunk, sizes = found.chunk[some], found.size[some]
    sources = np.uint64(device.address(chunks.data)) + found.source[some].astype(np.uint64)
    pages, _copies = aligned_streams(device, sources, sizes)
    places = addresses(into, device)[chunk] + found.target[some].astype(np.uint64)
    device.decompress(GDEFLATE, pages, sizes, places, found.nbytes[some], chunk)


def encode(level: int, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
    """Encode a batch of chunks of `spec.nbytes` bytes each. A chunk gets 0 bytes if nvCOMP fails on a page of it."""
    nbytes, count = spec.nbytes or 0, len(chunks)
    if not count:
        return EncodedBatch(device.empty(0), chunks.starts, chunks.sizes)
    pages = chunk_format.count_of(nbytes)
    chunks, at = at_multiples(4, chunks, device), np.arange(pages) * PAGE_BYTES
    sources = (addresses(chunks, device)[:, None] + at.astype(np.uint64)).reshape(-1)
    sizes = np.tile(np.minimum(PAGE_BYTES, nbytes - at), count)
    slot_bytes = aligned(device.compressed_capacity(GDEFLATE, int(sizes.max())))
    slots, where = in_slots(len(sizes), slot_bytes, device)
    made = device.compress(GDEFLATE, sources, sizes, where, effort(level))
    offset, total = (device.empty(8 * n).view(np.uint64) for n in (len(sizes), count))
    layout = device.kernel("gdeflate_write.cu", "gdeflate_layout")
    layout((count,), (THREADS,), (made, np.uint64(pages), offset, total, np.uint32(count)))
    most = chunk_format.header_bytes(nbytes) + pages * slot_bytes
    (starts, total), target = places(device, total, 0), device.empty(count * aligned(most))
    arguments = (slots, np.uint64(slot_bytes), made, offset, total, starts, np.uint64(pages), np.uint64(nbytes))
    write = device.kernel("gdeflate_write.cu", "gdeflate_write")
    rows = grid(np.full(len(sizes), slot_bytes))
    write(rows, (THREADS,), (*arguments, target, np.uint64(len(target)), np.uint32(count)))
    return Unmeasured(target, starts, total, most)


def effort(level: int) -> int:
    """nvCOMP's effort for a level: 2 compresses about as well as libdeflate's levels 1 to 3, 4 as 6, 5 as 9 to 12."""
    return 2 if level <= 3 else 4 if level <= 8 else 5


def encode_scratch_bytes(level: int, nbytes: int, before: int, device: Device) -> tuple[int, int]:
    """See `codecs.contract.KnowsEncodeScratch`: an aligned copy, slots of pages, nvCOMP's scratch, the result."""
    pages, largest = chunk_format.count_of(nbytes), min(nbytes, PAGE_BYTES)
    slots = pages * (device.compressed_capacity(GDEFLATE, largest) + ALIGNMENT)
    made = slots + chunk_format.header_bytes(nbytes)
    return before + slots + made + pages * device.compression_scratch(GDEFLATE, largest, effort(level)), made
