"""Change the elements of whole batches on a GPU, where that cannot be done on their way into the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import Boxes
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast, Spread
from gpuzarr.dtypes.element_program import Program
from gpuzarr.gpu.forms import MAX_AXES
from gpuzarr.gpu.place import Chunks, Strides, place
from gpuzarr.gpu.programs import program_of

_MAX_PIECE = 1 << 30  # elements that the kernel takes for one box


@dataclass(frozen=True)
class _Whole:
    """All elements of so many chunks of one shape, for a result in which they lie one behind the other."""

    count: int
    chunk_shape: tuple[int, ...]

    sliced = True

    def __len__(self) -> int:
        return self.count

    def boxes(self, strides: Strides, results: Sequence[Strides]) -> Boxes:
        item, inner = results[0][-1], prod(self.chunk_shape[1:])
        rows = max(1, _MAX_PIECE // inner)  # of a box
        firsts = np.arange(0, self.chunk_shape[0], rows)
        chunk, first = np.repeat(np.arange(self.count), len(firsts)), np.tile(firsts, self.count)
        target = (chunk * (self.chunk_shape[0] * inner) + first * inner) * item
        extents = np.array([(min(rows, self.chunk_shape[0] - row), *self.chunk_shape[1:]) for row in firsts.tolist()])
        steps = [prod(self.chunk_shape[axis + 1 :]) * item for axis in range(len(self.chunk_shape))]
        sources, targets = [np.tile(np.array(each, np.int64), (len(firsts), 1)) for each in (strides, steps)]
        shape = np.tile(np.arange(len(firsts)), self.count)
        lists, entries = np.full(extents.shape, -1, np.int64), np.zeros((0, 2), np.int64)
        return Boxes(
            chunk, first * strides[0], np.zeros_like(chunk), target, shape, extents, sources, targets, lists, entries
        )


def changed(device: Device, chunks: Any, program: Program | None, made: Any = None) -> Any:
    """The chunks of a batch, (n, *shape) on the device with any strides, with each element as the program makes it.

    `made`: the contiguous array to write to; by default scratch of the batch. One launch. Chunks that the program
    refuses are CodecErrors of `device.checked`.
    """
    assert program is not None, "a GPU is given only what `why_host` allows"
    if made is None:
        nbytes = prod(chunks.shape) * program.dtype.itemsize
        made = device.empty(max(nbytes, 1))[:nbytes].view(program.dtype).reshape(chunks.shape)
    if not made.size:
        return made
    shape, strides = chunks.shape[1:], chunks.strides
    if chunks.flags.c_contiguous or len(shape) > MAX_AXES or prod(shape[1:]) > _MAX_PIECE:
        chunks = device.xp.ascontiguousarray(chunks)
        shape = (prod(shape),)
        strides = shape[0] * program.source.itemsize, program.source.itemsize
    elif not shape:
        shape, strides = (1,), (*strides, program.source.itemsize)
    count = len(chunks)
    places = np.int64(device.address(chunks)) + np.arange(count) * strides[0]
    some = Chunks(places.astype(np.uint64), tuple(strides[1:]), 1, chunks, program=program)
    place(device, [([_Whole(count, shape)], [made.reshape(-1)])], np.ones(count, bool), some, 0)
    return made


def cast_all(device: Device, values: Any, cast: Cast) -> Any:
    """The elements of an array of the device, cast, in a new array of the same shape: one launch."""
    made = device.array(values.shape, cast.dtype)
    changed(device, values[None], program_of(cast), made[None])
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
