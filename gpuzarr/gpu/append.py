"""Append checksums to chunks on the GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import PACKED, EncodedBatch, Unmeasured, packed
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.compact import Ends, compacted, ranges_of
from gpuzarr.gpu.tables import addresses, copy, table

_SIZE = 4


def append(
    chunks: EncodedBatch | Unmeasured, at_end: bool, device: Device, checksum: Callable[[Device, Any, int], Any]
) -> EncodedBatch | Unmeasured:
    """Copy chunks, each with its checksum (4 bytes, little-endian) before or behind it.

    `checksum(device, ranges, longest)`: those of ranges in a table on the device, as in `gpuzarr.gpu.checksums`.
    """
    if isinstance(chunks, Unmeasured):
        ranges = ranges_of(device, chunks)
        ends = _ends(checksum(device, ranges, chunks.most), at_end)
        return compacted(device, ranges[: len(chunks.sizes)], chunks.sizes, chunks.most, ends)
    starts, sizes, total = packed(chunks.sizes + _SIZE, PACKED)
    made = EncodedBatch(device.empty(total), starts, sizes)
    if not len(chunks):
        return made
    sources, targets = addresses(chunks, device), addresses(made, device)
    copy(device, sources, targets + np.uint64(0 if at_end else _SIZE), chunks.sizes)
    nbytes, where = (device.upload(column.astype(np.uint64)) for column in (chunks.sizes, starts))
    ends = _ends(checksum(device, table(device, sources, chunks.sizes), int(chunks.sizes.max())), at_end)
    ends.write(device, nbytes, where, made.data, len(chunks))
    return made


def _ends(values: Any, at_end: bool) -> Ends:
    return Ends(tails=values, tail_bytes=_SIZE) if at_end else Ends(heads=values, head_bytes=_SIZE)
