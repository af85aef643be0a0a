"""One pass over an array: its blocks, read ahead by other threads and reduced one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.cast import Cast, is_float
from gpuzarr.errors import NoMemoryError
from gpuzarr.reduce.bins import Bins
from gpuzarr.reduce.blocks import blocks
from gpuzarr.reduce.elements import Elements
from gpuzarr.reduce.patterns import Patterns
from gpuzarr.reduce.totals import Totals

BLOCK_BYTES = 16 << 20  # of a CPU. The same for each limit of memory: sums are rounded in the order of blocks
GPU_BLOCK_BYTES = 256 << 20

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
    _check_memory(cells, bins, dtype, limit)
    histogram = Bins(cells, bins, edges, not is_float(dtype if cast is None else cast.dtype))
    kind: type[Patterns | Elements] = Patterns if dtype.itemsize <= 2 else Elements
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
    return found.totals(histogram)


def _add(found: Any, device: Device, block: Any, order: Sequence[int], box: Any, bins: Bins) -> None:
    block = block if order else device.xp.asarray(block)
    found.add(block.transpose(order), box, bins)


def _check_memory(cells: Sequence[int], bins: int, dtype: np.dtype, limit: int) -> None:
    patterns = 1 << 8 * dtype.itemsize if dtype.itemsize <= 2 else 0
    needed = 8 * (patterns + bins)
    for length in cells:
        needed *= length
    if needed > limit:
        advice = "; dtype='float32' and fewer bins need less" if patterns > 256 else "; give fewer bins"
        raise NoMemoryError(
            f"counts of {' x '.join(map(str, cells)) or 1} cells of {dtype} need {needed} bytes, "
            f"more than the memory_limit of {limit}{advice}"
        )
