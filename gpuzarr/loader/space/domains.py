"""The domains of a data set: where samples lie in each store, and into which blocks they fall."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, prod
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.order.shuffle import BlockShuffle
from gpuzarr.loader.space.blocks import Cuts, cuts_of
from gpuzarr.loader.space.columns import Arrays, Box, Column
from gpuzarr.loader.space.grids import Domain, Domains, Origins
from gpuzarr.loader.space.samples import Patch, Region, Rows

MAX_BLOCKS = 1 << 22


def boxes(arrays: Arrays, columns: Sequence[Column], sample: Patch | Rows, given: Any) -> list[list[Box]]:
    """For each store the boxes in which samples lie, in elements of the first array: all that all arrays have, in the
    regions that `given` (of each store) or the sample names."""
    name, first = next(iter(arrays.items()))
    found = []
    for store in range(len(first)):
        whole = [_extent(arrays, column, store) for column in columns]
        lengths = [first[store].shape[column.axes[name]] for column in columns]
        regions = [None] if sample.region is None else sample.region
        wanted = [_resolved(region, lengths, columns) for region in regions] if given is None else given[store]
        found.append([tuple(map(_both, box, whole)) for box in wanted])
    return found


def _extent(arrays: Arrays, column: Column, store: int) -> tuple[int, int]:
    """The elements of the first array that lie in all arrays."""
    scales = [(column.scales[name], each[store].shape[column.axes[name]]) for name, each in arrays.items()]
    return max(ceil(scale.shift) for scale, _ in scales), min(floor(scale.stop(length)) for scale, length in scales)


def _resolved(region: Region | None, lengths: Sequence[int], columns: Sequence[Column]) -> Box:
    if region is None:
        return tuple([(0, length) for length in lengths])
    if len(region) == len(lengths) - 1 and not columns[0].is_patch:
        region = (slice(None), *region)  # all rows, before the axes of the patch
    if len(region) != len(lengths):
        raise ArgumentError(f"region takes {len(lengths)} slices, one for each axis of the sample, not {shown(region)}")
    return tuple([one.indices(length)[:2] for one, length in zip(region, lengths, strict=True)])


def _both(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    start = max(one[0], other[0])
    return start, max(start, min(one[1], other[1]))


def domains(
    arrays: Arrays,
    columns: Sequence[Column],
    sample: Patch | Rows,
    found: Sequence[Sequence[Box]],
    shuffle: BlockShuffle | None,
) -> Domains:
    """The domains of these boxes, in at most MAX_BLOCKS blocks. ArgumentError where the shuffle makes more."""
    spots = [
        (store, box, tuple([origins(column, ends, sample) for column, ends in zip(columns, box, strict=True)]))
        for store, of_store in enumerate(found)
        for box in of_store
    ]
    cuts = cuts_of(arrays, columns, sample, found, shuffle)
    while sum(blocks := [prod(map(_cells, axes, cuts[store])) for store, _, axes in spots]) > MAX_BLOCKS:
        if shuffle is not None and shuffle.block is not None:
            raise ArgumentError(f"shuffle={shuffle} makes {sum(blocks)} blocks, more than {MAX_BLOCKS}")
        store, _, axes = spots[int(np.argmax(blocks))]
        widest = int(np.argmax(list(map(_cells, axes, cuts[store]))))
        cuts = [tuple([cut.times(2) if i == widest else cut for i, cut in enumerate(of)]) for of in cuts]
    is_random = [column.is_patch and isinstance(sample, Patch) and sample.is_random for column in columns]
    made = [Domain.of(n, box, axes, list(map(_edges, axes, cuts[n], is_random))) for n, box, axes in spots]
    return Domains(made, len(columns))


def check_fit(arrays: Arrays, columns: Sequence[Column], sample: Patch, found: Sequence[Sequence[Box]]) -> None:
    """Raise ArgumentError where a patch is larger than a box, and may not reach beyond it."""
    name, first = next(iter(arrays.items()))
    for store, box in ((store, box) for store, of_store in enumerate(found) for box in of_store):
        for column, (start, stop) in zip(columns, box, strict=True):
            start, stop = column.lattice.up(start - column.pad), column.lattice.down(stop + column.pad)
            if column.is_patch and stop - start < column.size and sample.edge == "shift":
                of_store = f", store {store}," if len(first) > 1 else ""
                raise ArgumentError(
                    f"Patch: {column.size} elements along axis {column.axes[name]} of array {name!r}{of_store} do not "
                    f'fit into the {max(stop - start, 0)} that samples may have; give a smaller shape, edge="pad" '
                    'to fill what is missing, or edge="drop" to leave such out'
                )


def origins(column: Column, ends: tuple[int, int], sample: Patch | Rows) -> Origins:
    """The origins of samples that lie between two places."""
    start, stop = ends[0] - column.pad + column.before, ends[1] + column.pad - column.after
    if ends[0] >= ends[1] or start >= stop:
        return Origins(0, 1, 0, 0)
    edge = sample.edge if column.is_patch and isinstance(sample, Patch) else "shift"
    lattice, size = column.lattice, column.size
    if isinstance(sample, Patch) and sample.is_random:
        return _random(lattice.up(start), stop, size, lattice.step, edge)
    first = lattice.down(start) if edge == "pad" else lattice.up(start)
    stop = stop if edge == "pad" else lattice.down(stop)
    return _grid(first, stop, size, column.stride, edge)


def _random(first: int, stop: int, size: int, step: int, edge: str) -> Origins:
    count = max((stop - first - size) // step + 1, 1 if edge == "pad" else 0)
    return Origins(first, step, count, first + (count - 1) * step)


def _grid(first: int, stop: int, size: int, stride: int, edge: str) -> Origins:
    length = stop - first
    if edge == "drop" or (edge == "shift" and length < size):
        count = max((length - size) // stride + 1, 0)
        return Origins(first, stride, count, first + (count - 1) * stride)
    count = max(-(-min(length, length - size + stride) // stride), 1)  # until nothing is left
    last = first + (count - 1) * stride
    return Origins(first, stride, count, min(last, stop - size) if edge == "shift" else last)


def _cells(axis: Origins, cuts: Cuts) -> int:
    """The number of blocks along an axis, at most."""
    return cuts.count(max(axis.first, 0), axis.last) if axis.count else 0


def _edges(axis: Origins, cuts: Cuts, is_random: bool) -> np.ndarray:
    """Where blocks begin, behind the first one. What is beyond the beginning of an array is no block of its own; nor
    are the last few origins of random patches, which lie in the chunks of the block before."""
    found = cuts.between(max(axis.first, 0), axis.last)
    is_small = is_random and len(found) and axis.last - found[-1] < cuts.size // 4
    return found[:-1] if is_small else found
