"""Containers of nvCOMP's streams: zlib (RFC 1950), gzip (RFC 1952), and the size before a block of lz4 (numcodecs); and
raw deflate, which nvCOMP wants aligned.

Functions `decode_...` are a `Launch`, `..._ends` a `MakeEnds` of `gpuzarr.gpu.nvcomp_streams`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.batch import PACKED, EncodedBatch, packed
from gpuzarr.devices.contract import Device
from gpuzarr.gpu import checksums
from gpuzarr.gpu.algorithms import DEFLATE, GZIP, LZ4
from gpuzarr.gpu.compact import Ends
from gpuzarr.gpu.frames import bytes_at
from gpuzarr.gpu.tables import copy

MAX_ZLIB_CHUNK_BYTES = 65535 << 16  # decoded: the most that a grid of kernels/adler32.cu covers
ZLIB_HEADER_BYTES, _ZLIB_TRAILER_BYTES = 2, 4
_ZLIB_HEADER = 0x9C78  # 78 9c
_ALIGNMENT = 4  # bytes, of sources of deflate and gdeflate: by nvCOMP 6.0's ...DecompressGetRequiredAlignments
_SIZE = 4  # bytes of the decoded size before a block of lz4


def decode_gzip(
    device: Device, sources: np.ndarray, sizes: np.ndarray, places: np.ndarray, nbytes: np.ndarray, chunk: np.ndarray
) -> None:
    """Decode gzip members and verify their CRC-32. Arguments: see `Device.decompress`."""
    device.decompress(GZIP, sources, sizes, places, nbytes, chunk)
    values = checksums.crc32(device, places, nbytes, checksums.CRC32)
    stored = sources + (sizes - 8).astype(np.uint64)
    checksums.compare(device, values, stored, checksums.LITTLE, chunk, "gzip: the checksum does not match")


def decode_zlib(
    device: Device, sources: np.ndarray, sizes: np.ndarray, places: np.ndarray, nbytes: np.ndarray, chunk: np.ndarray
) -> None:
    """Decode zlib streams and verify their Adler-32. Arguments: see `Device.decompress`.

    nvCOMP decodes the deflate streams inside. It needs them aligned: those that are not are copied first.
    """
    if not len(sizes):
        return
    inner = sizes - (ZLIB_HEADER_BYTES + _ZLIB_TRAILER_BYTES)
    bodies, _copies = aligned_streams(device, sources + np.uint64(ZLIB_HEADER_BYTES), inner)
    device.decompress(DEFLATE, bodies, inner, places, nbytes, chunk)
    stored = sources + (sizes - _ZLIB_TRAILER_BYTES).astype(np.uint64)
    values = checksums.adler32(device, places, nbytes)
    checksums.compare(device, values, stored, checksums.BIG, chunk, "zlib: the checksum does not match")


def decode_deflate(
    device: Device, sources: np.ndarray, sizes: np.ndarray, places: np.ndarray, nbytes: np.ndarray, chunk: np.ndarray
) -> None:
    """Decode raw streams of deflate. Arguments: see `Device.decompress`."""
    bodies, _copies = aligned_streams(device, sources, sizes)
    device.decompress(DEFLATE, bodies, sizes, places, nbytes, chunk)


def aligned_streams(device: Device, sources: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, Any]:
    """Addresses at which nvCOMP's deflate and gdeflate take streams, and the memory of copies made for that."""
    odd = np.flatnonzero(sources % np.uint64(_ALIGNMENT))
    if not len(odd):
        return sources, None
    starts, _, total = packed(sizes[odd], PACKED)
    copies = device.empty(total)
    found = sources.copy()
    found[odd] = np.uint64(device.address(copies)) + starts.astype(np.uint64)
    copy(device, sources[odd], found[odd], sizes[odd])
    return found, copies


def zlib_ends(device: Device, chunks: EncodedBatch, sources: np.ndarray) -> Ends:
    """Header and Adler-32 of zlib streams."""
    heads = device.upload(np.full(len(chunks), _ZLIB_HEADER, np.uint32))
    return Ends(heads, 2, checksums.adler32(device, sources, chunks.sizes), 4, checksums.BIG)


def sized_blocks(data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, nbytes: int) -> np.ndarray:
    """Mask of the chunks whose first 4 bytes, before the block of lz4, declare `nbytes` decoded bytes."""
    return np.asarray((sizes > _SIZE) & (bytes_at(data, starts, _SIZE) == nbytes))


def decode_lz4(
    device: Device, sources: np.ndarray, sizes: np.ndarray, places: np.ndarray, nbytes: np.ndarray, chunk: np.ndarray
) -> None:
    """Decode blocks of lz4 behind their sizes. Arguments: see `Device.decompress`."""
    device.decompress(LZ4, sources + np.uint64(_SIZE), sizes - _SIZE, places, nbytes, chunk)


def lz4_ends(device: Device, chunks: EncodedBatch, sources: np.ndarray) -> Ends:
    """The decoded size before each block."""
    return Ends(device.upload(chunks.sizes.astype(np.uint32)), _SIZE)
