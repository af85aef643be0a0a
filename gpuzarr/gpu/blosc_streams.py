"""Compress the streams of Blosc frames on the GPU: by nvCOMP, or those of blosclz by a kernel of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.formats.blosc_frame import BLOSCLZ, LZ4, SNAPPY, ZLIB, ZSTD
from gpuzarr.gpu import algorithms, blosclz
from gpuzarr.gpu.compact import aligned, in_slots, places
from gpuzarr.gpu.compress import effort
from gpuzarr.gpu.containers import zlib_ends
from gpuzarr.gpu.tables import table

_OF_NVCOMP = {LZ4: algorithms.LZ4, SNAPPY: algorithms.SNAPPY, ZSTD: algorithms.ZSTD, ZLIB: algorithms.DEFLATE}
_HEADER, _CHECKSUM = 2, 4  # bytes around the deflate stream of zlib
_DEFLATE = 8  # bytes of a slot before a deflate stream: a multiple of 8, with room for the header


@dataclass(frozen=True)
class Compressed:
    """Streams in slots of `slot_bytes` bytes. `sizes`: uint64, of the device; 0 for one to store raw."""

    slots: Any
    slot_bytes: int
    sizes: Any


def is_limited(codec: int) -> bool:
    """Whether nvCOMP, which takes streams of limited size, compresses streams of a codec of frames."""
    return codec in _OF_NVCOMP


def slot_bytes(codec: int, largest: int, device: Device) -> int:
    """Bytes of each slot, for streams of at most `largest` bytes."""
    if codec == BLOSCLZ:
        return aligned(largest)
    around = _DEFLATE + _CHECKSUM if codec == ZLIB else 0
    return aligned(device.compressed_capacity(_OF_NVCOMP[codec], largest) + around)


def scratch_bytes(codec: int, largest: int, clevel: int, device: Device) -> int:
    """Approximate bytes of scratch for each stream, beside its slot."""
    if codec == BLOSCLZ:
        return 0
    return device.compression_scratch(_OF_NVCOMP[codec], largest, effort(clevel) if codec == ZLIB else 0)


def compress(codec: int, plain: np.ndarray, nbytes: np.ndarray, clevel: int, device: Device) -> Compressed:
    """Compress streams of `nbytes` bytes at addresses `plain` (uint64)."""
    each = slot_bytes(codec, int(nbytes.max()), device)
    slots, where = in_slots(len(plain), each, device)
    if codec == BLOSCLZ:
        return Compressed(slots, each, blosclz.encode(device, plain, nbytes, where))
    if codec == ZLIB:
        return _zlib(plain, nbytes, clevel, slots, each, where, device)
    return Compressed(slots, each, device.compress(_OF_NVCOMP[codec], plain, nbytes, where))


def _zlib(
    plain: np.ndarray, nbytes: np.ndarray, clevel: int, slots: Any, each: int, where: np.ndarray, device: Device
) -> Compressed:
    """Compress to deflate streams, and write the header and checksum of zlib around them."""
    count, first = len(plain), _DEFLATE - _HEADER
    starts = np.arange(count) * each + first
    sizes = device.compress(algorithms.DEFLATE, plain, nbytes, where + np.uint64(_DEFLATE), effort(clevel))
    ends = zlib_ends(device, EncodedBatch(slots, starts, nbytes), plain)
    ends.write(device, sizes, table(device, starts), slots, count)
    _, total = places(device, sizes, ends.nbytes)
    return Compressed(slots[first:], each, total)
