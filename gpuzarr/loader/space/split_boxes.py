"""Where the samples of each part of a split data set lie: boxes of stores, of the arithmetic of `splits.py`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import ceil, lcm
from operator import itemgetter
from typing import Any

import numpy as np

from gpuzarr.checks import number
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.settings import Settings
from gpuzarr.loader.space.columns import Arrays, Box, Column
from gpuzarr.loader.space.domains import boxes, origins
from gpuzarr.loader.space.inputs import arrays_of, columns_of, offsets_of, sample_of
from gpuzarr.loader.space.samples import Patch, Rows
from gpuzarr.loader.space.splits import Interval, Line, split
from gpuzarr.metadata import RectilinearAxis

Placed = tuple[int, Box]  # a store, and a box in it


def domains(settings: Settings, fractions: Any, gap: Any, axis: Any) -> list[list[list[Box]]]:
    """For each part of a split, and for each store, the boxes in which its samples lie: `Settings.domains`.

    No element, of any array, is of samples of two parts: also not by windows, overlap and padding. ArgumentError where
    a part would have no sample, or where regions overlap.
    """
    arrays, sample = arrays_of(settings.arrays), sample_of(settings.sample)
    columns = columns_of(arrays, sample, offsets_of(settings.window, arrays), settings)
    axis = number(axis, "axis", -len(columns), len(columns) - 1) % len(columns)
    given = boxes(arrays, columns, sample, settings.domains)
    placed = [(store, box) for store, of_store in enumerate(given) for box in of_store]
    placed = [(store, box) for store, box in placed if _has_samples(columns, box, sample)]
    _check_apart(placed, columns, sample)
    line = Line([box[axis] for _, box in placed], _extent(columns[axis]), _blocks(arrays, columns[axis]))
    parts = []
    for intervals in split(line, fractions, number(gap, "gap", 0)):
        part: list[list[Box]] = [[] for _ in given]
        for (store, box), interval in zip(placed, intervals, strict=True):
            if (inside := _inside(columns[axis], box[axis], interval, sample)) is not None:
                part[store].append((*box[:axis], inside, *box[axis + 1 :]))
        parts.append(part)
    return parts


def _has_samples(columns: Sequence[Column], box: Box, sample: Patch | Rows) -> bool:
    return all(origins(column, ends, sample).count for column, ends in zip(columns, box, strict=True))


def _check_apart(placed: Sequence[Placed], columns: Sequence[Column], sample: Patch | Rows) -> None:
    """ArgumentError for boxes that share elements: samples of two parts could have the same."""
    reach = np.array([column.pad + (column.size if _may_overhang(column, sample) else 0) for column in columns])
    for _, of_store in groupby(placed, itemgetter(0)):
        given = [box for _, box in of_store]
        ends = np.array(given, np.int64)
        for i, one in enumerate(ends[:-1]):
            others = ends[i + 1 :]
            apart = np.maximum(one[:, 0] - others[:, :, 1], others[:, :, 0] - one[:, 1]) >= 2 * reach
            if (shared := np.flatnonzero(~apart.any(axis=1))).size:
                other = given[i + 1 + int(shared[0])]
                raise ArgumentError(f"split: samples of the regions {given[i]} and {other} may share elements")


def _may_overhang(column: Column, sample: Patch | Rows) -> bool:
    """Whether samples may reach beyond a box by more than their padding."""
    return isinstance(sample, Patch) and sample.edge == "pad" and column.is_patch


def _extent(column: Column) -> int:
    """Elements that hold a sample, wherever they begin."""
    return max(column.size, 2 * column.pad + 1) + column.before + column.after + 2 * (column.lattice.step - 1)


def _blocks(arrays: Arrays, column: Column) -> list[int]:
    """Elements of the first array after which chunks of all arrays end, or if not those of the largest; and 1."""
    sizes = {1}
    for name, each in arrays.items():
        for array in each:
            axis = array.layout.axes[column.axes[name]]
            if not isinstance(axis, RectilinearAxis):
                sizes.add(ceil(axis.size * column.scales[name].size))
    return sorted({lcm(*sizes), max(sizes), 1}, reverse=True)


def _inside(column: Column, box: Interval, part: Interval, sample: Patch | Rows) -> Interval | None:
    """What `origins` needs so that samples have no element beyond a part, but at the ends of the box; None for none."""
    start, stop = part
    if start >= stop:
        return None
    if start > box[0]:
        start = column.lattice.up(start) + column.pad
    if stop < box[1]:
        stop = column.lattice.down(stop) - column.pad
        if _may_overhang(column, sample):
            room = stop + column.pad - column.lattice.down(start - column.pad) - column.size
            if room < 0:
                return None
            stop -= room % column.stride  # or another patch would follow
    return (start, stop) if start < stop else None
