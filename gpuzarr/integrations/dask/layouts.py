"""Chunks and shards of a new array that fit the blocks of a dask array: no chunk has elements of two blocks."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np

from gpuzarr.creation import shapes

Shape = tuple[int, ...]


def fitting(blocks: Sequence[Sequence[int]], dtype: np.dtype, chunks: Any, shards: Any) -> dict[str, Any]:
    """The parameters `chunks` and `shards` of `create_array`, with sizes chosen for them where they are left open.

    They are the divisors of a block's sides that are nearest to what `create_array` would choose for the block. Where
    blocks differ along an axis, the largest one counts, and chunks may cross the ends of others.
    """
    if not _is_auto(chunks) or not (shards is None or _is_auto(shards)):
        return {"chunks": chunks, "shards": shards}
    block = tuple(max(1, *sizes) for sizes in blocks)
    if _is_auto(shards):
        wanted = shapes.shard_shape("auto", (1,) * len(block), block, dtype.itemsize)
        shards = block = _divisors(block, wanted or ())
    return {"chunks": _divisors(block, shapes.chunk_shape("auto", block, dtype.itemsize)), "shards": shards}


def _is_auto(given: Any) -> bool:
    return isinstance(given, str) and given == "auto"


def _divisors(shape: Shape, wanted: Sequence[Any]) -> Shape:
    """For each side the divisor that is nearest to the one that is wanted, by their ratio."""
    return tuple(_divisor(side, near) for side, near in zip(shape, wanted, strict=True))


def _divisor(side: int, wanted: int) -> int:
    small = [n for n in range(1, int(side**0.5) + 1) if side % n == 0]
    return min({*small, *(side // n for n in small)}, key=lambda n: abs(log(n / wanted)))
