"""Encode chunks of HDF5's filters bitshuffle and lz4 on the GPU: shuffle the blocks, compress all those of a batch in
one call, assemble the chunks (kernels/blocks_write.cu)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import ALIGNMENT, PACKED, BytesSpec, EncodedBatch, Unmeasured, packed
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp.compress import MAX_INPUT_BYTES
from gpuzarr.formats.hdf5_bitshuffle import HEADER, SIZE
from gpuzarr.gpu.compact import aligned, in_slots, places
from gpuzarr.gpu.shuffle import Blocks, bitshuffle
from gpuzarr.gpu.tables import THREADS, addresses, copy, grid, table


@dataclass(frozen=True)
class BlockShape:
    """How chunks of `nbytes` bytes are divided into blocks of `block` bytes.

    `elementsize`: 0 if bits are not shuffled; then a block that does not become smaller is stored as it is. `inner`:
    the compressor; None if there is none, and then no header either.
    """

    nbytes: int
    block: int
    elementsize: int
    inner: Algorithm | None

    @property
    def rest(self) -> int:
        """Bytes after the last block: of fewer than 8 elements."""
        return self.nbytes % (8 * self.elementsize) if self.elementsize else 0

    @property
    def blocks(self) -> int:
        return -(-(self.nbytes - self.rest) // self.block)

    @property
    def sizes(self) -> np.ndarray:
        """Bytes of each block of a chunk."""
        begins = np.arange(self.blocks) * self.block
        return np.minimum(self.block, self.nbytes - self.rest - begins)

    def most(self, device: Device) -> int:
        """The most bytes that a chunk becomes."""
        if self.inner is None:
            return self.nbytes
        each = self.slot_bytes(device) if self.elementsize else 0
        return HEADER + self.rest + self.blocks * (SIZE + each) + (0 if self.elementsize else self.nbytes)

    def slot_bytes(self, device: Device) -> int:
        """Bytes of the slot of a block."""
        assert self.inner is not None
        return aligned(device.compressed_capacity(self.inner, min(self.block, self.nbytes)))


def why_host(shape: BlockShape, spec: BytesSpec) -> str | None:
    """None where a GPU encodes chunks of this shape; else the reason why not. `spec`: of these chunks."""
    if spec.nbytes is None:
        return "the size to compress is not known from metadata"
    if not shape.blocks:
        return "there is no block to compress"
    if shape.inner is not None and min(shape.block, shape.nbytes) > MAX_INPUT_BYTES:
        return f"nvCOMP compresses blocks of at most {MAX_INPUT_BYTES} bytes"
    return None


def encode(shape: BlockShape, chunks: EncodedBatch, device: Device) -> EncodedBatch | Unmeasured:
    """Encode a batch. A block that nvCOMP fails on is stored as it is; if bits are shuffled, its chunk gets 0 bytes."""
    if not len(chunks):
        return EncodedBatch(device.empty(0), chunks.starts, chunks.sizes)
    if shape.inner is None:
        return _shuffled(shape, chunks, device)
    plain, sizes = _blocks(shape, addresses(chunks, device)), np.tile(shape.sizes, len(chunks))
    if shape.elementsize:
        _stage, staged = in_slots(len(plain), aligned(shape.block), device)
        _shuffle(shape, plain, staged, sizes, device)
        plain = staged
    slots, where = in_slots(len(plain), shape.slot_bytes(device), device)
    made = device.compress(shape.inner, plain, sizes, where)
    return assembled(shape, chunks, plain, slots, made, device)


def scratch_bytes(shape: BlockShape, device: Device) -> tuple[int, int]:
    """See `codecs.contract.KnowsEncodeScratch`: shuffled blocks, slots, nvCOMP's scratch, the encoded chunk."""
    most = shape.most(device) + ALIGNMENT
    if shape.inner is None:
        return most, most
    each = shape.slot_bytes(device) + device.compression_scratch(shape.inner, min(shape.block, shape.nbytes), 0)
    stage = aligned(shape.block) if shape.elementsize else 0
    return most + shape.blocks * (stage + each + ALIGNMENT), most


def _shuffled(shape: BlockShape, chunks: EncodedBatch, device: Device) -> EncodedBatch:
    """Encode chunks without a compressor: shuffle their blocks, and copy the rest."""
    starts, sizes, total = packed(chunks.sizes, PACKED)
    made = EncodedBatch(device.empty(total), starts, sizes)
    sources, targets = addresses(chunks, device), addresses(made, device)
    each = np.tile(shape.sizes, len(chunks))
    _shuffle(shape, _blocks(shape, sources), _blocks(shape, targets), each, device)
    if shape.rest:
        behind = np.uint64(shape.nbytes - shape.rest)
        copy(device, sources + behind, targets + behind, np.full(len(chunks), shape.rest))
    return made


def _blocks(shape: BlockShape, chunks: np.ndarray) -> np.ndarray:
    """Addresses of all blocks, chunk after chunk, of chunks at these addresses."""
    begins = np.arange(shape.blocks, dtype=np.uint64) * np.uint64(shape.block)
    return (chunks[:, None] + begins).reshape(-1)


def _shuffle(shape: BlockShape, sources: np.ndarray, targets: np.ndarray, sizes: np.ndarray, device: Device) -> None:
    count = len(sources)
    widths, own = np.full(count, shape.elementsize), np.zeros(count, bool)
    bitshuffle(device, Blocks(targets, sizes, widths, np.arange(count), own, sources))


def assembled(
    shape: BlockShape, chunks: EncodedBatch, plain: np.ndarray, slots: Any, sizes: Any, device: Device
) -> Unmeasured:
    """Assemble chunks from compressed blocks in slots. `plain`: addresses of the blocks; `sizes`: bytes in slots."""
    count, last, most = len(chunks), int(shape.sizes[-1]), shape.most(device)
    cut = (*(np.uint64(n) for n in (shape.blocks, shape.block, last, shape.rest)), np.uint32(not shape.elementsize))
    offset, total = (device.empty(8 * n).view(np.uint64) for n in (len(plain), count))
    layout = device.kernel("blocks_write.cu", "blocks_layout")
    layout((count,), (THREADS,), (sizes, *cut, offset, total, np.uint32(count)))
    (starts, total), target = places(device, total, 0), device.empty(count * aligned(most))
    declared = shape.block if shape.elementsize else min(shape.block, shape.nbytes)
    arguments = (
        *(table(device, addresses(chunks, device)), table(device, plain)),
        *(slots, np.uint64(shape.slot_bytes(device)), sizes, offset, total, starts),
        *(*cut, np.uint64(shape.nbytes), np.uint32(declared), target, np.uint64(len(target)), np.uint32(count)),
    )
    write = device.kernel("blocks_write.cu", "blocks_write")
    write(grid(np.full(len(plain), min(shape.block, shape.nbytes))), (THREADS,), arguments)
    return Unmeasured(target, starts, total, most)
