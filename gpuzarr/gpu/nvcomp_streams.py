"""Chunks that are one compressed stream each: zstd, lz4, zlib and gzip on nvCOMP."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch, packed
from gpuzarr.devices.contract import Device
from gpuzarr.gpu import checksums
from gpuzarr.gpu.fallback import ZSTD_SCRATCH, decode_on_host, room_beside, targets, with_host
from gpuzarr.gpu.frames import bytes_at, gzip_members, zlib_streams, zstd_frames
from gpuzarr.gpu.tables import addresses, copy

ALGORITHMS = {"zstd": "zstd", "lz4": "lz4", "zlib": "deflate", "gzip": "gzip"}  # codec -> nvCOMP's
_MAX_CHUNK = {"zstd": 2**31 - 1, "zlib": 65535 << 16}  # bytes, of nvCOMP and of a grid of adler32; the others:
_MAX_OTHERS = 2**32 - 1
_SCRATCH = {"zstd": ZSTD_SCRATCH, "zlib": 1.0}  # bytes for a decoded byte, at most


def why_host(algorithm: str, spec: BytesSpec) -> str | None:
    """None where a GPU decodes chunks of this spec; else why not."""
    if spec.nbytes is None:
        return "decoded size is not known from metadata"
    largest = _MAX_CHUNK.get(algorithm, _MAX_OTHERS)
    return f"nvCOMP decodes at most {largest} bytes a chunk" if spec.nbytes > largest else None


def decode(
    algorithm: str, codec: Any, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None
) -> EncodedBatch:
    """Decode a batch whose decoded size `spec.nbytes` is known. `algorithm` is "zstd", "lz4", "zlib" or "gzip"."""
    nbytes = spec.nbytes or 0
    into = targets(chunks, nbytes, device, into)
    if not len(chunks):
        return into
    chunks = with_host(chunks, device)
    on_gpu = _known(algorithm, chunks, nbytes) if nbytes else np.zeros(len(chunks), bool)
    known = np.flatnonzero(on_gpu)
    room = room_beside(nbytes * len(known), _SCRATCH.get(algorithm, 0.0), device)
    on_gpu[known[device.cost.decide(ALGORITHMS[algorithm], into.sizes[known], room=room).host]] = False
    if on_gpu.any():
        _launch(algorithm, chunks, into, np.flatnonzero(on_gpu), device)
    decode_on_host(codec, chunks, np.flatnonzero(~on_gpu), spec, device, into)  # while the GPU is at work
    return into


def _known(algorithm: str, chunks: EncodedBatch, nbytes: int) -> np.ndarray:
    """Which chunks nvCOMP may be given."""
    if chunks.host is None or not len(chunks.host):
        return np.zeros(len(chunks), bool)
    if algorithm == "zstd":
        return zstd_frames(chunks.host, chunks.starts, chunks.sizes, nbytes)
    if algorithm == "zlib":
        return zlib_streams(chunks.host, chunks.starts, chunks.sizes)
    if algorithm == "gzip":
        return gzip_members(chunks.host, chunks.starts, chunks.sizes, nbytes)
    known: np.ndarray = (chunks.sizes > 4) & (bytes_at(chunks.host, chunks.starts, 4) == nbytes)
    return known


def _launch(algorithm: str, chunks: EncodedBatch, into: EncodedBatch, which: np.ndarray, device: Device) -> None:
    sources, sizes = addresses(chunks, device)[which], chunks.sizes[which]
    places, nbytes = addresses(into, device)[which], into.sizes[which]
    if algorithm == "zlib":
        inflate_zlib(device, sources, sizes, places, nbytes, which)
    elif algorithm == "lz4":  # numcodecs puts the decoded size, 4 bytes, before the block
        device.decompress("lz4", sources + np.uint64(4), sizes - 4, places, nbytes, which)
    else:
        device.decompress(algorithm, sources, sizes, places, nbytes, which)
    if algorithm == "gzip":
        values = checksums.crc32(device, places, nbytes, checksums.CRC32)
        stored = sources + (sizes - 8).astype(np.uint64)
        checksums.compare(device, values, stored, checksums.LITTLE, which, "gzip: the checksum does not match")


def inflate_zlib(
    device: Device, sources: np.ndarray, sizes: np.ndarray, places: np.ndarray, nbytes: np.ndarray, chunk: np.ndarray
) -> None:
    """Decode zlib streams (RFC 1950) and verify their Adler-32. Arguments as of `Device.decompress`.

    nvCOMP knows only the deflate stream inside, and wants it at a multiple of 4: so it is copied there first.
    """
    if not len(sizes):
        return
    starts, inner, total = packed(sizes - 6, 16)
    room = device.empty(total)
    aligned = np.uint64(device.address(room)) + starts.astype(np.uint64)
    copy(device, sources + np.uint64(2), aligned, inner)
    device.decompress("deflate", aligned, inner, places, nbytes, chunk)
    stored = sources + (sizes - 4).astype(np.uint64)
    values = checksums.adler32(device, places, nbytes)
    checksums.compare(device, values, stored, checksums.BIG, chunk, "zlib: the checksum does not match")
