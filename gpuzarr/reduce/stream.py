"""One pass over an array: its blocks, read ahead by other threads and reduced one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from math import prod
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast, is_float
from gpuzarr.errors import NoMemoryError
from gpuzarr.reduce.bins import Bins
from gpuzarr.reduce.blocks import blocks
from gpuzarr.reduce.elements import Elements
from gpuzarr.reduce.patterns import Patterns
from gpuzarr.reduce.rows import NUMBERS
from gpuzarr.reduce.totals import Totals

BLOCK_BYTES = 16 << 20  # of a CPU. The same for each limit of memory: sums are rounded in the order of blocks
GPU_BLOCK_BYTES = 256 << 20
MAX_PATTERN_COUNTS = 1 << 22  # of all cells; where there would be more, or more than elements, patterns are not counted

Read = Callable[[Iterator[Any]], Any]  # a context manager whose value iterates over the results of selections


def totals(
    array: Any, axes: Sequence[range], kept: Sequence[int], bins: int, edges: np.ndarray | None, cast: Cast | None,
    limit: int, read: Read, progress: Callable[[int], None],
) -> Totals:  # fmt: skip
    """Numbers of the elements of the outer product of `axes`, for each index of the axes that are `kept`.

    `limit`: bytes that counts may take. `progress` is called with the number of elements of each block.
    """
    dtype, device = array.dtype, array.device
    cells = tuple(len(axes[axis]) for axis in kept)
    patterns = 1 << 8 * dtype.itemsize if dtype.itemsize <= 2 else 0
    if patterns * prod(cells) > max(min(MAX_PATTERN_COUNTS, prod(map(len, axes))), patterns):
        patterns = 0
    _check_memory(cells, bins, patterns, limit)
    histogram = Bins(cells, bins, edges, not is_float(dtype if cast is None else cast.dtype))
    kind: type[Patterns | Elements] = Patterns if patterns else Elements
    found = kind(device, cells, dtype, cast, array.fill_value)
    order = [*kept, *(axis for axis in range(len(axes)) if axis not in kept)]
    most = (GPU_BLOCK_BYTES if device.gpu else BLOCK_BYTES) // dtype.itemsize
    boxes: list[Any] = []

    def selections() -> Iterator[Any]:
        for selection, box in blocks(array.layout, axes, most):
            boxes.append(tuple(box[axis] for axis in kept))
            yield selection

    with read(selections()) as results:
        for number, block in enumerate(results):
            _add(found, device, block, order, boxes[number], histogram)
            boxes[number] = None
            progress(int(np.size(block)))
            del block
    return _in_order(found.totals(histogram), [axes[axis] for axis in kept])


def _add(found: Any, device: Device, block: Any, order: Sequence[int], box: Any, bins: Bins) -> None:
    block = block if order else device.xp.asarray(block)
    found.add(block.transpose(order), box, bins)


def _in_order(found: Totals, kept: Sequence[range]) -> Totals:
    """The numbers of cells in the order of the selection; blocks come in that of the array."""
    if all(indices.step > 0 for indices in kept):
        return found
    flip = tuple(slice(None, None, -1 if indices.step < 0 else 1) for indices in kept)
    cells = {field.name: getattr(found, field.name)[flip] for field in fields(found) if field.name != "edges"}
    return replace(found, **cells)


def _check_memory(cells: Sequence[int], bins: int, patterns: int, limit: int) -> None:
    """`patterns`: those that are counted in each cell, 0 where moments are made."""
    needed = 8 * prod(cells) * ((patterns or 4 * NUMBERS) + bins)
    if needed > limit:
        advice = "reduce more axes, give fewer bins (0: none), or a larger memory_limit"
        raise NoMemoryError(
            f"counts of {' x '.join(map(str, cells)) or 1} cells, with {bins} bins each, need {needed} bytes, "
            f"more than the memory_limit of {limit}: {advice}"
        )
