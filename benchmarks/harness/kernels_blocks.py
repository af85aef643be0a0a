"""Row of gpu_kernels: chunks of HDF5's bitshuffle are assembled from compressed blocks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gpuzarr.batch import Unmeasured
from gpuzarr.gpu.algorithms import LZ4
from gpuzarr.gpu.blocks_encode import BlockShape, assembled
from gpuzarr.gpu.compact import in_slots

CHUNK, BLOCK, RATIO = 1 << 20, 8192, 2  # decoded bytes, and how many times as many they are as the compressed ones


def chunks(clock: Any, nbytes: int) -> dict[str, list[float]]:
    """GB/s of compressed bytes that come to their place, of each run. What was made is compared first."""
    device, count = clock.device, max(1, nbytes // CHUNK)
    shape = BlockShape(CHUNK, BLOCK, 2, LZ4)
    batch = device.encoded_batch(np.full(count, CHUNK))
    slots, where = in_slots(count * shape.blocks, shape.slot_bytes(device), device)
    slots[:] = device.xp.arange(len(slots), dtype=np.uint32) // 3 % 251
    sizes = BLOCK // RATIO - np.arange(len(where)) % 16
    made = partial(assembled, shape, batch, where, slots, device.upload(sizes.astype(np.uint64)))
    _compare(device, shape, made(device), slots, sizes)
    return {"bitshuffle of HDF5, assemble": clock.rates(int(sizes.sum()), made)}


def _compare(device: Any, shape: BlockShape, made: Unmeasured, slots: Any, sizes: np.ndarray) -> None:
    """The last chunk: its sizes, and the bytes between them."""
    if complete := device.checked():
        complete()
    data, slot = device.download(slots), shape.slot_bytes(device)
    blocks = [(i * slot, int(sizes[i])) for i in range(len(sizes) - shape.blocks, len(sizes))]
    parts = [size.to_bytes(4, "big") + data[at : at + size].tobytes() for at, size in blocks]
    wanted = shape.nbytes.to_bytes(8, "big") + shape.block.to_bytes(4, "big") + b"".join(parts)
    start, size = (int(device.download(column)[-1]) for column in (made.starts, made.sizes))
    if device.download(made.data)[start : start + size].tobytes() != wanted:
        raise RuntimeError("blocks do not lie where they should")
