"""Encode Blosc frames on the GPU: shuffle by blocks, compress all streams of a batch in one call, assemble.

Streams and chunks that do not become smaller are stored raw, as c-blosc does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import ALIGNMENT, PACKED, BytesSpec, EncodedBatch, Unmeasured, packed
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp.compress import MAX_INPUT_BYTES
from gpuzarr.formats.blosc_frame import BIT_SHUFFLE, BYTE_SHUFFLE, HEADER, ZSTD
from gpuzarr.formats.blosc_shape import MAX_CHUNK_BYTES, FrameShape
from gpuzarr.gpu import blosc_streams
from gpuzarr.gpu.blosc_streams import Compressed
from gpuzarr.gpu.compact import aligned, places
from gpuzarr.gpu.shuffle import Blocks, bitshuffle, shuffle
from gpuzarr.gpu.tables import THREADS, addresses, copy, grid, table


def why_host(cname: str, clevel: int, spec: BytesSpec) -> str | None:
    """None where a GPU encodes chunks of this spec (if not `too_large`); else the reason why not."""
    if cname == "lz4hc":
        return "nvCOMP has one level of lz4, which compresses less than lz4hc"
    if cname == "zstd" and clevel > 5:
        return f"nvCOMP's zstd has one level, which is less than clevel {clevel} asks for"
    if spec.nbytes is None:
        return "the size to compress is not known from metadata"
    if spec.nbytes == 0:
        return "there is nothing to compress"
    return f"Blosc takes at most {MAX_CHUNK_BYTES} bytes" if spec.nbytes > MAX_CHUNK_BYTES else None


def too_large(shape: FrameShape) -> str | None:
    largest = max(shape.part, shape.last)
    if shape.copied or largest <= MAX_INPUT_BYTES or not blosc_streams.is_limited(shape.codec):
        return None
    return f"nvCOMP compresses at most {MAX_INPUT_BYTES} bytes a stream"


def encode(shape: FrameShape, clevel: int, chunks: EncodedBatch, device: Device) -> EncodedBatch | Unmeasured:
    """Encode a batch of chunks of `shape.nbytes` bytes each."""
    if shape.copied or not len(chunks):
        return _copied(shape, device, chunks)
    return _compressed(shape, clevel, device, chunks)


def scratch_bytes(shape: FrameShape, clevel: int, device: Device) -> tuple[int, int]:
    """See `codecs.contract.KnowsEncodeScratch`: a stage for the shuffle, slots and scratch of streams, the frame."""
    frame = shape.nbytes + ALIGNMENT
    if shape.copied:
        return frame, frame
    largest = max(shape.part, shape.last)
    stream = blosc_streams.slot_bytes(shape.codec, largest, device)
    stream += blosc_streams.scratch_bytes(shape.codec, largest, clevel, device)
    return shape.nbytes + frame + shape.streams * (stream + ALIGNMENT + 64), frame


def _copied(shape: FrameShape, device: Device, chunks: EncodedBatch) -> EncodedBatch:
    """Make frames of a header and the raw chunk."""
    starts, sizes, total = packed(chunks.sizes + HEADER, PACKED)
    made = EncodedBatch(device.empty(total), starts, sizes)
    words = np.array([shape.first_word, shape.nbytes, shape.blocksize, shape.nbytes + HEADER], np.uint32)
    header, where = device.upload(words), addresses(made, device)
    copy(device, np.full(len(chunks), device.address(header), np.uint64), where, np.full(len(chunks), HEADER))
    copy(device, addresses(chunks, device), where + np.uint64(HEADER), chunks.sizes)
    return made


def _compressed(shape: FrameShape, clevel: int, device: Device, chunks: EncodedBatch) -> Unmeasured:
    count, stage = len(chunks), _Stage.of(shape, chunks, device)
    plain = stage.streams(shape)
    nbytes = np.full((count, shape.streams), shape.part)
    if shape.last:
        nbytes[:, -1] = shape.last
    made = blosc_streams.compress(shape.codec, plain, nbytes.reshape(-1), clevel, device)
    return _assembled(shape, device, chunks, plain, made)


def _assembled(
    shape: FrameShape, device: Device, chunks: EncodedBatch, plain: np.ndarray, made: Compressed
) -> Unmeasured:
    """Assemble frames of compressed streams, or of raw ones at `plain`, whichever is smaller."""
    count = len(chunks)
    cut = tuple(np.uint64(n) for n in (shape.full, shape.splits, shape.part, shape.last))
    offset, total = device.empty(4 * plain.size).view(np.uint32), device.empty(8 * count).view(np.uint64)
    layout = device.kernel("blosc_write.cu", "blosc_layout")
    layout((count,), (THREADS,), (made.sizes, *cut, offset, total, np.uint32(count)))
    (starts, total), target = places(device, total, 0), device.empty(count * aligned(shape.nbytes + HEADER))
    arguments = (
        *(table(device, addresses(chunks, device)), table(device, plain)),
        *(made.slots, np.uint64(made.slot_bytes), made.sizes, offset),
        *(total, starts, *cut, np.uint32(shape.first_word), np.uint32(shape.blocksize), target),
        *(np.uint64(len(target)), np.uint32(count)),
    )
    write = device.kernel("blosc_write.cu", "blosc_write")
    write(grid(np.full(plain.size, shape.part)), (THREADS,), arguments)
    return Unmeasured(target, starts, total, shape.nbytes + HEADER)


@dataclass(frozen=True)
class _Stage:
    """Blocks ready to be compressed: addresses (chunks, blocks). `held`: what owns the memory."""

    blocks: np.ndarray
    held: Any

    @staticmethod
    def row(shape: FrameShape) -> int:
        """Bytes of the stage of one chunk."""
        return (shape.full + (shape.last > 0)) * aligned(shape.blocksize)

    @classmethod
    def of(cls, shape: FrameShape, chunks: EncodedBatch, device: Device) -> _Stage:
        """Shuffle blocks to a stage; or take them where they are, if not shuffled and aligned for nvCOMP."""
        number = np.arange(shape.full + (shape.last > 0), dtype=np.uint64)
        source = addresses(chunks, device)[:, None] + number * np.uint64(shape.blocksize)
        sizes = np.full(len(number), shape.blocksize)
        sizes[shape.full :] = shape.last
        moved = _shuffled(shape, sizes)
        if not moved.any() and not (shape.codec == ZSTD and (source % np.uint64(4)).any()):
            return cls(source, chunks.data)
        stage = device.empty(len(chunks) * cls.row(shape))
        first = np.uint64(device.address(stage)) + np.arange(len(chunks), dtype=np.uint64)[:, None] * np.uint64(
            cls.row(shape)
        )
        target = first + number * np.uint64(aligned(shape.blocksize))
        sizes, moved = (np.broadcast_to(of_block, source.shape) for of_block in (sizes, moved))
        copy(device, source[~moved], target[~moved], sizes[~moved])
        _shuffle(shape, device, source[moved], target[moved], sizes[moved])
        return cls(target, stage)

    def streams(self, shape: FrameShape) -> np.ndarray:
        """Addresses of all streams, chunk after chunk."""
        parts = np.arange(shape.splits, dtype=np.uint64) * np.uint64(shape.part)
        full = (self.blocks[:, : shape.full, None] + parts).reshape(len(self.blocks), -1)
        return np.concatenate([full, self.blocks[:, shape.full :]], axis=1).reshape(-1)


def _shuffled(shape: FrameShape, sizes: np.ndarray) -> np.ndarray:
    """Mask of the blocks that the shuffle changes."""
    if shape.shuffle == BIT_SHUFFLE:
        return np.asarray((sizes >= shape.typesize) & (sizes // shape.typesize % 8 == 0))
    return np.full(len(sizes), shape.shuffle == BYTE_SHUFFLE and shape.typesize > 1)


def _shuffle(shape: FrameShape, device: Device, source: np.ndarray, target: np.ndarray, sizes: np.ndarray) -> None:
    count = len(source)
    each, number = np.full(count, shape.typesize), np.arange(count)
    blocks = Blocks(target, sizes, each, number, np.zeros(count, bool), source)
    (bitshuffle if shape.shuffle == BIT_SHUFFLE else shuffle)(device, blocks)
