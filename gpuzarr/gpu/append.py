"""Chunks with their CRC-32C before or behind them, made on the GPU."""

from __future__ import annotations

import numpy as np

from gpuzarr.batch import Slab, packed
from gpuzarr.devices import Device
from gpuzarr.gpu.checksums import CRC32C, crc32
from gpuzarr.gpu.compact import ALIGNED, Ends
from gpuzarr.gpu.tables import addresses, copy

_SIZE = 4


def append_crc32c(chunks: Slab, at_end: bool, device: Device) -> Slab:
    """A fresh slab of the chunks, each with 4 bytes more."""
    starts, sizes, total = packed(chunks.sizes + _SIZE, ALIGNED)
    made = Slab(device.empty(total), starts, sizes)
    if not len(chunks):
        return made
    sources, targets = addresses(chunks, device), addresses(made, device)
    copy(device, sources, targets + np.uint64(0 if at_end else _SIZE), chunks.sizes)
    values = crc32(device, sources, chunks.sizes, CRC32C)
    ends = Ends(tails=values, tail_bytes=_SIZE) if at_end else Ends(heads=values, head_bytes=_SIZE)
    nbytes, where = (device.upload(column.astype(np.uint64)) for column in (chunks.sizes, starts))
    ends.write(device, nbytes, where, made.data, len(chunks))
    return made
