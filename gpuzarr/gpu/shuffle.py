"""Shuffle and unshuffle bytes and bits of many blocks at once (kernels/shuffle.cu, bitshuffle.cu, and ..._write.cu)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.tables import THREADS, addresses, block_threads, grid, table

_TILE = 8192  # bytes, about, that a block of threads of bitunshuffle takes at once


@dataclass(frozen=True)
class Blocks:
    """Blocks, each shuffled by itself. Arrays have one item a block, but for `planes`.

    Block i becomes `sizes[i]` bytes at address `targets[i]`, elements of `widths[i]` bytes. Its source is at address
    `planes[first[i]]`; where `own[i]`, the plane of byte j of its elements is at `planes[first[i] + j]`.
    """

    targets: np.ndarray
    sizes: np.ndarray
    widths: np.ndarray
    first: np.ndarray
    own: np.ndarray
    planes: np.ndarray

    def launch(
        self, device: Device, file: str, name: str, shape: tuple[int, int], threads: tuple[int] = (THREADS,)
    ) -> None:
        places = table(device, self.targets, self.sizes, self.widths, self.first, self.own)
        arguments = (places, table(device, self.planes), np.uint32(len(self.sizes)))
        device.kernel(file, name)(shape, threads, arguments)

    def take(self, which: np.ndarray) -> Blocks:
        return Blocks(
            self.targets[which], self.sizes[which], self.widths[which], self.first[which], self.own[which], self.planes
        )


def unshuffle(device: Device, blocks: Blocks) -> None:
    if len(blocks.sizes):
        blocks.launch(device, "shuffle.cu", "unshuffle", grid(blocks.sizes), block_threads(blocks.sizes))


def bitunshuffle(device: Device, blocks: Blocks) -> None:
    """Undo bit shuffles. Each block must have a multiple of 8 elements, of at most 256 bytes."""
    if len(blocks.sizes):
        blocks.launch(device, "bitshuffle.cu", "bitunshuffle", grid(blocks.sizes, _TILE))


def shuffle(device: Device, blocks: Blocks) -> None:
    """Shuffle bytes. No block may have planes of its own."""
    if len(blocks.sizes):
        blocks.launch(device, "shuffle_write.cu", "shuffle", grid(blocks.sizes), block_threads(blocks.sizes))


def bitshuffle(device: Device, blocks: Blocks) -> None:
    """Shuffle bits, of blocks as for `bitunshuffle`. No block may have planes of its own."""
    if len(blocks.sizes):
        blocks.launch(device, "bitshuffle_write.cu", "bitshuffle", grid(blocks.sizes, _TILE))


def shuffle_chunks(
    chunks: EncodedBatch, width: int, device: Device, into: EncodedBatch | None, verb: str
) -> EncodedBatch:
    """Shuffle or unshuffle (`verb`) the bytes of whole chunks of elements of `width` bytes."""
    into = device.encoded_batch(chunks.sizes) if into is None else into
    count = len(chunks)
    if count and chunks.sizes.any():
        each = np.full(count, width)
        targets, planes = addresses(into, device), addresses(chunks, device)
        blocks = Blocks(targets, chunks.sizes, each, np.arange(count), np.zeros(count, bool), planes)
        (shuffle if verb == "shuffle" else unshuffle)(device, blocks)
    return into
