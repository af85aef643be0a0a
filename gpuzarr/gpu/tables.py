"""Tables of addresses and sizes for kernels, uploaded in one copy; and the grids of launches over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.devices.contract import Device

THREADS = 256
_PIECES = 4  # of 16 bytes, that a thread moves, at least
_MAX_ROWS = 65535  # of a grid in y


def addresses(encoded: EncodedBatch, device: Device) -> np.ndarray:
    """The address of each chunk on the device, uint64."""
    return np.uint64(device.address(encoded.data)) + encoded.starts.astype(np.uint64)


def are_aligned(encoded: EncodedBatch, alignment: int, device: Device) -> bool:
    """Whether each chunk begins at a multiple of `alignment` bytes."""
    return not (addresses(encoded, device) % np.uint64(alignment)).any()


def table(device: Device, *columns: np.ndarray) -> Any:
    """Upload columns, one after another, as uint64."""
    return device.upload(stacked(*columns))


def stacked(*columns: np.ndarray) -> np.ndarray:
    """Columns one after another, as uint64."""
    return np.concatenate([np.asarray(column).astype(np.uint64) for column in columns])


def upload_words(device: Device, *arrays: np.ndarray) -> list[Any]:
    """Upload contiguous arrays of whole u64 in one copy, as uint64; the first begins at a multiple of 256 bytes."""
    words = [array.reshape(-1).view(np.uint64) for array in arrays]
    uploaded = device.upload(np.concatenate(words))
    ends = np.cumsum([len(each) for each in words]).tolist()
    return [uploaded[end - len(each) : end] for end, each in zip(ends, words, strict=True)]


def grid(sizes: np.ndarray, each: int = THREADS * 16 * _PIECES) -> tuple[int, int]:
    """A grid: x is the number of rows, y such that a block of threads has about `each` bytes of the longest row."""
    return len(sizes), int(np.clip(-(-int(sizes.max(initial=1)) // each), 1, _MAX_ROWS))


def block_threads(sizes: np.ndarray) -> tuple[int]:
    """Threads of a block, a power of two from a warp to `THREADS`: as many as the longest row keeps busy."""
    each = -(-int(sizes.max(initial=1)) // (16 * _PIECES))
    return (min(THREADS, max(32, 1 << (each - 1).bit_length())),)


def threads_for(count: int) -> tuple[int]:
    """A grid of one thread for each of `count` items, in blocks of `THREADS`."""
    return (-(-count // THREADS),)


def moved(chunks: EncodedBatch, into: EncodedBatch | None, device: Device) -> EncodedBatch:
    """`chunks`; or `into` after a copy, where the caller gives it."""
    if into is None:
        return chunks
    copy(device, addresses(chunks, device), addresses(into, device), chunks.sizes)
    return into


def copy(device: Device, sources: np.ndarray, targets: np.ndarray, sizes: np.ndarray) -> None:
    """Copy ranges of bytes; addresses are uint64, of the device."""
    if len(sizes):
        places = table(device, sources, targets, sizes)
        device.kernel("copy.cu", "copy")(grid(sizes), block_threads(sizes), (places, np.uint32(len(sizes))))
