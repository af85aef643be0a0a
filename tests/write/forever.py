"""What is killed. It imports little, and all of it at once, so that a process in which it runs is soon made."""

from __future__ import annotations

import tempfile
from itertools import count
from typing import Any

import numpy as np

import gpuzarr


def write_forever(path: str, first: int, begun: Any) -> None:
    """Whole, in part, region by region, and the metadata: until somebody kills us. `begun` is released before."""
    a = gpuzarr.open_array(path, mode="r+", device="cpu")
    begun.release()
    for i in count(first + 4, 4):
        write(a, i)


def write(a: gpuzarr.Array, i: int) -> None:
    a[...] = np.full(a.shape, i, a.dtype)
    a[3:-3, 5:-5] = i + 1
    a.attrs["last"] = i
    with a.writer() as w:
        for row in range(0, 80, 10):
            w[row : row + 10] = i + 2


with tempfile.TemporaryDirectory() as folder:  # what gpuzarr imports when it is used first
    write(gpuzarr.create_array(folder, shape=(80, 80), dtype="i4", chunks=(20, 20), shards=(40, 40), device="cpu"), 0)
