"""Tables that kernels read: columns of addresses and sizes, uploaded as one; and their grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device

THREADS = 256
_PIECES = 4  # of 16 bytes, that a thread moves before a row of the grid is long enough
_MAX_ROWS = 65535  # of a grid in y


def addresses(encoded: EncodedBatch, device: Device) -> np.ndarray:
    """Where each chunk begins on the device, uint64."""
    return np.uint64(device.address(encoded.data)) + encoded.starts.astype(np.uint64)


def table(device: Device, *columns: np.ndarray) -> Any:
    """The columns one after another on the device, as uint64."""
    return device.upload(stacked(*columns))


def stacked(*columns: np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(column).astype(np.uint64) for column in columns])


def together(device: Device, *arrays: np.ndarray) -> list[Any]:
    """Contiguous arrays of whole u64 on the device, as uint64, by one upload; the first at a multiple of 256 bytes."""
    words = [array.reshape(-1).view(np.uint64) for array in arrays]
    there = device.upload(np.concatenate(words))
    ends = np.cumsum([len(each) for each in words]).tolist()
    return [there[end - len(each) : end] for end, each in zip(ends, words, strict=True)]


def grid(sizes: np.ndarray, each: int = THREADS * 16 * _PIECES) -> tuple[int, int]:
    """x: one for each row of the work; y: enough that a block of threads has about `each` bytes of the longest."""
    return len(sizes), int(np.clip(-(-int(sizes.max(initial=1)) // each), 1, _MAX_ROWS))


def enough(sizes: np.ndarray) -> tuple[int]:
    """Threads a block, a power of two from a warp to `THREADS`: as many as the longest row of the work keeps busy."""
    each = -(-int(sizes.max(initial=1)) // (16 * _PIECES))
    return (min(THREADS, max(32, 1 << (each - 1).bit_length())),)


def threads_for(count: int) -> tuple[int]:
    """A grid of one thread for each of `count`."""
    return (-(-count // THREADS),)


def zeros(device: Device, nbytes: int, fill: int = 0) -> Any:
    """Scratch of which every byte is `fill`."""
    made = device.empty(nbytes)
    made.fill(fill)
    return made


def moved(chunks: EncodedBatch, into: EncodedBatch | None, device: Device) -> EncodedBatch:
    """`chunks`, or `into` with their bytes, where the caller says where they shall lie."""
    if into is None:
        return chunks
    copy(device, addresses(chunks, device), addresses(into, device), chunks.sizes)
    return into


def copy(device: Device, sources: np.ndarray, targets: np.ndarray, sizes: np.ndarray) -> None:
    """Copy ranges of bytes; addresses of the device, uint64."""
    if len(sizes):
        places = table(device, sources, targets, sizes)
        device.kernel("copy.cu", "copy")(grid(sizes), enough(sizes), (places, np.uint32(len(sizes))))
