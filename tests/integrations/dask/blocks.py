"""Arrays in any layout and blocks of any size, for laws of dask arrays."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np


def sizes(length: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Lengths of blocks that add up to a length; of no block with elements there is one of length 0."""
    cuts = st.lists(st.integers(1, max(length - 1, 1)), max_size=4)
    return cuts.map(lambda found: tuple(np.diff([0, *sorted({cut for cut in found if cut < length}), length]).tolist()))


@st.composite
def layouts(draw: st.DrawFn, ndim: int | None = None) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A shape, and parameters of `create_array` for chunks, with shards or without."""
    ndim = draw(st.integers(0, 3)) if ndim is None else ndim
    shape = tuple(draw(st.lists(st.integers(0, 12), min_size=ndim, max_size=ndim)))
    chunks = tuple(draw(st.integers(1, 5)) for _ in shape)
    layout: dict[str, Any] = {"chunks": chunks}
    if draw(st.booleans()):
        layout["shards"] = tuple(n * draw(st.integers(1, 3)) for n in chunks)
    elif shape and 0 not in shape and draw(st.booleans()):
        layout["chunks"] = [list(draw(sizes(n))) for n in shape]
    return shape, layout


def values(shape: tuple[int, ...], dtype: Any = "f8") -> np.ndarray:
    """Elements that are all different."""
    return (np.arange(np.prod(shape, dtype=int)) + 1).reshape(shape).astype(dtype)
