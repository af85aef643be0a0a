"""The domains of a data set: where samples lie in each store, and into which blocks they fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, prod
from operator import itemgetter
from typing import Any

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.columns import Arrays, Column
from gpuzarr.loader.grids import Domain, Domains, Origins
from gpuzarr.loader.samples import Patch, Region, Rows
from gpuzarr.metadata import Axis, RectilinearAxis

MAX_BLOCKS = 1 << 22
Box = tuple[tuple[int, int], ...]  # the first element and the one behind the last, along each axis of samples


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
    arrays: Arrays, columns: Sequence[Column], sample: Patch | Rows, found: Sequence[Sequence[Box]], block: Any
) -> Domains:
    """The domains of these boxes. `block`: elements of a block along each axis; None: as large as the largest chunk,
    and as a patch, or larger, so that there are at most MAX_BLOCKS.

    ArgumentError for more blocks than that.
    """
    spots = [
        (store, box, tuple([origins(column, ends, sample) for column, ends in zip(columns, box, strict=True)]))
        for store, of_store in enumerate(found)
        for box in of_store
    ]
    cuts = [cuts_of(arrays, columns, store, block) for store in range(len(found))]
    while sum(blocks := [prod(map(_cells, axes, cuts[store])) for store, _, axes in spots]) > MAX_BLOCKS:
        if block is not None:
            raise ArgumentError(f"BlockShuffle(block={block}) makes {sum(blocks)} blocks, more than {MAX_BLOCKS}")
        store, _, axes = spots[int(np.argmax(blocks))]
        widest = int(np.argmax(list(map(_cells, axes, cuts[store]))))
        cuts = [(*of[:widest], replace(of[widest], size=of[widest].size * 2), *of[widest + 1 :]) for of in cuts]
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
    count = max((stop - first - size) // step + 1, edge == "pad")
    return Origins(first, step, max(count, 0), first + (count - 1) * step)


def _grid(first: int, stop: int, size: int, stride: int, edge: str) -> Origins:
    length = stop - first
    if edge == "drop" or (edge == "shift" and length < size):
        count = max((length - size) // stride + 1, 0)
        return Origins(first, stride, count, first + (count - 1) * stride)
    count = max(-(-min(length, length - size + stride) // stride), 1)  # until nothing is left
    last = first + (count - 1) * stride
    return Origins(first, stride, count, min(last, stop - size) if edge == "shift" else last)


@dataclass(frozen=True)
class Cuts:
    """Where blocks begin along an axis of a store: at multiples of `size`; or at some of `edges`, those of chunks that
    differ, with at least about `size` elements between."""

    size: int
    edges: tuple[int, ...] = ()

    def between(self, first: int, last: int) -> np.ndarray:
        """Those behind a place, up to another one, int64."""
        if not self.edges:
            return np.arange((first // self.size + 1) * self.size, last + 1, self.size, dtype=np.int64)
        edges = np.array(self.edges, np.int64)
        edges = edges[np.concatenate([[True], np.diff(edges // self.size) > 0])]
        return edges[(edges > first) & (edges <= last)]


def cuts_of(arrays: Arrays, columns: Sequence[Column], store: int, block: Any) -> tuple[Cuts, ...]:
    """Where blocks begin along each axis of a store."""
    if block is None:
        return tuple([_by_chunks(arrays, column, store) for column in columns])
    sizes = block if isinstance(block, tuple) else (block,) * len(columns)
    if len(sizes) != len(columns):
        raise ArgumentError(f"BlockShuffle(block={block}) needs {len(columns)} sizes, one for each axis of a sample")
    return tuple(map(Cuts, sizes))


def _by_chunks(arrays: Arrays, column: Column, store: int) -> Cuts:
    """Blocks as large as the largest chunks, and at least as large as a patch."""
    found = []
    for name, each in arrays.items():
        axis, scale = each[store].layout.axes[column.axes[name]], column.scales[name]
        found.append((ceil(_chunk_length(axis) * scale.size), axis, scale))
    size, axis, scale = max(found, key=itemgetter(0))
    size = max(size, 1)
    if isinstance(axis, RectilinearAxis):
        return Cuts(max(column.size, 1), tuple([ceil(scale.shift + edge * scale.size) for edge in axis.edges]))
    return Cuts(-(-column.size // size) * size)


def _chunk_length(axis: Axis) -> int:
    """Elements of a chunk, or of chunks of several lengths the mean."""
    return -(-axis.edges[-1] // max(axis.count, 1)) if isinstance(axis, RectilinearAxis) else axis.size


def _cells(axis: Origins, cuts: Cuts) -> int:
    """The number of blocks along an axis, at most."""
    cells = (axis.last - max(axis.first, 0)) // cuts.size + 2 if axis.count else 0
    return min(cells, len(cuts.edges) + 1) if cuts.edges else cells


def _edges(axis: Origins, cuts: Cuts, is_random: bool) -> np.ndarray:
    """Where blocks begin, behind the first one. What is beyond the beginning of an array is no block of its own; nor
    are the last few origins of random patches, which lie in the chunks of the block before."""
    found = cuts.between(max(axis.first, 0), axis.last)
    is_small = is_random and len(found) and axis.last - found[-1] < cuts.size // 4
    return found[:-1] if is_small else found
