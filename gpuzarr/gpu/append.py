"""Put bytes before or behind chunks on the GPU: a checksum of each, or the same header for all."""

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
    if not len(chunks):
        return EncodedBatch(device.empty(0), chunks.starts, chunks.sizes)
    ranges = table(device, addresses(chunks, device), chunks.sizes)
    return _copied(chunks, _ends(checksum(device, ranges, int(chunks.sizes.max())), at_end), device)


def with_header(header: bytes, chunks: EncodedBatch | Unmeasured, device: Device) -> EncodedBatch | Unmeasured:
    """Copy chunks, each with `header` before it. None may be empty."""
    ends = Ends(prefix=device.upload(np.frombuffer(header, np.uint8)))
    if isinstance(chunks, Unmeasured):
        ranges = ranges_of(device, chunks)
        return compacted(device, ranges[: len(chunks.sizes)], chunks.sizes, chunks.most, ends)
    return _copied(chunks, ends, device)


def _copied(chunks: EncodedBatch, ends: Ends, device: Device) -> EncodedBatch:
    """Copy chunks of known sizes, with their ends."""
    starts, sizes, total = packed(chunks.sizes + ends.nbytes, PACKED)
    made = EncodedBatch(device.empty(total), starts, sizes)
    if len(chunks):
        copy(device, addresses(chunks, device), addresses(made, device) + np.uint64(ends.before), chunks.sizes)
        nbytes, where = (device.upload(column.astype(np.uint64)) for column in (chunks.sizes, starts))
        ends.write(device, nbytes, where, made.data, len(chunks))
    return made


def _ends(values: Any, at_end: bool) -> Ends:
    return Ends(tails=values, tail_bytes=_SIZE) if at_end else Ends(heads=values, head_bytes=_SIZE)
