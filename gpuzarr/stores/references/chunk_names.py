"""Names of chunks ("3.0.1") as numbers of chunks in a grid, in C order, many at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

import numpy as np

MAX_GRID_CHUNKS = 2**62


def numbers_of(names: Sequence[str], grid: tuple[int, ...]) -> np.ndarray:
    """The number of each chunk, int64 (n,); -1 for what names no chunk of the grid. An array of no axes has "0"."""
    shape = grid or (1,)
    found = np.full(len(names), -1, np.int64)
    if prod(shape) > MAX_GRID_CHUNKS:
        return found
    one = r"\.".join([r"(?:0|[1-9][0-9]{0,17})"] * len(shape))
    which: Sequence[int] = range(len(names))
    if not re.fullmatch(f"(?:{one} )*", " ".join([*names, ""])):
        which = [i for i in which if re.fullmatch(one, names[i])]
        names = [names[i] for i in which]
    if not names:
        return found
    columns = np.fromstring(" ".join(names).replace(".", " "), np.int64, sep=" ").reshape(-1, len(shape)).T
    inside = np.array([column < size for column, size in zip(columns, shape, strict=True)]).all(0)
    found[np.asarray(which)[inside]] = np.ravel_multi_index(tuple(columns[:, inside]), shape)
    return found


def names_of(numbers: np.ndarray, grid: tuple[int, ...]) -> list[str]:
    """The names of chunks by their numbers."""
    coordinates = np.stack(np.unravel_index(numbers, grid or (1,)), 1).tolist()
    return [".".join(map(str, each)) for each in coordinates]
