"""What a call of a pipeline does on a thread of its own: it reads or writes the elements that a batch asks for."""

from __future__ import annotations

from collections.abc import Sequence
from operator import le
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.indexing.selection import Outer
from gpuzarr.integrations.zarr_python.arrays import with_shape, with_sizes
from gpuzarr.integrations.zarr_python.batches import Asked, Coords, Item, asked, begin_of, size_of
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.inputs import as_value
from gpuzarr.read import read as read_requests
from gpuzarr.read.requests import Request
from gpuzarr.write.target import Target


def read(array: Array, batch: Sequence[Item], out: Any, drop_axes: Coords) -> None:
    """Read what a batch asks for into `out`, an array of the device. The values are there when this returns.

    zarr-python knows no streams: its caller, on another thread, may use any stream, and cannot know which to wait for.
    """
    array = _with_grid(array, batch)
    wanted = asked(batch, array.metadata, array.path, drop_axes, out.shape)
    array, device = _reaching(array, wanted), array.device
    with device.on():
        begin = device.timestamp()
        if wanted.are_places_a_view and out.dtype == array.dtype:
            _read(array, wanted, out if wanted.places is None else out[wanted.places])
        else:
            found = device.array(wanted.elements.shape, array.dtype)
            _read(array, wanted, found)
            out[_places(wanted, device)] = found
        device.seconds(begin, device.timestamp())


def _read(array: Array, wanted: Asked, into: Any) -> None:
    read_requests([Request(array, wanted.elements, into)], array.device, array.options, Trace())


def _places(wanted: Asked, device: Device) -> Any:
    """The places as an index of an array of the device."""
    if wanted.places is None:
        return ...
    return wanted.places if wanted.are_places_a_view else tuple(map(device.xp.asarray, wanted.places))


def write(array: Array, batch: Sequence[Item], value: Any, drop_axes: Coords) -> None:
    """Write an array of the device, or one element for all, to the elements that a batch asks for."""
    array = _with_grid(array, batch)
    wanted = asked(batch, array.metadata, array.path, drop_axes, value.shape or None)
    is_any_covered = any(item[4] for item in batch)
    array = _ending_as_told(array, batch, wanted) if is_any_covered else _reaching(array, wanted)
    device = array.device
    with device.on():
        given = value[_places(wanted, device)] if value.shape else value
        values = as_value(given, array.dtype, wanted.elements.shape, device, array.metadata.data_type)
        writes_empty = batch[0][1].config.write_empty_chunks
        grows = not is_any_covered  # then elements beyond the end that is known here must stay
        target = Target(array.store, array.path, array.layout, False, writes_empty, grows)
        array.write_values(wanted.elements, values, None, target=target)


def _with_grid(array: Array, batch: Sequence[Item]) -> Array:
    """The array, with chunks as long as zarr-python has them now, where they are not all alike."""
    if array.metadata.regular:
        return array
    told: list[dict[int, int]] = [{} for _ in array.shape]
    for place, spec, *_ in batch:
        coords = array.metadata.chunk_keys.decode(place.path, array.path) or ()
        for sizes, coordinate, size in zip(told, coords, spec.shape, strict=False):
            sizes[coordinate] = size
    pairs = zip(array.metadata.axes, told, strict=True)
    is_known = all(c < axis.count and size_of(axis, c) == n for axis, sizes in pairs for c, n in sizes.items())
    return array if is_known or not all(told) else with_sizes(array, told)


def _ends(wanted: Asked) -> list[int]:
    """For each axis, where the elements end."""
    indices = wanted.elements.axes if isinstance(wanted.elements, Outer) else wanted.elements.indices
    return [each[-1] + 1 if isinstance(each, range) else int(each.max()) + 1 for each in indices]


def _reaching(array: Array, wanted: Asked) -> Array:
    """The array, longer if elements beyond its end are wanted: it has been resized then."""
    shape, ends = array.shape, _ends(wanted)
    if all(map(le, ends, shape)):
        return array
    return with_shape(array, tuple(map(max, shape, ends)))


def _ending_as_told(array: Array, batch: Sequence[Item], wanted: Asked) -> Array:
    """The array, with an end at which the same chunks are covered as a whole as zarr-python has it.

    Of other chunks what was there is kept, also beyond the end of the array, where it is seen when that grows.
    """
    array, elements = _reaching(array, wanted), wanted.elements
    if not isinstance(elements, Outer) or not array.shape:
        return array
    told = np.array([item[4] for item in batch]).reshape([len(each) for each in wanted.chunks])
    if (told == _covered(array, elements, wanted.chunks)).all():
        return array
    shape = list(array.shape)
    for axis, (grid, chunks, end) in enumerate(zip(array.metadata.axes, wanted.chunks, _ends(wanted), strict=True)):
        last = max(chunks)
        is_covered = told.take(chunks.index(last), axis).any()
        shape[axis] = end if is_covered else begin_of(grid, last + 1)
    return with_shape(array, tuple(shape))


def _covered(array: Array, elements: Outer, chunks: Sequence[Sequence[int]]) -> np.ndarray:
    """Whether ranges of elements cover each of these chunks, up to the end of the array; bool, an axis for each."""
    found = np.ones((), bool)
    for grid, indices, length, some in zip(array.metadata.axes, elements.axes, array.shape, chunks, strict=True):
        is_range = isinstance(indices, range) and indices.step == 1
        begins = np.array([begin_of(grid, chunk) for chunk in some])
        ends = np.minimum([begin_of(grid, chunk + 1) for chunk in some], length)
        along = (begins >= indices[0]) & (ends <= indices[-1] + 1) if is_range else np.zeros(len(some), bool)
        found = found[..., None] & along
    return found
