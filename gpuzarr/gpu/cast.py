"""Cast whole batches on a GPU, where they cannot be cast on their way into the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast, Spread
from gpuzarr.gpu.place import Chunks, Strides, place

_MAX_PIECE = 1 << 30  # elements that the kernel takes for one chunk


@dataclass(frozen=True)
class _Flat:
    """So many elements in one row, in pieces that stand for chunks."""

    size: int

    chunk_shape, sliced = (_MAX_PIECE,), True

    def __len__(self) -> int:
        return -(-self.size // _MAX_PIECE)

    def boxes(self, strides: Strides, results: Sequence[Strides]) -> Boxes:
        number, ((item,),) = np.arange(len(self)), results
        first, none = number[:, None] * _MAX_PIECE, np.zeros_like(number)
        steps = np.full_like(first, strides[0]), np.full_like(first, item)
        extents, lists = np.minimum(_MAX_PIECE, self.size - first), np.full_like(first, -1)
        return Boxes(number, none, none, first[:, 0] * item, number, extents, *steps, lists, np.zeros((0, 2), np.int64))


def cast_all(device: Device, values: Any, cast: Cast) -> Any:
    """The elements of an array of the device, cast, in a new array of the same shape: one launch."""
    made = device.array(values.shape, cast.dtype)
    if made.size:
        values, flat, item = device.xp.ascontiguousarray(values), _Flat(made.size), cast.source.itemsize
        addresses = np.uint64(device.address(values)) + np.arange(len(flat), dtype=np.uint64) * (_MAX_PIECE * item)
        placements = [([flat], [made.reshape(-1)])]
        place(device, placements, np.ones(len(flat), bool), Chunks(addresses, (item,), 1, values), 0, cast)
    return made


def scale_all(device: Device, values: Any, cast: Cast) -> Any:
    """Elements of `cast.work` times `scale` plus `offset`, which are spread over them, in the result's dtype.

    `values` is overwritten. Two launches, and a third one for another dtype: memory of a GPU is many times faster than
    all that comes before, so no kernel needs to know at which place of a sample a box is.
    """
    xp = device.xp
    for number, operation in ((cast.scale, xp.multiply), (cast.offset, xp.add)):
        if number is not None:
            operation(values, device.upload(number.values) if isinstance(number, Spread) else number, out=values)
    return values if cast.rounded is None else cast_all(device, values, cast.rounded)
