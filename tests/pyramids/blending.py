"""Blocks, weights and averages as plainly as NumPy can say it, to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gpuzarr.write.coverage import Bounds

Regions = list[tuple[slice, ...]]


def all_bounds(shape: Sequence[int], block: Sequence[int], halo: Sequence[int]) -> Iterator[Bounds]:
    """The bounds of all blocks, in C order."""
    for begins in product(*(range(0, n, b) for n, b in zip(shape, block, strict=True))):
        spans = zip(begins, shape, block, halo, strict=True)
        yield tuple((max(a - h, 0), min(min(a + b, n) + h, n)) for a, n, b, h in spans)


def all_cores(shape: Sequence[int], block: Sequence[int]) -> Iterator[Bounds]:
    """The bounds of all cores, in C order."""
    return all_bounds(shape, block, [0] * len(shape))


def as_slices(bounds: Bounds) -> tuple[slice, ...]:
    return tuple(slice(a, b) for a, b in bounds)


def marked(shape: Sequence[int], boxes: Sequence[Any]) -> np.ndarray:
    """Which elements are in any of the boxes."""
    made = np.zeros(shape, bool)
    for box in boxes:
        made[box] = True
    return made


@st.composite
def grids(draw: st.DrawFn, max_ndim: int = 3, max_length: int = 12) -> dict[str, Any]:
    """A shape, and blocks and halos for it, of which no two have the same bounds."""
    ndim = draw(st.integers(1, max_ndim))
    shape, block, halo = [], [], []
    for _ in range(ndim):
        length, size = draw(st.integers(1, max_length)), draw(st.integers(1, 7))
        spread = draw(st.integers(0, 4))
        while len(found := list(all_bounds([length], [size], [spread]))) != len(set(found)):
            spread -= 1
        shape.append(length)
        block.append(size)
        halo.append(spread)
    return {"shape": tuple(shape), "block": tuple(block), "halo": tuple(halo)}


@st.composite
def divisions(draw: st.DrawFn, shape: Sequence[int]) -> list[Regions]:
    """An array, divided among workers: boxes between random edges, dealt out at random."""
    edges = [sorted(draw(st.sets(st.integers(1, n - 1), max_size=2)) | {0, n}) if n > 1 else [0, n] for n in shape]
    spans = [list(pairwise(one)) for one in edges]
    workers: list[Regions] = [[] for _ in range(draw(st.integers(1, 3)))]
    for box in product(*spans):
        draw(st.sampled_from(workers)).append(as_slices(box))
    return workers
